#pragma once

// Changes of who belongs to the groups of a simulated cluster, and of who leads them.
//
// Asks whatever node leads, as an operator would. Every node that was removed is taken in again by
// restore(): a log that is kept whole brings it up. No group is left with a single voter, which
// would begin to clean its log. Owned by Faults.

#include <functional>
#include <vector>

#include "jepsen/sim/sim_node.h"
#include "jepsen/sim/world.h"
#include "raft/membership.h"
#include "raft/random.h"
#include "raft/types.h"
#include "server/group/replica.h"

namespace lignum::jepsen {

class Churn {
 public:
  // World and nodes outlive it.
  Churn(World& world, std::vector<SimNode*> nodes);

  // One group gets other voters and learners, one of those that `only` leads where it is given; one
  // group another leader. Nothing where none leads. Whoever leads a group that changes, else null.
  SimNode* change(Random& random, const SimNode* only = nullptr);
  void transfer(Random& random);
  // Until every node votes in every group again.
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

  World& world_;
  const std::vector<SimNode*> nodes_;
};

}  // namespace lignum::jepsen
