#include "jepsen/sim/churn.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "jepsen/sim/event_queue.h"
#include "jepsen/sim/sim_network.h"
#include "jepsen/sim/sim_node.h"
#include "jepsen/sim/world.h"
#include "net/moment.h"
#include "raft/core.h"
#include "raft/membership.h"
#include "raft/output.h"
#include "raft/random.h"
#include "raft/types.h"
#include "server/group/group_host.h"
#include "server/group/replica.h"

namespace lignum::jepsen {

namespace {

constexpr Moment kRestoreEvery = 100 * net::kMillisecond;

raft::MemberRole role_in(const raft::Membership& members, const ReplicaId& replica) {
  if (std::ranges::binary_search(members.voters, replica)) return raft::MemberRole::kVoter;
  return members.is_learner(replica) ? raft::MemberRole::kLearner : raft::MemberRole::kNone;
}

raft::MemberRole draw_role(Random& random) {
  const std::uint64_t draw = random.below(10);
  if (draw < 6) return raft::MemberRole::kVoter;
  return draw < 8 ? raft::MemberRole::kLearner : raft::MemberRole::kNone;
}

}  // namespace

Churn::Churn(World& world, std::vector<SimNode*> nodes) : world_(world), nodes_(std::move(nodes)) {}

std::vector<Churn::Seat> Churn::leaders() const {
  std::vector<Seat> all;
  for (SimNode* node : nodes_) {
    if (node->state() != SimNode::State::kServing || node->paused()) continue;
    for (server::Replica* replica : node->host()->replicas()) {
      if (replica->core().role() == raft::Role::kLeader) {
        all.push_back({.node = node, .replica = replica});
      }
    }
  }
  return all;
}

SimNode* Churn::draw_leader(Random& random) const {
  const std::vector<Seat> all = leaders();
  return all.empty() ? nullptr : all[random.below(all.size())].node;
}

std::vector<raft::MemberChange> Churn::changes_to(
    const raft::Membership& now, const std::vector<raft::MemberRole>& wanted) const {
  std::vector<raft::MemberChange> changes;
  for (const SimNode* node : nodes_) {
    const ReplicaId replica = replica_of(node->number());
    const raft::MemberRole role = wanted.at(node->number());
    if (role_in(now, replica) != role) changes.push_back({.replica = replica, .role = role});
  }
  return changes;
}

SimNode* Churn::change(Random& random, const SimNode* only) {
  std::vector<Seat> all = leaders();
  if (only != nullptr) std::erase_if(all, [&](const Seat& seat) { return seat.node != only; });
  if (all.empty() || nodes_.size() < 3) return nullptr;
  const Seat& seat = all[random.below(all.size())];
  server::Replica& replica = *seat.replica;
  std::vector<raft::MemberRole> wanted;
  wanted.reserve(nodes_.size());
  for (std::size_t i = 0; i < nodes_.size(); ++i) wanted.push_back(draw_role(random));
  if (std::ranges::count(wanted, raft::MemberRole::kVoter) < 2) {
    std::ranges::fill(wanted, raft::MemberRole::kVoter);
  }
  const auto changes = changes_to(replica.core().membership(), wanted);
  if (changes.empty() || !replica.change_membership(changes)) return nullptr;
  ++world_.faults["members changed"];
  return seat.node;
}

void Churn::transfer(Random& random) {
  const std::vector<Seat> all = leaders();
  if (all.empty()) return;
  server::Replica& replica = *all[random.below(all.size())].replica;
  const ReplicaId to = replica_of(static_cast<HostNumber>(random.below(nodes_.size())));
  if (replica.transfer_leadership(to)) ++world_.faults["leadership handed over"];
}

void Churn::restore() {
  const std::vector<raft::MemberRole> wanted(nodes_.size(), raft::MemberRole::kVoter);
  for (const Seat& seat : leaders()) {
    const auto changes = changes_to(seat.replica->core().membership(), wanted);
    // What must wait for an earlier change is tried again.
    if (!changes.empty()) (void)seat.replica->change_membership(changes);
  }
  world_.queue.after(kRestoreEvery, [this] { restore(); });
}

}  // namespace lignum::jepsen
