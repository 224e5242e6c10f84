#include "jepsen/sim/churn.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "jepsen/sim/event_queue.h"
#include "jepsen/sim/losses.h"
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

// No node has this number, nor a higher one.
constexpr std::uint32_t kStrangersFrom = 1000;
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

Churn::Churn(World& world, std::vector<SimNode*> nodes, Losses& losses)
    : world_(world), nodes_(std::move(nodes)), losses_(losses) {}

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
    const ReplicaId replica = node->self();
    const raft::MemberRole role = wanted.at(node->number());
    if (role_in(now, replica) != role) changes.push_back({.replica = replica, .role = role});
  }
  return changes;
}

std::vector<ReplicaId> Churn::lost_of(const raft::Membership& members) const {
  std::vector<ReplicaId> all = members.members();
  std::erase_if(all, [this](const ReplicaId& member) { return !losses_.lost(member); });
  return all;
}

bool Churn::ask(server::Replica& replica, std::span<const raft::MemberChange> changes) {
  const auto next =
      raft::enter_joint(replica.core().membership(), changes, raft::LeaveJoint::kAutomatic);
  if (next && !losses_.may_decide(next->voters)) return false;
  const auto appended = replica.change_membership(changes);
  if (!appended) return false;
  losses_.on_change(replica.group(), appended->index, replica.core().membership());
  return true;
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
  auto changes = changes_to(replica.core().membership(), wanted);
  const std::vector<ReplicaId> lost = lost_of(replica.core().membership());
  if (!lost.empty() && random.chance(1, 2)) {
    for (const ReplicaId& member : lost) {
      changes.push_back({.replica = member, .role = raft::MemberRole::kNone});
    }
  }
  if (changes.empty() || !ask(replica, changes)) return nullptr;
  ++world_.faults["members changed"];
  return seat.node;
}

void Churn::ask_for_the_impossible(Random& random) {
  const std::vector<Seat> all = leaders();
  if (all.empty()) return;
  server::Replica& replica = *all[random.below(all.size())].replica;
  std::vector<raft::MemberChange> changes;
  if (random.chance(1, 2)) {
    for (const ReplicaId& member : replica.core().membership().members()) {
      changes.push_back({.replica = member, .role = raft::MemberRole::kNone});
    }
  } else {
    // Too many of one kind, or of all kinds together.
    const bool one_kind = random.chance(1, 2);
    for (std::uint32_t i = 0; i < raft::kMembersMax + 1; ++i) {
      const bool votes = !one_kind && i % 2 == 0;
      changes.push_back(
          {.replica = {.node = NodeId(kStrangersFrom + i), .incarnation = NodeIncarnation(1)},
           .role = votes ? raft::MemberRole::kVoter : raft::MemberRole::kLearner});
    }
  }
  if (!replica.change_membership(changes)) return;
  world_.violate(Verdict::kSafety, "a group was given members that it can not have");
}

void Churn::transfer(Random& random) {
  const std::vector<Seat> all = leaders();
  if (all.empty()) return;
  server::Replica& replica = *all[random.below(all.size())].replica;
  const ReplicaId to = nodes_[random.below(nodes_.size())]->self();
  if (!replica.transfer_leadership(to)) return;
  ++world_.faults["leadership handed over"];
  // Whoever asks again while it is under way asks for the same, or for another.
  if (random.chance(1, 2)) (void)replica.transfer_leadership(to);
  if (random.chance(1, 4)) {
    (void)replica.transfer_leadership(nodes_[random.below(nodes_.size())]->self());
  }
}

void Churn::replace_lost(Random& random) {
  for (const Seat& seat : leaders()) {
    const raft::Membership& members = seat.replica->core().membership();
    std::vector<raft::MemberChange> changes;
    for (const ReplicaId& member : lost_of(members)) {
      changes.push_back({.replica = member, .role = raft::MemberRole::kNone});
      const ReplicaId heir = nodes_.at(member.node.value() - 1)->self();
      if (members.contains(heir)) continue;
      const bool votes = members.is_voter(member) && random.chance(1, 2);
      changes.push_back(
          {.replica = heir, .role = votes ? raft::MemberRole::kVoter : raft::MemberRole::kLearner});
    }
    // The second step of those who began as learners; the leader refuses until they have caught up.
    const bool replaced = changes.empty();
    for (const ReplicaId& learner : members.learners) {
      const bool heir = learner != replica_of(learner.node.value() - 1);
      if (replaced && heir) {
        changes.push_back({.replica = learner, .role = raft::MemberRole::kVoter});
      }
    }
    if (!changes.empty() && ask(*seat.replica, changes)) ++world_.faults["lost member replaced"];
  }
}

void Churn::restore() {
  const std::vector<raft::MemberRole> wanted(nodes_.size(), raft::MemberRole::kVoter);
  for (const Seat& seat : leaders()) {
    const raft::Membership& members = seat.replica->core().membership();
    auto changes = changes_to(members, wanted);
    for (const ReplicaId& member : lost_of(members)) {
      changes.push_back({.replica = member, .role = raft::MemberRole::kNone});
    }
    // What must wait for an earlier change is tried again.
    if (!changes.empty()) (void)ask(*seat.replica, changes);
  }
  world_.queue.after(kRestoreEvery, [this] { restore(); });
}

}  // namespace lignum::jepsen
