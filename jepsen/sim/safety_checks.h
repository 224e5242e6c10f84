#pragma once

// The promises that are watched at every step of a simulated run.
//
// Looks from outside at what replicas say and at what the simulated disks hold, and believes only
// the latter. Incremental: a look costs what has changed since the last one. A breach is told to
// the World and ends the run. Owned by a Run.
//
//   - One leader at most for each term of a group. It has everything that was ever committed, and
//     the disks of a majority of its voters say that they gave it their vote. It only appends, and
//     commits by its followers' count only entries of its own term (thesis 3.6.2); what it knows
//     its followers to hold never shrinks.
//   - Within one life a replica's term, commit and applied index never go back; applied <= commit,
//   and applied <=
//     what it has flushed.
//   - A commit of a leader is what the majorities of its members hold, counted anew; a joint
//     membership is left when it is committed, and not before (thesis 4.3).
//   - Log matching: logs that end in the same (term, index) have the same chain, so the same
//     entries before it, and the same members. One canonical chain of committed entries, the same
//     on every replica.
//   - A vote or a candidacy is on the sender's disk when it leaves, and the only one of its term.
//     What an append ack promises is there, too, and is what the leader has there; so is what a
//     replica has applied, and what is committed, on a majority of disks: now and then a disk is
//     copied as a power cut would leave it, with nothing kept that was not synced, and opened.
//   - A replica holds what it has acknowledged, also when it comes back. What it calls durable is
//     what its log holds there.
//   - A node speaks only for the member that it is. All of this is remembered by member: one whose
//     node has lost its disk counts with what that disk held, as if it had stopped for good, and
//     whoever comes in its place begins with nothing.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "jepsen/check/history.h"
#include "jepsen/sim/sim_disk.h"
#include "jepsen/sim/sim_node.h"
#include "jepsen/sim/world.h"
#include "net/peer_message.h"
#include "raft/core.h"
#include "raft/membership.h"
#include "raft/messages.h"
#include "raft/random.h"
#include "raft/types.h"
#include "server/group/replica.h"

namespace lignum::jepsen {

class SafetyChecks {
 public:
  explicit SafetyChecks(World& world);

  // Every node of the cluster; they outlive the checks' use.
  void watch(std::vector<SimNode*> nodes);
  // Disks are damaged at rest: a replica may be halted for it until it is repaired, and what a disk
  // holds proves nothing. `beyond`: terms and votes may be lost, too.
  void expect_damage(bool beyond) {
    damage_expected_ = true;
    losses_expected_ = beyond;
  }
  // After everything that ran on the node.
  void look_at(SimNode& node);
  // A message leaves the node.
  void on_send(SimNode& node, const net::PeerMessage& message);
  // At the end of a run: all that clients and replicas saw.

  struct Counts {
    std::uint64_t disk_probes = 0;
    std::uint64_t vote_probes = 0;
    std::uint64_t committed_entries = 0;
    std::uint64_t leaders = 0;
    // That a follower has installed.
    std::uint64_t snapshots = 0;
  };
  [[nodiscard]] const Counts& counts() const { return counts_; }

 private:
  // What a replica was last seen to be.
  struct Seen {
    std::uint64_t life = 0;
    // A repaired log comes with another replica in the same life.
    const server::Replica* replica = nullptr;
    Term term;
    Index commit;
    Index applied;
    LogId last;
    raft::Role role = raft::Role::kFollower;
    [[nodiscard]] bool leads() const { return role == raft::Role::kLeader; }
    std::uint64_t snapshots = 0;
    // What its log has taken; the core's last entry may be ahead of it.
    LogId written;
    Index durable;
    bool joint = false;
    // Of a leader: what its followers hold.
    std::vector<raft::PeerStatus> peers{};
    // The highest log that it has promised to hold, and the term of the leader that was told so.
    LogId promised;
    Term promised_in;
  };
  struct Group {
    std::map<Term, ReplicaId> leaders;
    // Who was voted for, by whom and in which term.
    std::map<std::pair<ReplicaId, Term>, ReplicaId> votes;
    // Where the logs of candidates ended.
    std::map<std::pair<ReplicaId, Term>, LogId> candidacies;
    std::map<LogId, Hash128> chains;
    std::map<LogId, raft::Membership> members;
    // Of each committed entry, as the first replica that applied it has it.
    std::vector<std::optional<Term>> committed;
  };

  // A node's replicas, and what each was last seen to be.
  struct Watched {
    std::uint64_t life = 0;
    std::vector<std::pair<const server::Replica*, Seen*>> replicas;
  };

  [[nodiscard]] const Watched& watched(SimNode& node);
  // Null where the node does not run, or has no such group.
  [[nodiscard]] const server::Replica* find_replica(SimNode& node, GroupId group);
  void look_at_replica(SimNode& node, const server::Replica& replica, Seen& seen);
  void look_at_role(SimNode& node, const server::Replica& replica, const Seen& seen);
  // What one replica may be, and how it may change, whatever its role.
  [[nodiscard]] bool overruled(const server::Replica& replica, const Seen& seen);
  void look_at_state(SimNode& node, const server::Replica& replica, Seen& seen);
  void look_at_peers(SimNode& node, const server::Replica& replica, Seen& seen);
  void look_at_new_leader(SimNode& node, const server::Replica& replica);
  void look_at_log(SimNode& node, const server::Replica& replica, const Seen& seen);
  void take_committed(SimNode& node, const server::Replica& replica, Index from, Index to);
  // A leader may have left the joint members that are still the newest in the log of a follower.
  [[nodiscard]] bool left_joint(GroupId group, LogId applied,
                                const std::function<bool(const ReplicaId&)>& holds);
  void probe_commit(SimNode& node, const server::Replica& replica);
  // Its disk as a power cut would leave it, or has left it; null for who never was.
  [[nodiscard]] std::unique_ptr<SimDisk> image_of(const ReplicaId& member,
                                                  std::uint64_t seed) const;
  void look_at_old_leader(SimNode& node, const server::Replica& replica, const Seen& seen);
  void check_ack_of_leader(SimNode& node, GroupId group, Term term, LogId promised);
  [[nodiscard]] static bool same_life(const SimNode& node, const server::Replica& replica,
                                      const Seen& seen) {
    return seen.life == node.lives() && seen.replica == &replica;
  }
  [[nodiscard]] bool probe_is_due(std::uint64_t probes);
  void check_vote(SimNode& node, GroupId group, Term term, const ReplicaId& vote);
  void check_electable(SimNode& node, GroupId group, Term term, const ReplicaId& candidate);
  void check_ack(SimNode& node, GroupId group, const raft::AppendReply& reply);
  void breach(const SimNode& node, GroupId group, const std::string& what);

  World& world_;
  Random random_;
  std::vector<SimNode*> nodes_;
  std::map<ReplicaId, std::map<GroupId, Seen>> seen_;
  std::vector<Watched> watched_;
  std::map<GroupId, Group> groups_;
  Counts counts_;
  bool damage_expected_ = false;
  bool losses_expected_ = false;
};

}  // namespace lignum::jepsen
