#pragma once

// Group 0: the catalogue of streams, the placement of their shards, blocks of producer ids.
//
// Owned by the group host, living on one lane; every method is called there. A change is proposed
// as a command and decided by apply; the answer is what the catalogue says right after. After each
// change the routing table is swapped into the router.
//
// A stream is made in two steps: the command here, then its shards in their groups, then the
// answer. The reconciler closes the gap that a crash or a full disk leaves between the two: at
// every start, and every kReconcileEveryUs while something is known to be missing, it gives each
// data group the full list of its shards, and the group opens and drops what differs. All of it is
// idempotent. A group that was halted is left alone.
//
// With several nodes, each reconciles the data groups that it leads, from its own copy of the
// catalogue, once a read index has confirmed that it is the newest: so a group is changed by
// whoever leads it, and group 0 need not know who that is. The maker of a stream may be answered
// before the shards of groups led elsewhere are open; until then they are answered kUnavailable.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <expected>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "net/peer_message.h"
#include "net/routing_table.h"
#include "raft/entry.h"
#include "raft/error.h"
#include "raft/payload.h"
#include "raft/types.h"
#include "server/group/leader_hint.h"
#include "server/group/ports.h"
#include "server/group/read_waiters.h"
#include "server/group/replica.h"
#include "server/group/requests.h"
#include "server/meta/meta_state.h"
#include "server/router.h"
#include "server/shard/shard_state.h"
#include "storage/identity_file.h"

namespace lignum::server {

// What a creator did not say.
struct MetaDefaults {
  std::uint32_t shards = 4;
  std::int64_t retention_ms = -1;
  std::int64_t retention_bytes = -1;
};

struct CreateStreamRequest {
  std::string name;
  std::optional<std::uint32_t> shards;
  std::optional<std::int64_t> retention_ms;
  std::optional<std::int64_t> retention_bytes;
  std::int64_t deadline_monotonic_us = 0;
};

struct CreateStreamOutcome {
  net::StreamRoute stream;
  bool existed = false;
};

class MetaGroup final : public ReplicaOwner {
 public:
  static constexpr std::int64_t kReconcileEveryUs = 1'000'000;
  // Changes of the catalogue within this share one round.
  static constexpr std::int64_t kReconcileSoonUs = 20'000;
  static constexpr std::int64_t kBeginRetryUs = 1'000'000;
  // Producer ids taken from group 0 at once; those left at a restart are never used.
  static constexpr std::uint32_t kProducerBlock = 1000;
  // Clients that wait for a block to be committed.
  static constexpr std::size_t kProducersWaitingMax = 10'000;

  struct Parts {
    ReplicaParts replica;
    AppliedMark applied;
    std::unique_ptr<MetaState> state;
    storage::NodeIdentity identity;
    // Of the data directory; what the first command of a cluster says.
    std::vector<GroupId> data_groups;
    MetaDefaults defaults;
    // Called on the lane when the replica was halted because its log cannot be read.
    std::function<void()> damaged = [] {};
  };
  // `router` outlives the group.
  MetaGroup(Parts parts, Ports& ports, Router& router);
  ~MetaGroup() override;
  MetaGroup(const MetaGroup&) = delete;
  MetaGroup& operator=(const MetaGroup&) = delete;

  // Begins; `settled` runs once: where the group has no other members, when the cluster is
  // initialised and the data groups have been reconciled once, or the group was halted; else at
  // once. The data groups have settled before.
  void start(Task settled);
  void stop(Task done);

  // Of other replicas of the group.
  void receive(net::PeerMessage message) { replica_.receive(std::move(message)); }
  void unreachable(ReplicaId peer) { replica_.unreachable(peer); }

  // A data group has a new leader here, which has to be told its shards.
  // Initialises the cluster where that was never done, then makes the groups what they should be.
  void begin();
  void reconcile_soon();

  // kInvalidArgument for a name, kAlreadyExists where a stream of that name differs.
  void create_stream(const CreateStreamRequest& request, Reply<CreateStreamOutcome> reply);
  // Answers with the id it had. kNotFound.
  void delete_stream(const std::string& name, std::int64_t deadline_monotonic_us,
                     Reply<StreamId> reply);
  // An id that no producer ever had.
  void new_producer(std::int64_t deadline_monotonic_us, Reply<ProducerId> reply);

  // Runs `use` when this replica's catalogue, and the router's table with it, holds everything that
  // was committed anywhere before; or with the reason why that cannot be said.
  void when_current(std::int64_t deadline_monotonic_us, ReadWaiters::Callback use);

  [[nodiscard]] ReplicaStatus status() const { return replica_.status(); }
  // For who watches from outside; changes nothing by it.
  [[nodiscard]] Replica& replica() { return replica_; }
  // Who leads, as far as is known here. From any thread.
  [[nodiscard]] std::optional<NodeId> leader() const { return leader_.get(); }

 private:
  void on_leader(std::optional<ReplicaId> leader) override { leader_.set(leader); }
  void on_admitting() override;
  void on_leadership_lost() override;
  void on_halted() override;
  void on_applied(const Entry& entry) override;
  void on_restored() override;
  std::optional<std::int64_t> on_timer(const Now& now) override;

  // Proposes and answers when it is applied.
  void propose(Payload command, std::int64_t deadline_monotonic_us, Reply<Done> reply,
               EntryUse use = EntryUse::kTakesSpace);
  void publish();
  void settle();
  [[nodiscard]] Refusal not_admitting() const;
  // Gives every data group the list of its shards; `done` is told when all have answered. A group
  // that is led elsewhere is reconciled there.
  void reconcile(std::int64_t deadline_monotonic_us, Reply<Done> done);
  // With the catalogue as it is applied here, which is the newest.
  void reconcile_now(std::int64_t deadline_monotonic_us, Reply<Done> done);
  void reconcile_at(std::int64_t monotonic_us);
  // Asks several groups and answers once: with the first refusal, if there was one.
  using Ask = std::function<void(DataGroup&, const std::vector<ShardSettings>&, Reply<Done>)>;
  void ask_groups(const std::map<GroupId, std::vector<ShardSettings>>& shards, const Ask& ask,
                  Reply<Done> done);
  void created(const CreateStreamRequest& request, bool existed, Reply<CreateStreamOutcome> reply);
  void serve_producers();

  Ports& ports_;
  Router& router_;
  LeaderHint leader_;
  std::unique_ptr<MetaState> state_;
  std::function<void()> damaged_;
  Replica replica_;
  storage::NodeIdentity identity_;
  std::vector<GroupId> data_groups_;
  MetaDefaults defaults_;
  Task settled_;
  // Data groups differ from the catalogue, as far as is known.
  bool dirty_ = true;
  bool reconciling_ = false;
  std::int64_t next_reconcile_ = 0;
  // Of a leader: when begin() is tried again.
  std::optional<std::int64_t> begin_at_;
  bool begin_failed_ = false;
  ProducerId next_producer_{0};
  std::uint32_t producers_left_ = 0;
  bool allocating_ = false;
  std::deque<Reply<ProducerId>> producers_waiting_;
  std::shared_ptr<bool> alive_;
};

}  // namespace lignum::server
