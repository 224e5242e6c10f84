#include "raft/membership.h"

#include <algorithm>
#include <expected>
#include <functional>
#include <iterator>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "raft/error.h"
#include "raft/types.h"

namespace lignum::raft {

namespace {

using Replicas = std::vector<ReplicaId>;

bool holds(const Replicas& list, const ReplicaId& replica) {
  return std::ranges::binary_search(list, replica);
}

void insert(Replicas& list, const ReplicaId& replica) {
  const auto place = std::ranges::lower_bound(list, replica);
  if (place == list.end() || *place != replica) list.insert(place, replica);
}

void erase(Replicas& list, const ReplicaId& replica) {
  const auto place = std::ranges::lower_bound(list, replica);
  if (place != list.end() && *place == replica) list.erase(place);
}

Replicas united(const Replicas& left, const Replicas& right) {
  Replicas both;
  both.reserve(left.size() + right.size());
  std::ranges::set_union(left, right, std::back_inserter(both));
  return both;
}

bool overlap(const Replicas& left, const Replicas& right) {
  return std::ranges::any_of(left, [&](const ReplicaId& replica) { return holds(right, replica); });
}

std::unexpected<Error> refuse(std::string_view why) {
  return fail(Errc::kInvalidArgument, std::string(why));
}

void make_learner(Membership& membership, const ReplicaId& replica) {
  erase(membership.voters, replica);
  insert(holds(membership.outgoing, replica) ? membership.learners_next : membership.learners,
         replica);
}

void remove(Membership& membership, const ReplicaId& replica) {
  erase(membership.voters, replica);
  erase(membership.learners, replica);
  erase(membership.learners_next, replica);
}

void make_voter(Membership& membership, const ReplicaId& replica) {
  remove(membership, replica);
  insert(membership.voters, replica);
}

void apply(Membership& membership, const MemberChange& change) {
  switch (change.role) {
    case MemberRole::kVoter:
      return make_voter(membership, change.replica);
    case MemberRole::kLearner:
      return make_learner(membership, change.replica);
    case MemberRole::kNone:
      return remove(membership, change.replica);
  }
}

Result<Membership> apply_all(Membership membership, std::span<const MemberChange> changes) {
  for (const MemberChange& change : changes) apply(membership, change);
  TRY(validate(membership));
  return membership;
}

Result<void> validate_joint(const Membership& membership) {
  if (membership.joint()) return {};
  if (!membership.learners_next.empty()) {
    return refuse("learners_next is for a joint configuration only");
  }
  if (membership.auto_leave) return refuse("auto_leave is for a joint configuration only");
  return {};
}

}  // namespace

bool Membership::is_voter(const ReplicaId& replica) const {
  return holds(voters, replica) || holds(outgoing, replica);
}

bool Membership::is_learner(const ReplicaId& replica) const { return holds(learners, replica); }

bool Membership::contains(const ReplicaId& replica) const {
  // learners_next lies within outgoing.
  return is_voter(replica) || is_learner(replica);
}

std::vector<ReplicaId> Membership::members() const {
  return united(united(voters, outgoing), learners);
}

Result<void> validate(const Membership& membership) {
  const auto& [voters, outgoing, learners, learners_next, auto_leave, recovery] = membership;
  for (const Replicas* list : {&voters, &outgoing, &learners, &learners_next}) {
    // First, so that nothing below works on more.
    if (list->size() > kMembersMax) {
      return refuse("a list has more than " + std::to_string(kMembersMax) + " members");
    }
    if (std::ranges::adjacent_find(*list, std::greater_equal<>()) != list->end()) {
      return refuse("a list is not in rising order");
    }
  }
  if (voters.empty()) return refuse("nobody would be left to vote");
  if (overlap(learners, voters) || overlap(learners, outgoing)) {
    return refuse("a learner is a voter too");
  }
  TRY(validate_joint(membership));
  if (!std::ranges::includes(outgoing, learners_next)) {
    return refuse("a learner to be is no voter of the old set");
  }
  if (overlap(learners_next, voters)) return refuse("a learner to be is a voter of the new set");
  if (membership.members().size() > kMembersMax) {
    return refuse("there are more than " + std::to_string(kMembersMax) + " members");
  }
  return {};
}

Result<Membership> change_simply(const Membership& current, std::span<const MemberChange> changes) {
  if (current.joint()) return refuse("the configuration is joint: leave it first");
  TRY_ASSIGN(next, apply_all(current, changes));
  Replicas altered;
  std::ranges::set_symmetric_difference(current.voters, next.voters, std::back_inserter(altered));
  if (altered.size() > 1) {
    return refuse("more than one voter altered: that takes a joint configuration");
  }
  return next;
}

Result<Membership> enter_joint(const Membership& current, std::span<const MemberChange> changes,
                               LeaveJoint leave) {
  if (current.joint()) return refuse("the configuration is joint already: leave it first");
  if (current.voters.empty()) return refuse("nobody votes yet: a joint configuration has two sets");
  Membership next = current;
  next.outgoing = current.voters;
  next.auto_leave = leave == LeaveJoint::kAutomatic;
  return apply_all(std::move(next), changes);
}

Result<Membership> leave_joint(const Membership& current) {
  if (!current.joint()) return refuse("the configuration is not joint: there is nothing to leave");
  Membership next = current;
  next.learners = united(next.learners, next.learners_next);
  next.learners_next.clear();
  next.outgoing.clear();
  next.auto_leave = false;
  return next;
}

}  // namespace lignum::raft
