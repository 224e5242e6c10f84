#include "jepsen/sim/sim_inode.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "jepsen/sim/paged_bytes.h"
#include "jepsen/sim/sim_disk.h"
#include "raft/check.h"
#include "raft/payload.h"

namespace lignum::jepsen {

void SimInode::write(std::uint64_t position, Bytes data, std::uint64_t call) {
  if (data.empty()) {
    return;
  }
  now_.write(position, data);
  const std::uint64_t begin = position / kSectorBytes * kSectorBytes;
  const std::uint64_t end =
      (position + data.size() + kSectorBytes - 1) / kSectorBytes * kSectorBytes;
  pending_.push_back(
      {.call = call, .written = now_.part(begin, static_cast<std::size_t>(end - begin))});
}

void SimInode::resize(std::uint64_t bytes) {
  now_.resize(bytes);
  pending_.push_back({.resized = true, .new_size = bytes});
}

void SimInode::apply(PagedBytes& target, const Change& change) const {
  if (change.resized) {
    target.resize(change.new_size);
  } else {
    target.put(change.written);
  }
}

// A sector written anew and synced is good, whatever became of an abandoned write to it.
void SimInode::supersede(std::size_t newer) {
  const Change& synced = pending_[newer];
  for (std::size_t i = 0; i < newer; ++i) {
    Change& older = pending_[i];
    if (!older.abandoned || older.resized || synced.resized) continue;
    const std::uint64_t position = older.written.position();
    if (position >= synced.written.position() &&
        position < synced.written.position() + synced.written.size()) {
      older.written = {};
    }
  }
}

void SimInode::sync() {
  const bool failed_before = std::ranges::any_of(pending_, &Change::abandoned);
  for (std::size_t i = 0; i < pending_.size(); ++i) {
    if (!pending_[i].abandoned) {
      apply(durable_, pending_[i]);
      if (failed_before) supersede(i);
    }
  }
  std::erase_if(pending_, [](const Change& change) {
    return !change.abandoned || (!change.resized && change.written.size() == 0);
  });
}

void SimInode::abandon_pending() {
  std::vector<Change> sectors;
  for (Change& change : pending_) {
    change.abandoned = true;
    if (change.resized) {
      sectors.push_back(change);
      continue;
    }
    for (std::size_t at = 0; at < change.written.size(); at += kSectorBytes) {
      sectors.push_back({.abandoned = true,
                         .call = change.call,
                         .written = change.written.part(at, kSectorBytes)});
    }
  }
  pending_ = std::move(sectors);
}

std::uint64_t SimInode::last_pending_write() const {
  std::uint64_t last = 0;
  for (const Change& change : pending_) {
    last = std::max(last, change.call);
  }
  return last;
}

PagedBytes SimInode::crashed(CrashDice& dice, Survival data, bool tear) const {
  PagedBytes result = durable_;
  const std::uint64_t percent = dice.draw_percent();
  const std::uint64_t last_write = last_pending_write();
  bool sizes_survive = true;  // a prefix of the size changes: their order is a journal's
  for (const Change& change : pending_) {
    if (change.resized) {
      sizes_survive = sizes_survive && data != Survival::kNone &&
                      (data == Survival::kAll || dice.happens(percent));
      if (sizes_survive) {
        result.resize(change.new_size);
      }
      continue;
    }
    const PagedBytes::Part& written = change.written;
    for (std::size_t at = 0; at < written.size(); at += kSectorBytes) {
      const std::size_t count = std::min(kSectorBytes, written.size() - at);
      // Pages are whole sectors.
      Bytes sector = written.piece(at).first(count);
      const bool last = change.call == last_write && at + count == written.size();
      if (tear && last) {
        sector = sector.first(static_cast<std::size_t>(dice.below(count)));
      } else if (data == Survival::kNone || (data == Survival::kRandom && !dice.happens(percent))) {
        continue;
      }
      result.write(written.position() + at, sector);
    }
  }
  return result;
}

void SimInode::put(const PagedBytes& bytes) {
  now_ = bytes;
  durable_ = bytes;
  pending_.clear();
}

void SimInode::flip(std::uint64_t byte, std::uint8_t mask) {
  CHECK(byte < now_.size());
  for (PagedBytes* state : {&now_, &durable_}) {
    std::array<std::byte, 1> value{};
    if (state->read(byte, value) == 1) {
      value[0] ^= std::byte{mask};
      state->write(byte, value);
    }
  }
}

}  // namespace lignum::jepsen
