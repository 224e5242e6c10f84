#pragma once

// Reads of a group's shards: from memory or through the cold-read pool below the watermark, parked
// at it.
//
// Owned by a data group, called from its lane. Only what was applied is served (rule C3). A parked
// read ends with new records of its shard, with a closed time, or at its deadline. Closed time is
// the append time of the group's last applied entry; a reader that needs more of it asks for a
// mark, and at most kMarksPerSecondMax marks a second are committed, only while somebody asks
// (rule F2).

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "raft/entry.h"
#include "raft/error.h"
#include "raft/types.h"
#include "server/group/ports.h"
#include "server/group/replica.h"
#include "server/group/requests.h"
#include "storage/log.h"

namespace lignum::server {

class ShardReader {
 public:
  static constexpr std::size_t kParkedMax = 16384;
  static constexpr std::size_t kReadBytesMax = std::size_t{4} << 20;
  // Batches of one answer: each takes some 30 to 50 bytes of the message's header, which is bounded
  // (net::MessageLimits::header_bytes_max).
  static constexpr std::size_t kReadBatchesMax = 4096;
  static constexpr std::int64_t kMarksPerSecondMax = 20;
  static constexpr std::int64_t kSkewMaxUs = 500'000;

  // Bounds of a shard as applied; none where it is not open here.
  using BoundsOf = std::function<std::optional<ShardBounds>(ShardKey)>;

  ShardReader(Replica& replica, Ports& ports, BoundsOf bounds_of);
  ~ShardReader();
  ShardReader(const ShardReader&) = delete;
  ShardReader& operator=(const ShardReader&) = delete;

  // kTrimmed and kOffsetOutOfRange come with the shard's bounds, kSkew where a closed time further
  // ahead than kSkewMaxUs was asked for, kUnavailable for a shard that is not open here, kHalted
  // for a closed time of a group that takes nothing more. Where records fail their checksum the
  // answer ends before them; one that would begin with them is kCorrupt, or kIo, with Refusal's
  // readable_from. Damage halts the group, whose other records are served.
  void read(const ReadRequest& request, Reply<ReadOutcome> reply);

  // An entry was applied.
  void on_applied(const Entry& entry);
  // A shard was dropped or trimmed: its parked reads are looked at again.
  void on_bounds_changed(ShardKey shard);
  // The state became another one by a snapshot: everything parked is looked at again.
  void on_restored();
  // Answers parked reads whose deadline has passed; returns the next one.
  std::optional<std::int64_t> on_timer(const Now& now);
  // Answers everything that is parked.
  void stop();

 private:
  struct Parked {
    ReadRequest request;
    Reply<ReadOutcome> reply;
  };
  void park(const ReadRequest& request, Reply<ReadOutcome> reply);
  void fetch(const ReadRequest& request, const ShardBounds& bounds, Reply<ReadOutcome> reply);
  // What a plan brought.
  struct Fetched {
    Result<std::vector<Entry>> entries;
    std::optional<storage::ReadTrouble> trouble;
  };
  // `below` is the watermark the read was planned with.
  void finish(const ReadRequest& request, Offset below, Fetched fetched, Reply<ReadOutcome> reply);
  // Ends the entries before the first one that should be among them and is not.
  static void check_for_holes(const ReadRequest& request, Offset below, Fetched& fetched);
  // Reads again everything parked on `shard`; what still waits is parked again.
  void wake(ShardKey shard);
  // Posts wake_ready() once.
  void schedule_wake();
  void wake_ready();
  void want_mark(TimeUs time);
  void try_mark(const Now& now);

  Replica& replica_;
  Ports& ports_;
  BoundsOf bounds_of_;
  std::unordered_map<ShardKey, std::vector<Parked>> parked_;
  std::size_t parked_count_ = 0;
  // Lower bounds over everything parked; recomputed when reached.
  std::int64_t earliest_deadline_ = 0;
  std::optional<TimeUs> lowest_close_;
  // Shards with news since the last wake_ready().
  std::vector<ShardKey> ready_;
  bool closed_moved_ = false;
  bool wake_posted_ = false;
  bool stopping_ = false;
  std::optional<TimeUs> mark_wanted_;
  std::int64_t next_mark_at_ = 0;
  std::shared_ptr<bool> alive_;
};

}  // namespace lignum::server
