#include "jepsen/sim/losses.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "jepsen/sim/sim_node.h"
#include "raft/core.h"
#include "raft/membership.h"
#include "raft/types.h"
#include "server/group/group_host.h"
#include "server/group/replica.h"

namespace lignum::jepsen {

bool Losses::lost(const ReplicaId& member) const {
  return nodes_.at(member.node.value() - 1)->self() != member;
}

void Losses::on_change(GroupId group, Index index, const raft::Membership& members) {
  changes_[group].push_back({.index = index, .members = members});
}

bool Losses::enough(const std::vector<ReplicaId>& voters, const ReplicaId* also) const {
  const auto left = std::ranges::count_if(voters, [&](const ReplicaId& voter) {
    return !lost(voter) && (also == nullptr || voter != *also);
  });
  return 2 * static_cast<std::size_t>(left) > voters.size();
}

bool Losses::enough(const raft::Membership& members, const ReplicaId& also) const {
  return enough(members.voters, &also) && (!members.joint() || enough(members.outgoing, &also));
}

bool Losses::may_decide(const std::vector<ReplicaId>& voters) const {
  return enough(voters, nullptr);
}

bool Losses::may_lose(const SimNode& node) const {
  for (std::uint32_t group = 0; group <= node.plan().data_groups; ++group) {
    if (!may_lose(node.self(), GroupId(group))) return false;
  }
  return true;
}

bool Losses::may_lose(const ReplicaId& member, GroupId group) const {
  const raft::Core* newest = nullptr;
  for (SimNode* node : nodes_) {
    if (node->state() != SimNode::State::kServing) continue;
    for (const server::Replica* replica : node->host()->replicas()) {
      if (replica->group() != group) continue;
      const raft::Core& core = replica->core();
      if (newest == nullptr || core.commit() > newest->commit()) newest = &core;
    }
  }
  if (newest == nullptr || !enough(newest->membership_at(newest->commit()), member)) return false;
  const auto changes = changes_.find(group);
  return changes == changes_.end() ||
         std::ranges::all_of(changes->second, [&](const Change& change) {
           return change.index <= newest->commit() || enough(change.members, member);
         });
}

}  // namespace lignum::jepsen
