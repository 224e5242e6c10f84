// Who belongs to the group: changes of membership by joint consensus (Raft thesis 4.1, 4.2.1,
// 4.2.2, 4.3). Part of Core; see core_state.h.

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "raft/check.h"
#include "raft/core.h"
#include "raft/core_state.h"
#include "raft/entry.h"
#include "raft/error.h"
#include "raft/inflights.h"
#include "raft/membership.h"
#include "raft/messages.h"
#include "raft/mutant.h"
#include "raft/progress.h"
#include "raft/types.h"

namespace lignum::raft {

Result<void> Core::State::may_reconfigure() const {
  const Leader* const leader = leading();
  if (leader == nullptr || leader->transfer) {
    return fail(Errc::kNotLeader, "this replica does not lead its group");
  }
  // Before an entry of this term is committed, an earlier leader's change may still be on its way
  // (the correction to the thesis of 2015).
  if (commit < leader->start) {
    return fail(Errc::kUnavailable, "the new leader has committed nothing yet; retry");
  }
  if (configs.latest().index > commit) {
    return fail(Errc::kUnavailable, "an earlier change of membership is not committed yet; retry");
  }
  return {};
}

Result<void> Core::State::check_promotions(std::span<const MemberChange> changes) const {
  const Leader* const leader = leading();
  for (const MemberChange& change : changes) {
    if (change.role != MemberRole::kVoter || !membership().is_learner(change.replica)) continue;
    const auto found = leader->progress.find(change.replica);
    const std::uint64_t match = found == leader->progress.end() ? 0 : found->second.match().value();
    if (match + options.promotion_lag_max < log.last().index.value()) {
      return fail(Errc::kUnavailable, "the learner is not caught up yet; retry later");
    }
  }
  return {};
}

Result<LogId> Core::State::change_membership(std::span<const MemberChange> changes,
                                             LeaveJoint leave) {
  TRY(may_reconfigure());
  if (membership().joint()) {
    return fail(Errc::kUnavailable, "the group is between two memberships; retry");
  }
  TRY(check_promotions(changes));
  TRY_ASSIGN(joint, enter_joint(membership(), changes, leave));
  // Where no voter changes, majorities do not: one step is enough.
  if (joint.voters == joint.outgoing) {
    TRY_ASSIGN(simple, change_simply(membership(), changes));
    return append_membership(simple);
  }
  return append_membership(joint);
}

Result<LogId> Core::State::leave_joint_membership() {
  TRY(may_reconfigure());
  TRY_ASSIGN(left, leave_joint(membership()));
  return append_membership(left);
}

LogId Core::State::append_membership(const Membership& next) {
  Entry entry;
  entry.header.kind = EntryKind::kMembership;
  entry.payload = encode(next);
  const LogId id = accept(std::move(entry));
  configs.append(id.index, next);
  refresh_progress();
  return id;
}

void Core::State::refresh_progress() {
  Leader* const leader = leading();
  if (leader == nullptr) return;
  // A member that leaves is sent the entry that says so, and that it is committed: else it would
  // go on campaigning for a place that it has lost.
  const Membership& committed = configs.at(std::max(commit, configs.oldest_index())).membership;
  std::erase_if(leader->progress, [&](const auto& peer) {
    return !membership().contains(peer.first) && !committed.contains(peer.first);
  });
  leader->members_leave = std::ranges::any_of(
      leader->progress, [&](const auto& peer) { return !membership().contains(peer.first); });
  for (const ReplicaId& replica : membership().members()) {
    if (replica == self || leader->progress.contains(replica)) continue;
    leader->progress.emplace(
        replica, Progress(++last_session, log.last().index.next(),
                          Inflights::Limits{.messages_max = options.inflight_messages_max,
                                            .bytes_max = options.inflight_bytes_max}));
    // It is given an election timeout to answer before it counts as silent.
    leader->progress.at(replica).set_recently_active();
  }
  if (leader->transfer && !membership().is_voter(leader->transfer->to)) leader->transfer.reset();
  sends_due = true;
}

void Core::State::on_membership_committed() {
  Leader* const leader = leading();
  // Nothing of an earlier leader's membership is acted on before this one has committed.
  const bool open = configs.latest().index > commit && !mutant(Mutant::kJointLeftUncommitted);
  if (leader == nullptr || commit < leader->start || open) return;
  if (membership().joint()) {
    if (!membership().auto_leave) return;
    auto left = leave_joint(membership());
    CHECK(left.has_value());
    append_membership(*left);
    // The new voters may hold all of it already (a group of one does not: its own flush is open).
    advance_commit();
    return;
  }
  if (leader->members_leave) let_members_go();
  if (!membership().is_voter(self)) hand_over_and_step_down();
}

void Core::State::let_members_go() {
  Leader* const leader = leading();
  leader->members_leave = false;
  std::erase_if(leader->progress, [&](const auto& peer) {
    if (membership().contains(peer.first)) return false;
    send_heartbeat(peer.first, peer.second);
    return true;
  });
}

// Leads no longer than until the configuration without it is committed, and lets the others know
// that it is (thesis 4.2.2).
void Core::State::hand_over_and_step_down() {
  Leader* const leader = leading();
  send_heartbeats();
  const ReplicaId* successor = nullptr;
  Index best;
  for (const auto& [replica, progress] : leader->progress) {
    if (!membership().is_voter(replica) || progress.match() < commit) continue;
    if (successor == nullptr || progress.match() > best) {
      successor = &replica;
      best = progress.match();
    }
  }
  if (successor != nullptr) send(*successor, TimeoutNow{.term = hard_state.term});
  become_follower(hard_state.term, std::nullopt);
}

}  // namespace lignum::raft
