#include "tests/cluster/ledger.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "net/client.h"
#include "raft/error.h"
#include "raft/mutex.h"
#include "raft/payload.h"
#include "raft/types.h"

namespace lignum::cluster {

namespace {

constexpr std::size_t kErrorsMax = 10;
constexpr std::size_t kComplaintsBytesMax = 4000;

// A step of SplitMix64.
std::uint64_t scramble(std::uint64_t value) {
  value += 0x9E3779B97F4A7C15ULL;
  value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9ULL;
  value = (value ^ (value >> 27)) * 0x94D049BB133111EBULL;
  return value ^ (value >> 31);
}

std::string text_of(Bytes bytes) {
  std::string text;
  text.reserve(bytes.size());
  for (const std::byte byte : bytes) {
    text.push_back(static_cast<char>(byte));
  }
  return text;
}

std::optional<RecordName> name_in(const std::string& value) {
  std::istringstream words(value);
  RecordName name;
  return words >> name.writer >> name.sequence ? std::optional(name) : std::nullopt;
}

std::string describe(RecordName name) {
  return fmt::format("writer {} record {}", name.writer, name.sequence);
}

}  // namespace

std::string value_of(RecordName name) {
  constexpr std::uint64_t kFillerMax = 1480;
  std::string value = fmt::format("{} {} ", name.writer, name.sequence);
  const std::uint64_t seed = scramble(name.sequence * 31 + name.writer);
  const std::uint64_t filler = 10 + seed % kFillerMax;
  for (std::uint64_t i = 0; i < filler; ++i) {
    value.push_back(static_cast<char>('a' + (seed >> (i % 56)) % 26));
  }
  return value;
}

std::optional<RecordName> Ledger::begin(std::uint32_t writer, std::uint64_t pending_max) {
  const MutexLock lock(mutex_);
  while (!closed_ && pending_.at(writer) >= pending_max) {
    changed_.wait(mutex_);
  }
  if (closed_) {
    return std::nullopt;
  }
  ++pending_.at(writer);
  entries_.at(writer).push_back({});
  return RecordName{.writer = writer, .sequence = entries_.at(writer).size() - 1};
}

void Ledger::close() {
  const MutexLock lock(mutex_);
  closed_ = true;
  changed_.notify_all();
}

void Ledger::end(RecordName name, const Result<AppendAck>& outcome) {
  const MutexLock lock(mutex_);
  Entry& entry = entries_.at(name.writer).at(name.sequence);
  if (outcome) {
    entry = {.state = State::kAcked, .shard = outcome->shard, .offset = outcome->offset};
    ++acked_;
  } else {
    entry.state = outcome.error().outcome_unknown() ? State::kUnknown : State::kFailed;
    if (errors_.size() < kErrorsMax) {
      errors_.push_back(outcome.error().describe());
    }
  }
  --pending_.at(name.writer);
  changed_.notify_all();
}

bool Ledger::wait_for_acks(std::uint64_t more, std::chrono::milliseconds patience) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  const MutexLock lock(mutex_);
  const std::uint64_t goal = acked_ + more;
  while (acked_ < goal) {
    if (!changed_.wait_until(mutex_, deadline)) {
      return acked_ >= goal;
    }
  }
  return true;
}

Ledger::Entry Ledger::entry(RecordName name) const {
  const MutexLock lock(mutex_);
  return entries_.at(name.writer).at(name.sequence);
}

Ledger::Totals Ledger::totals() const {
  const MutexLock lock(mutex_);
  Totals totals;
  for (const auto& writer : entries_) {
    for (const Entry& entry : writer) {
      totals.pending += entry.state == State::kPending ? 1 : 0;
      totals.acked += entry.state == State::kAcked ? 1 : 0;
      totals.failed += entry.state == State::kFailed ? 1 : 0;
      totals.unknown += entry.state == State::kUnknown ? 1 : 0;
    }
  }
  return totals;
}

std::vector<std::string> Ledger::errors() const {
  const MutexLock lock(mutex_);
  return errors_;
}

std::vector<RecordName> Ledger::names(State state) const {
  const MutexLock lock(mutex_);
  std::vector<RecordName> names;
  for (std::uint32_t writer = 0; writer < entries_.size(); ++writer) {
    for (std::uint64_t sequence = 0; sequence < entries_[writer].size(); ++sequence) {
      if (entries_[writer][sequence].state == state) {
        names.push_back({.writer = writer, .sequence = sequence});
      }
    }
  }
  return names;
}

void Audit::complain(std::uint64_t& count, const std::string& what) {
  ++count;
  if (complaints_.size() < kComplaintsBytesMax) {
    complaints_ += what + "\n";
  }
}

void Audit::observe(const ReadRecord& record) {
  ++counts_.read;
  const std::string value = text_of(record.value);
  const auto name = name_in(value);
  if (!name || value != value_of(*name)) {
    complain(counts_.wrong, fmt::format("shard {} offset {} holds bytes that nobody wrote",
                                        record.shard.value(), record.offset.value()));
    return;
  }
  const std::string place = fmt::format("{} at shard {} offset {}", describe(*name),
                                        record.shard.value(), record.offset.value());
  Offset& next = next_offset_[record.shard];
  if (record.offset != next) {
    complain(counts_.wrong, fmt::format("{}: expected offset {}", place, next.value()));
  }
  next = record.offset.next();

  std::vector<bool>& seen = seen_[name->writer];
  seen.resize(std::max<std::size_t>(seen.size(), name->sequence + 1));
  if (seen[name->sequence]) {
    complain(counts_.duplicated, place + " is there twice");
  }
  seen[name->sequence] = true;

  const auto [last, first_of_shard] =
      last_.try_emplace({name->writer, record.shard}, name->sequence);
  if (!first_of_shard && last->second >= name->sequence) {
    complain(counts_.reordered, fmt::format("{} stands behind record {}", place, last->second));
  }
  last->second = name->sequence;

  const Ledger::Entry entry = ledger_.entry(*name);
  if (entry.state == Ledger::State::kFailed) {
    complain(counts_.wrong, place + " was reported as failed");
  } else if (entry.state == Ledger::State::kAcked &&
             (entry.shard != record.shard || entry.offset != record.offset)) {
    complain(counts_.wrong, fmt::format("{} was acked at shard {} offset {}", place,
                                        entry.shard.value(), entry.offset.value()));
  }
}

void Audit::finish() {
  for (const RecordName name : ledger_.names(Ledger::State::kAcked)) {
    const std::vector<bool>& seen = seen_[name.writer];
    if (name.sequence >= seen.size() || !seen[name.sequence]) {
      const Ledger::Entry entry = ledger_.entry(name);
      complain(counts_.lost,
               fmt::format("{} was acked at shard {} offset {} and is gone", describe(name),
                           entry.shard.value(), entry.offset.value()));
    }
  }
}

}  // namespace lignum::cluster
