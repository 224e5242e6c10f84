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
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "net/peer_message.h"
#include "raft/entry.h"
#include "raft/payload.h"
#include "raft/types.h"
#include "server/group/leader_hint.h"
#include "server/group/ports.h"
#include "server/group/replica.h"
#include "server/group/requests.h"
#include "server/group/retainer.h"
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
  // How often a waiting append asks for room again.
  static constexpr std::int64_t kRoomPollUs = 500;

  // `state` was restored to `applied`. `leads` is called whenever this replica begins to admit, on
  // this lane: somebody has to see that the shards are those of the catalogue. `damaged` is called
  // there when it was halted because its log cannot be read.
  DataGroup(
      ReplicaParts parts, const AppliedMark& applied, std::unique_ptr<ShardState> state,
      Ports& ports, std::function<void()> leads = [] {}, std::function<void()> damaged = [] {});
  ~DataGroup() override;
  DataGroup(const DataGroup&) = delete;
  DataGroup& operator=(const DataGroup&) = delete;

  // Begins; `settled` runs once: where the group has no other members, when appends are taken or
  // the group was halted, else at once.
  void start(Task settled);
  // See Replica::stop; whatever waits or is parked is answered first.
  void stop(Task done);

  // Of other replicas of the group.
  void receive(net::PeerMessage message) { replica_.receive(std::move(message)); }
  void unreachable(ReplicaId peer) { replica_.unreachable(peer); }

  void append(AppendRequest request, Reply<AppendOutcome> reply);
  void read(const ReadRequest& request, Reply<ReadOutcome> reply);
  void offsets(const OffsetsRequest& request, Reply<OffsetsOutcome> reply);
  [[nodiscard]] std::expected<ShardStatusOutcome, Refusal> shard_status(ShardKey shard) const;
  // Trims to `before`, clamped to the watermark.
  void trim(ShardKey shard, Offset before, std::int64_t deadline_monotonic_us,
            Reply<TrimOutcome> reply);

  // Makes the shards held here those of `wanted`: opens what is missing, drops what is not in it
  // and whose stream has an id below `next_stream`: the list does not know of streams from there
  // on. Idempotent; answered when all of it is applied, at once where nothing is to be done.
  void reconcile(const std::vector<ShardSettings>& wanted, StreamId next_stream,
                 std::int64_t deadline_monotonic_us, Reply<Done> reply);
  // Opens what is missing of `wanted`, drops nothing.
  void open_shards(const std::vector<ShardSettings>& wanted, std::int64_t deadline_monotonic_us,
                   Reply<Done> reply);

  [[nodiscard]] ReplicaStatus status() const { return replica_.status(); }
  // For who watches from outside; changes nothing by it.
  [[nodiscard]] Replica& replica() { return replica_; }
  // Who leads, as far as is known here. From any thread.
  [[nodiscard]] std::optional<NodeId> leader() const { return leader_.get(); }
  [[nodiscard]] std::size_t shard_count() const { return state_->shards().size(); }
  // What was applied; for who watches from outside, on the lane.
  [[nodiscard]] const ShardState& state() const { return *state_; }
  // Appends are refused because the disk is full.
  [[nodiscard]] bool disk_full() const;
  [[nodiscard]] const DataGroupCounters& counters() const { return counters_; }

 private:
  struct Queued {
    AppendRequest request;
    Reply<AppendOutcome> reply;
  };

  void on_leader(std::optional<ReplicaId> leader) override { leader_.set(leader); }
  void on_admitting() override;
  void on_leadership_lost() override;
  void on_halted() override;
  void on_applied(const Entry& entry) override;
  void on_restored() override;
  std::optional<std::int64_t> on_timer(const Now& now) override;

  void enqueue(AppendRequest request, Reply<AppendOutcome> reply);
  void drain_queue(const Now& now);
  void refuse_queue(const Refusal& refusal);
  // Room there is: decides and proposes.
  void admit(const AppendRequest& request, Reply<AppendOutcome> reply);
  void propose_batch(const AppendRequest& request, Reply<AppendOutcome> reply, Offset base);
  void refuse_when_applied(const Refused& refused, const AppendRequest& request,
                           Reply<AppendOutcome> reply);
  [[nodiscard]] Refusal not_admitting() const;
  [[nodiscard]] OffsetsOutcome offsets_now(const Shard& shard, const OffsetsRequest& request) const;
  // Sends `answer()` once it is certain that no other leader could answer differently (rule A3).
  template <class T>
  void refuse_when_confirmed(std::int64_t deadline_monotonic_us, std::function<Refusal()> answer,
                             Reply<T> reply);
  void await_original(LogId original, const AppendRequest& request, Reply<AppendOutcome> reply);
  [[nodiscard]] Result<LogId> propose_command(Payload command, EntryUse use);
  // Answers when the last of what was proposed is applied.
  void answer_after(const Result<std::optional<LogId>>& last, std::int64_t deadline_monotonic_us,
                    Reply<Done> reply);
  Result<std::optional<LogId>> propose_opens(const std::vector<ShardSettings>& wanted);
  void forget_below_start(ShardKey shard);
  // The same of every shard, also of those that were dropped in an earlier life: where the log
  // holds nothing that is not applied, for shards are opened by entries, too.
  void forget_below_starts();
  void settle();

  Ports& ports_;
  std::function<void()> leads_;
  std::function<void()> damaged_;
  LeaderHint leader_;
  std::unique_ptr<ShardState> state_;
  Replica replica_;
  Admission admission_;
  ShardReader reader_;
  Retainer retainer_;
  Task settled_;
  std::deque<Queued> queue_;
  std::size_t queued_bytes_ = 0;
  // Of the last append that found no room.
  bool disk_full_ = false;
  DataGroupCounters counters_;
  // The log has not been told since start what is not needed.
  bool starts_untold_ = true;
};

}  // namespace lignum::server
