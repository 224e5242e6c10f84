#pragma once

// Term and vote of every group of a node, in one file (rules B9).
//
//   block 0, 1     header, two copies: how many groups the file holds
//   then a group:  slot 0 copy 0 | slot 0 copy 1 | slot 1 copy 0 | slot 1 copy 1   (4 KiB each)
//
// Every block carries its own CRC-32C over all its bytes. The n-th state of a group goes to slot
// n mod 2, both copies, and is acknowledged when both are flushed; the state before it stays whole
// in the other slot. So a crash can spoil only the slot being written, and one bad block never
// loses a state:
//
//   one slot           other slot          result
//   a copy is good     a copy is good      the highest good state
//   both copies bad    both copies good    that state, and `torn`: the crash hit store()
//   both copies bad    a copy bad          kCorrupt: no torn write does this; the replica rejoins
//                                          as a new incarnation
//
// open() heals: the newest slot is rewritten first (bad copies, stale ones, and good ones that may
// lie in the page cache alone after a sync that failed), then what is bad of the other slot,
// so that the table holds after a crash in the middle of healing too.
//
// Owned by the node's storage. store() may be called for different groups from different threads
// at the same moment (concurrent calls share one flush); for one group by one thread at a time.
// load() may be called from any thread. Never retries a failed write: after one, every later
// store() fails with the same error.

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "raft/error.h"
#include "raft/mutex.h"
#include "raft/output.h"
#include "raft/types.h"
#include "storage/file.h"
#include "storage/hard_state_block.h"

namespace lignum::storage {

inline constexpr const char* kHardStateFileName = "hard-state";
// What is being written.
inline constexpr const char* kHardStateTemporaryName = "hard-state.tmp";
// Groups a new file has room for, and the step by which it grows.
inline constexpr std::uint32_t kHardStateGroupStep = 64;
inline constexpr std::uint32_t kHardStateGroupsMax = 65536;

class HardStateFile {
 public:
  struct Loaded {
    // None when nothing was ever stored for the group.
    std::optional<raft::HardState> state;
    // True when a store() was cut short by a crash and its state was given up (it was never
    // acknowledged). The caller takes term = max(state, last entry).
    bool torn = false;
    // One sentence per bad block, with file and byte; empty when all is well.
    std::vector<std::string> damage;
  };

  // Makes the file of a new node: durable when it returns. kAlreadyExists when there is one.
  [[nodiscard]] static Result<std::unique_ptr<HardStateFile>> create(Directory& directory);
  // Opens the file of a known node. Makes what it read durable (a killed process may have left
  // unsynced bytes in the page cache) and heals. kNotFound when the file is gone: then no group of
  // this node may vote under its old incarnation; kCorrupt when both headers are bad; kUnsupported
  // for another format version. A file cut short is damage of the groups behind the cut.
  [[nodiscard]] static Result<std::unique_ptr<HardStateFile>> open(Directory& directory);

  // What open() and load() would say of one group; reads no other, and changes nothing.
  [[nodiscard]] static Result<Loaded> peek(Directory& directory, GroupId group);

  // The file as it lies there.
  struct Examined {
    struct BadBlock {
      std::uint64_t position = 0;
      std::optional<GroupId> group;  // none: a header
    };
    // Groups the file has room for.
    std::uint32_t groups = 0;
    std::vector<BadBlock> bad;
    // Whose last store() was cut short by a crash, and whose state is lost.
    std::vector<GroupId> torn;
    std::vector<GroupId> lost;
    std::uint64_t file_bytes = 0;
  };
  // Judges as open() does, and changes nothing.
  [[nodiscard]] static Result<Examined> examine(Directory& directory);

  ~HardStateFile() = default;
  HardStateFile(const HardStateFile&) = delete;
  HardStateFile& operator=(const HardStateFile&) = delete;

  // What open() found for the group, or the last state stored since. kCorrupt when all its copies
  // are bad; the message names the bytes.
  [[nodiscard]] Result<Loaded> load(GroupId group) const EXCLUDES(mutex_);

  // Writes both copies and flushes; the state is durable when this returns ok. Also repairs a group
  // whose load() was kCorrupt (a new incarnation starts with its first vote). kIo or kNoSpace:
  // nothing is known about the state on disk; the caller stops the process. kInvalidArgument for
  // a group number of kHardStateGroupsMax or more.
  [[nodiscard]] Result<void> store(GroupId group, const raft::HardState& state) EXCLUDES(mutex_);

 private:
  struct Repair {
    std::uint64_t position = 0;
    HardStateBlock block;
  };
  struct GroupRecord {
    std::uint64_t sequence = 0;  // of the newest good state
    Loaded loaded;
    bool lost = false;
    std::vector<std::uint64_t> bad;  // positions of blocks that do not check
    // What open() rewrites, in this order.
    std::vector<Repair> newest_repairs;
    std::vector<Repair> other_repairs;
  };
  struct Request {
    GroupId group;
    raft::HardState state;
    std::uint64_t sequence = 0;
    bool all_copies = false;  // nothing on disk is worth keeping: fill both slots
  };
  struct Batch {
    std::vector<Request> requests;
    std::uint64_t last_ticket = 0;
  };

  HardStateFile(std::unique_ptr<File> file, std::string path)
      : file_(std::move(file)), path_(std::move(path)) {}

  // Which of the headers are equal to the best one; learns the capacity.
  using GoodHeaders = std::array<bool, kHardStateHeaderCopies>;
  [[nodiscard]] Result<GoodHeaders> read_header();
  [[nodiscard]] Result<GroupRecord> read_group(GroupId group) const;
  // What is good of it; kCorrupt where it is lost.
  [[nodiscard]] static Result<Loaded> loaded_of(GroupId group, const GroupRecord& record);
  [[nodiscard]] Result<void> heal(const std::map<GroupId, GroupRecord>& groups);

  std::uint64_t enqueue(GroupId group, const raft::HardState& state) EXCLUDES(mutex_);
  // Waits until the ticket is done (then nothing) or this thread is the one to flush for all.
  std::optional<Batch> wait_turn(std::uint64_t ticket) EXCLUDES(mutex_);
  void finish(const Batch& batch, const Result<void>& result) EXCLUDES(mutex_);
  [[nodiscard]] Result<void> outcome() const EXCLUDES(mutex_);
  [[nodiscard]] Result<void> write_requests(const std::vector<Request>& requests);
  [[nodiscard]] Result<void> grow(std::uint32_t groups);

  // Both used by the one thread for which flushing_ is set, or before anybody has the object.
  std::unique_ptr<File> file_;
  std::uint32_t capacity_ = 0;  // groups
  std::string path_;

  mutable Mutex mutex_;
  ConditionVariable changed_;
  bool flushing_ GUARDED_BY(mutex_) = false;
  std::uint64_t next_ticket_ GUARDED_BY(mutex_) = 1;
  std::uint64_t done_ticket_ GUARDED_BY(mutex_) = 0;
  std::vector<Request> waiting_ GUARDED_BY(mutex_);  // at most one a group
  std::optional<Error> failure_ GUARDED_BY(mutex_);
  std::map<GroupId, GroupRecord> groups_ GUARDED_BY(mutex_);
};

}  // namespace lignum::storage
