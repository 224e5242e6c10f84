#pragma once

// Which members of a simulated cluster are gone for good, and who else may go.
//
// A node whose disk is lost comes back as another member (sim_node.h), and nobody speaks for the
// one that it was: to the groups that one is a server that has stopped for ever. Raft is safe
// whatever stops, so no loss of a disk ever excuses a broken promise. What too many losses do take
// is progress: then a group cannot go on, by design. So there is one rule, for losses and for
// changes of members alike:
//
//     of every set of voters that may still have to decide, more than half are not lost.
//
// Then an entry that was committed by a majority of such a set is held by one of those who are
// left, which are a majority, too: one of them can be elected, and has it. It does not matter which
// of them holds it, nor that a word of a lost member is still on its way: that was true when it was
// given, and counts as if the disk had died a moment later.
//
// Which sets may still decide: those of the members in force at the newest commit that a node knows
// of, for every later leader has these in its log; and those of every change that a leader has
// appended behind it, whether or not it is still in any log. What such a change leaves when it is
// over is a part of it. Nodes that are only down come back, and count as there.
//
// Owned by Faults.

#include <map>
#include <utility>
#include <vector>

#include "jepsen/sim/sim_node.h"
#include "raft/membership.h"
#include "raft/types.h"

namespace lignum::jepsen {

class Losses {
 public:
  // The nodes outlive it.
  explicit Losses(std::vector<SimNode*> nodes) : nodes_(std::move(nodes)) {}

  // Its node has become another member.
  [[nodiscard]] bool lost(const ReplicaId& member) const;
  // A leader has appended `members` to its group's log, at `index`. Told of every change that is
  // asked for.
  void on_change(GroupId group, Index index, const raft::Membership& members);

  // Could the disk of `node` be lost? No where nobody serves a group, so that nothing is known.
  [[nodiscard]] bool may_lose(const SimNode& node) const;
  // Could these be the voters of a group?
  [[nodiscard]] bool may_decide(const std::vector<ReplicaId>& voters) const;

 private:
  struct Change {
    Index index;
    raft::Membership members;
  };
  // More than half of the voters are neither lost nor `also`.
  [[nodiscard]] bool enough(const std::vector<ReplicaId>& voters, const ReplicaId* also) const;
  [[nodiscard]] bool enough(const raft::Membership& members, const ReplicaId& also) const;
  [[nodiscard]] bool may_lose(const ReplicaId& member, GroupId group) const;

  const std::vector<SimNode*> nodes_;
  std::map<GroupId, std::vector<Change>> changes_;
};

}  // namespace lignum::jepsen
