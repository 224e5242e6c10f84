#include "storage/hard_state_file.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "raft/buggify.h"
#include "raft/check.h"
#include "raft/error.h"
#include "raft/hard_state.h"
#include "raft/mutant.h"
#include "raft/mutex.h"
#include "raft/types.h"
#include "storage/aligned_buffer.h"
#include "storage/file.h"
#include "storage/hard_state_block.h"

namespace lignum::storage {

namespace {

// Empty states of a new group, by slot: the first state stored gets the number after them.
constexpr std::array<std::uint64_t, kHardStateSlots> kEmptySequences = {2, 1};

// What the copies of one slot say.
struct Slot {
  std::optional<HardStateBlock> best;
  std::array<bool, kHardStateSlotCopies> holds_best{};
  std::size_t unreadable = 0;

  [[nodiscard]] std::uint64_t sequence() const { return best ? best->sequence : 0; }
  void add(const HardStateBlock& block, std::size_t copy) {
    if (!best || block.sequence > best->sequence) {
      best = block;
      holds_best.fill(false);
    }
    holds_best.at(copy) = block.sequence == best->sequence;
  }
};

// Block `number` of `buffer`.
std::span<std::byte> block_of(AlignedBuffer& buffer, std::size_t number) {
  return buffer.span().subspan(number * kBlockBytes, kBlockBytes);
}

// Writes the empty blocks of groups [from, to) where they belong. Not synced.
Result<void> write_empty_groups(File& file, std::uint32_t from, std::uint32_t to) {
  AlignedBuffer buffer((to - from) * kHardStateGroupBytes);
  std::size_t number = 0;
  for (std::uint32_t group = from; group < to; ++group) {
    for (const std::uint64_t sequence : kEmptySequences) {
      for (std::size_t copy = 0; copy < kHardStateSlotCopies; ++copy) {
        encode_hard_state({.group = GroupId(group), .sequence = sequence, .state = std::nullopt},
                          block_of(buffer, number++));
      }
    }
  }
  return file.write_at(hard_state_position(GroupId(from), 0, 0), buffer.bytes());
}

Result<void> write_copy(File& file, std::uint64_t position, const HardStateBlock& block) {
  AlignedBuffer buffer(kBlockBytes);
  encode_hard_state(block, buffer.span());
  return file.write_at(position, buffer.bytes());
}

// One copy after the other, each flushed: a crash leaves one good header.
Result<void> write_headers(File& file, std::uint32_t groups) {
  AlignedBuffer buffer(kBlockBytes);
  encode_hard_state_header({.groups = groups}, buffer.span());
  for (std::size_t copy = 0; copy < kHardStateHeaderCopies; ++copy) {
    TRY(file.write_at(copy * kBlockBytes, buffer.bytes()));
    TRY(file.sync());
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<HardStateFile>> HardStateFile::create(Directory& directory) {
  TRY_ASSIGN(present, directory.exists(kHardStateFileName));
  if (present) {
    return fail(Errc::kAlreadyExists, directory.path() + ": has a hard state file already");
  }
  TRY_ASSIGN(leftover, directory.exists(kHardStateTemporaryName));
  if (leftover) {
    TRY(directory.remove(kHardStateTemporaryName));
  }
  {
    TRY_ASSIGN(file, directory.open(kHardStateTemporaryName, OpenMode::kCreate));
    const std::uint32_t groups = buggify(Buggify::kStorageSmallStateFile) ? 1 : kHardStateGroupStep;
    TRY(write_empty_groups(*file, 0, groups));
    TRY(write_headers(*file, groups));
  }
  TRY(directory.rename(kHardStateTemporaryName, kHardStateFileName));
  TRY(directory.sync());
  return open(directory);
}

Result<std::unique_ptr<HardStateFile>> HardStateFile::open(Directory& directory) {
  TRY_ASSIGN(raw, directory.open(kHardStateFileName, OpenMode::kWriteDirect));
  std::unique_ptr<HardStateFile> file(
      new HardStateFile(std::move(raw), directory.path() + "/" + kHardStateFileName));
  // What is read below must not vanish later: a killed process may have left it unsynced.
  TRY(file->file_->sync());
  TRY_ASSIGN(good, file->read_header());
  if (!good[0] || !good[1]) TRY(write_headers(*file->file_, file->capacity_));
  std::map<GroupId, GroupRecord> groups;
  for (std::uint32_t number = 0; number < file->capacity_; ++number) {
    TRY_ASSIGN(record, file->read_group(GroupId(number)));
    groups.emplace(GroupId(number), std::move(record));
  }
  TRY(file->heal(groups));
  const MutexLock lock(file->mutex_);
  file->groups_ = std::move(groups);
  return file;
}

Result<HardStateFile::Examined> HardStateFile::examine(Directory& directory) {
  TRY_ASSIGN(raw, directory.open(kHardStateFileName, OpenMode::kRead));
  HardStateFile file(std::move(raw), directory.path() + "/" + kHardStateFileName);
  Examined examined;
  TRY_ASSIGN(size, file.file_->size());
  examined.file_bytes = size;
  TRY_ASSIGN(good, file.read_header());
  for (std::size_t copy = 0; copy < good.size(); ++copy) {
    if (!good.at(copy)) {
      examined.bad.push_back({.position = copy * kBlockBytes, .group = std::nullopt});
    }
  }
  examined.groups = file.capacity_;
  for (std::uint32_t number = 0; number < file.capacity_; ++number) {
    const GroupId group(number);
    TRY_ASSIGN(record, file.read_group(group));
    for (const std::uint64_t position : record.bad) {
      examined.bad.push_back({.position = position, .group = group});
    }
    if (record.lost) {
      examined.lost.push_back(group);
    } else if (record.loaded.torn) {
      examined.torn.push_back(group);
    }
  }
  return examined;
}

Result<HardStateFile::Loaded> HardStateFile::peek(Directory& directory, GroupId group) {
  TRY_ASSIGN(raw, directory.open(kHardStateFileName, OpenMode::kRead));
  HardStateFile file(std::move(raw), directory.path() + "/" + kHardStateFileName);
  TRY(file.read_header());
  if (group.value() >= file.capacity_) return Loaded{};
  TRY_ASSIGN(record, file.read_group(group));
  return loaded_of(group, record);
}

Result<HardStateFile::GoodHeaders> HardStateFile::read_header() {
  AlignedBuffer buffer(kHardStateHeaderCopies * kBlockBytes);
  TRY(file_->read_at(0, buffer.span()));
  std::optional<HardStateHeaderBlock> best;
  GoodHeaders good{};
  for (std::size_t copy = 0; copy < kHardStateHeaderCopies; ++copy) {
    const auto header = decode_hard_state_header(block_of(buffer, copy));
    if (header && (!best || header->groups > best->groups)) {
      best = header;
      good.fill(false);
    }
    good.at(copy) = header && header->groups == best->groups;
  }
  if (!best) {
    return fail(Errc::kCorrupt,
                path_ + ": both copies of the header (bytes 0 to 8191) are damaged");
  }
  if (best->version != kHardStateFormatVersion) {
    return fail(Errc::kUnsupported, path_ + ": format version " + std::to_string(best->version) +
                                        ", this build reads version " +
                                        std::to_string(kHardStateFormatVersion));
  }
  if (best->groups > kHardStateGroupsMax) {
    return fail(Errc::kCorrupt, path_ + ": the header names " + std::to_string(best->groups) +
                                    " groups, more than there can be");
  }
  capacity_ = best->groups;
  return good;
}

Result<HardStateFile::GroupRecord> HardStateFile::read_group(GroupId group) const {
  AlignedBuffer buffer(kHardStateGroupBytes);
  // A file cut short reads as zeros here, which no checksum allows.
  TRY(file_->read_at(hard_state_position(group, 0, 0), buffer.span()));
  GroupRecord record;
  std::array<Slot, kHardStateSlots> slots;
  for (std::size_t slot = 0; slot < kHardStateSlots; ++slot) {
    for (std::size_t copy = 0; copy < kHardStateSlotCopies; ++copy) {
      auto block = decode_hard_state(block_of(buffer, slot * kHardStateSlotCopies + copy));
      if (block && block->group == group && block->sequence % kHardStateSlots == slot) {
        slots.at(slot).add(*block, copy);
        continue;
      }
      ++slots.at(slot).unreadable;
      const auto position = hard_state_position(group, slot, copy);
      record.bad.push_back(position);
      record.loaded.damage.push_back(path_ + ": bytes " + std::to_string(position) + " to " +
                                     std::to_string(position + kBlockBytes - 1) + " (group " +
                                     std::to_string(group.value()) + ") are damaged");
    }
  }
  const bool second = slots[1].sequence() > slots[0].sequence();
  const std::size_t number = second != mutant(Mutant::kOlderHardStateWins) ? 1 : 0;
  const Slot& newest = slots.at(number);
  const Slot& other = slots.at(1 - number);
  record.sequence = newest.sequence();
  record.loaded.torn = other.unreadable == kHardStateSlotCopies;
  record.lost = !newest.best || (record.loaded.torn && newest.unreadable != 0);
  if (record.lost) {
    return record;
  }
  record.loaded.state = newest.best->state;
  // An empty slot is filled with the same state under the number before.
  const HardStateBlock before{
      .group = group, .sequence = record.sequence - 1, .state = newest.best->state};
  for (std::size_t copy = 0; copy < kHardStateSlotCopies; ++copy) {
    // Good copies, too: a process that died of a failed sync leaves them in the page cache alone,
    // and no later sync saves what is not written again.
    if (!newest.holds_best.at(copy) || newest.best->state) {
      record.newest_repairs.push_back(
          {.position = hard_state_position(group, number, copy), .block = *newest.best});
    }
    if (!other.holds_best.at(copy)) {
      record.other_repairs.push_back({.position = hard_state_position(group, 1 - number, copy),
                                      .block = other.best.value_or(before)});
    }
  }
  return record;
}

Result<void> HardStateFile::heal(const std::map<GroupId, GroupRecord>& groups) {
  // The newest slots first, flushed: until then the other slot is what a crash leaves whole.
  for (const auto repairs : {&GroupRecord::newest_repairs, &GroupRecord::other_repairs}) {
    bool wrote = false;
    for (const auto& [group, record] : groups) {
      for (const Repair& repair : record.*repairs) {
        TRY(write_copy(*file_, repair.position, repair.block));
        wrote = true;
      }
    }
    if (wrote) {
      TRY(file_->sync());
    }
  }
  return {};
}

Result<HardStateFile::Loaded> HardStateFile::load(GroupId group) const {
  const MutexLock lock(mutex_);
  const auto found = groups_.find(group);
  if (found == groups_.end()) {
    return Loaded{};
  }
  return loaded_of(group, found->second);
}

Result<HardStateFile::Loaded> HardStateFile::loaded_of(GroupId group, const GroupRecord& record) {
  if (!record.lost) return record.loaded;
  std::string message = "the hard state of group " + std::to_string(group.value()) + " is lost";
  for (const std::string& damage : record.loaded.damage) {
    message += "; " + damage;
  }
  return fail(Errc::kCorrupt, std::move(message));
}

Result<void> HardStateFile::store(GroupId group, const raft::HardState& state) {
  if (group.value() >= kHardStateGroupsMax) {
    return fail(Errc::kInvalidArgument, "group " + std::to_string(group.value()) +
                                            " is over the limit of " +
                                            std::to_string(kHardStateGroupsMax) + " groups");
  }
  const std::uint64_t ticket = enqueue(group, state);
  while (const auto batch = wait_turn(ticket)) {
    finish(*batch, write_requests(batch->requests));
  }
  return outcome();
}

std::uint64_t HardStateFile::enqueue(GroupId group, const raft::HardState& state) {
  const MutexLock lock(mutex_);
  const auto found = groups_.find(group);
  const bool known = found != groups_.end();
  const std::uint64_t newest = known ? found->second.sequence : kEmptySequences[0];
  CHECK(std::ranges::none_of(waiting_, [&](const auto& other) { return other.group == group; }));
  waiting_.push_back({.group = group,
                      .state = state,
                      // Above whatever single copy of a lost state may still be readable.
                      .sequence = newest + (known && found->second.lost ? 3 : 1),
                      .all_copies = known && found->second.lost});
  return next_ticket_++;
}

std::optional<HardStateFile::Batch> HardStateFile::wait_turn(std::uint64_t ticket) {
  const MutexLock lock(mutex_);
  while (done_ticket_ < ticket && !failure_) {
    if (!flushing_) {
      flushing_ = true;
      return Batch{.requests = std::exchange(waiting_, {}), .last_ticket = next_ticket_ - 1};
    }
    changed_.wait(mutex_);
  }
  return std::nullopt;
}

void HardStateFile::finish(const Batch& batch, const Result<void>& result) {
  const MutexLock lock(mutex_);
  flushing_ = false;
  if (result) {
    done_ticket_ = batch.last_ticket;
    for (const Request& request : batch.requests) {
      groups_[request.group] = {.sequence = request.sequence, .loaded = {.state = request.state}};
    }
  } else {
    failure_ = result.error();
  }
  changed_.notify_all();
}

Result<void> HardStateFile::outcome() const {
  const MutexLock lock(mutex_);
  if (failure_) {
    return std::unexpected(*failure_);
  }
  return {};
}

Result<void> HardStateFile::write_requests(const std::vector<Request>& requests) {
  std::uint32_t needed = 0;
  for (const Request& request : requests) {
    needed = std::max(needed, request.group.value() + 1);
  }
  if (needed > capacity_) {
    TRY(grow(needed));
  }
  for (const Request& request : requests) {
    for (std::size_t back = 0; back < (request.all_copies ? kHardStateSlots : 1); ++back) {
      const HardStateBlock block{
          .group = request.group, .sequence = request.sequence - back, .state = request.state};
      const std::size_t slot = block.sequence % kHardStateSlots;
      for (std::size_t copy = 0; copy < kHardStateSlotCopies; ++copy) {
        TRY(write_copy(*file_, hard_state_position(request.group, slot, copy), block));
      }
    }
  }
  if (mutant(Mutant::kHardStateNotSynced)) return {};
  return file_->sync();
}

Result<void> HardStateFile::grow(std::uint32_t groups) {
  const std::uint32_t target =
      (groups + kHardStateGroupStep - 1) / kHardStateGroupStep * kHardStateGroupStep;
  for (std::uint32_t from = capacity_; from < target; from += kHardStateGroupStep) {
    TRY(write_empty_groups(*file_, from, std::min(from + kHardStateGroupStep, target)));
  }
  TRY(file_->sync());
  TRY(write_headers(*file_, target));
  capacity_ = target;
  return {};
}

}  // namespace lignum::storage
