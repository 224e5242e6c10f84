#pragma once

// A data group: the shards of one Raft group, and everything that can be asked of them.
//
// Owned by the group host, living on one lane for life; every method is called there. It joins the
// replica (order and durability), the shard state (what was applied), the admission (what may be
// appended, over applied + in-flight state) and the reader. Each request is answered through its
// Reply exactly once; nothing blocks.
//
// The append path, in one step for each batch and without touching its records:
//   admission -> base offset -> stamp -> propose -> (flush, commit, apply) -> reply
// A rejection that rests on entries still in flight is sent only when they are applied (rule A3).
// While a segment is being prepared appends wait in order, bounded; when the disk is full they are
// refused with kNoSpace and everything else goes on.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "raft/entry.h"
#include "raft/error.h"
#include "raft/types.h"
#include "server/group/ports.h"
#include "server/group/replica.h"
#include "server/group/requests.h"
#include "server/group/shard_reader.h"
#include "server/group/waiters.h"
#include "server/shard/admission.h"
#include "server/shard/shard_state.h"

namespace lignum::server {

// Counted since start, for `stat`.
struct DataGroupCounters {
  std::uint64_t appended_records = 0;
  std::uint64_t appended_bytes = 0;
};

class DataGroup final : public ReplicaOwner {
 public:
  // Bytes of appends that wait for a segment; beyond it they are refused with kOverloaded.
  static constexpr std::size_t kQueuedBytesMax = std::size_t{32} << 20;
  static constexpr std::int64_t kRetentionTickUs = 1'000'000;

  // `state` was restored to `applied`.
  DataGroup(ReplicaParts parts, AppliedMark applied, std::unique_ptr<ShardState> state,
            Ports& ports);
  ~DataGroup() override;
  DataGroup(const DataGroup&) = delete;
  DataGroup& operator=(const DataGroup&) = delete;

  // Campaigns; `admitting` is called once, when appends are taken (or the group was halted).
  void start(Task admitting);
  // See Replica::stop; parked reads are answered first.
  void stop(Task done);

  void append(AppendRequest request, Reply<AppendOutcome> reply);
  void read(const ReadRequest& request, Reply<ReadOutcome> reply);
  [[nodiscard]] std::expected<OffsetsOutcome, Refusal> offsets(const OffsetsRequest& request) const;
  [[nodiscard]] std::expected<ShardStatusOutcome, Refusal> shard_status(ShardKey shard) const;
  // Trims to `before`, clamped to the watermark.
  void trim(ShardKey shard, Offset before, std::int64_t deadline_monotonic_us,
            Reply<TrimOutcome> reply);

  // Idempotent: answered at once where nothing is to be done.
  void open_shard(const ShardSettings& settings, Reply<Done> reply);
  void drop_shard(ShardKey shard, Reply<Done> reply);
  // Every shard open here.
  [[nodiscard]] std::vector<ShardKey> shards() const;

  [[nodiscard]] ReplicaStatus status() const { return replica_.status(); }
  [[nodiscard]] const DataGroupCounters& counters() const { return counters_; }

 private:
  void on_admitting() override;
  void on_leadership_lost() override;
  void on_applied(const Entry& entry) override;
  std::optional<std::int64_t> on_timer(const Now& now) override;

  // Answers, or queues the request and returns it, where a segment must be prepared first.
  void admit(AppendRequest request, Reply<AppendOutcome> reply);
  void propose_batch(AppendRequest request, Reply<AppendOutcome> reply, Offset base);
  void answer_applied(ShardKey shard, LogId id, Reply<AppendOutcome> reply);
  void drain_queue();
  void propose_command(Payload command, std::int64_t deadline_monotonic_us, Reply<Done> reply);
  void retain(const Now& now);

  struct Queued {
    AppendRequest request;
    Reply<AppendOutcome> reply;
  };

  Ports& ports_;
  std::unique_ptr<ShardState> state_;
  Replica replica_;
  Admission admission_;
  ShardReader reader_;
  Task admitting_;
  std::deque<Queued> queue_;
  std::size_t queued_bytes_ = 0;
  bool disk_full_ = false;
  std::int64_t next_retention_ = 0;
  DataGroupCounters counters_;
  std::shared_ptr<bool> alive_;
};

}  // namespace lignum::server
