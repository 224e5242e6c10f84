#pragma once

// Changes of who belongs to the groups of a simulated cluster, and of who leads them.
//
// Asks whatever node leads, as an operator would. Every node that was removed is taken in again by
// restore(): a log that is kept whole brings it up. No group is left with a single voter, which
// would begin to clean its log. A member that is lost is put out of its groups, and whoever its
// node has become is taken in, as a voter or first as a learner; until all of that is done no group
// gets voters of which half are lost (losses.h). Owned by Faults.

#include <span>
#include <vector>

#include "jepsen/sim/losses.h"
#include "jepsen/sim/sim_node.h"
#include "jepsen/sim/world.h"
#include "raft/membership.h"
#include "raft/random.h"
#include "raft/types.h"
#include "server/group/replica.h"

namespace lignum::jepsen {

class Churn {
 public:
  // All of them outlive it.
  Churn(World& world, std::vector<SimNode*> nodes, Losses& losses);

  // One group gets other voters and learners, one of those that `only` leads where it is given; one
  // group another leader. Nothing where none leads. Whoever leads a group that changes, else null.
  SimNode* change(Random& random, const SimNode* only = nullptr);
  // Asks a leader for what no group can be: members of whom none votes, or more than there may be.
  void ask_for_the_impossible(Random& random);
  void transfer(Random& random);
  // One step, in every group that is led, towards those that nodes have become in the place of
  // those that they were.
  void replace_lost(Random& random);
  // Until every node votes in every group again, and nobody else does.
  void restore();
  // A node that leads some group, by chance; null where nobody leads.
  [[nodiscard]] SimNode* draw_leader(Random& random) const;

 private:
  struct Seat {
    SimNode* node;
    server::Replica* replica;
  };
  // Who leads, of every group that is led.
  [[nodiscard]] std::vector<Seat> leaders() const;
  [[nodiscard]] std::vector<raft::MemberChange> changes_to(
      const raft::Membership& now, const std::vector<raft::MemberRole>& wanted) const;
  [[nodiscard]] std::vector<ReplicaId> lost_of(const raft::Membership& members) const;
  // False where the leader refuses, or must not be asked.
  bool ask(server::Replica& replica, std::span<const raft::MemberChange> changes);

  World& world_;
  const std::vector<SimNode*> nodes_;
  Losses& losses_;
};

}  // namespace lignum::jepsen
