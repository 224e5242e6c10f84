#pragma once

// Who belongs to a group, and how that may change (Raft thesis, chapter 4).
//
// A change of voters goes through a joint configuration (thesis 4.3): old and new voters decide
// together, then the new ones alone. Pure values; any thread.
//
//     {voters}  --enter_joint-->  {voters = new, outgoing = old}  --leave_joint-->  {voters = new}

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "raft/error.h"
#include "raft/payload.h"
#include "raft/types.h"

namespace lignum::raft {

// Members of one configuration, in all roles together.
inline constexpr std::size_t kMembersMax = 64;

// Each list is in rising order, without repeats. Learners are no voters, old or new;
// `learners_next` lies within `outgoing` and outside of `voters` (they become learners when the
// joint configuration is left, since a voter cannot be a learner at the same time).
struct Membership {
  std::vector<ReplicaId> voters;
  // Not empty: joint. Decisions need a majority of both sets.
  std::vector<ReplicaId> outgoing;
  // Receive the log, decide nothing. They do vote when asked: a learner's configuration may be
  // older than the one that made it a voter.
  std::vector<ReplicaId> learners;
  std::vector<ReplicaId> learners_next;
  // The leader leaves the joint configuration by itself once it is committed.
  bool auto_leave = false;
  // Rises by one with each recovery from a lost quorum (recovery.h).
  std::uint64_t recovery = 0;

  [[nodiscard]] bool joint() const { return !outgoing.empty(); }
  // In voters or outgoing.
  [[nodiscard]] bool is_voter(const ReplicaId& replica) const;
  // In learners: not yet one of learners_next, which still votes.
  [[nodiscard]] bool is_learner(const ReplicaId& replica) const;
  // In any list.
  [[nodiscard]] bool contains(const ReplicaId& replica) const;
  // Every member once, in rising order.
  [[nodiscard]] std::vector<ReplicaId> members() const;

  friend bool operator==(const Membership&, const Membership&) = default;
};

enum class MemberRole : std::uint8_t { kVoter, kLearner, kNone };

// Makes `replica` what `role` says, whatever it was before. Of several changes of one replica the
// last one counts.
struct MemberChange {
  ReplicaId replica;
  MemberRole role = MemberRole::kVoter;
};

enum class LeaveJoint : std::uint8_t { kAutomatic, kExplicit };

// kInvalidArgument naming the rule that `membership` breaks (order, overlap, bounds, no voter).
Result<void> validate(const Membership& membership);

// The configuration after `changes` that alter at most one voter, without a joint one. The product
// uses it for learners alone (no voter altered): majorities of one set that does not change.
// kInvalidArgument: joint already, more than one voter altered, nobody left to vote, or more than
// kMembersMax members.
Result<Membership> change_simply(const Membership& current, std::span<const MemberChange> changes);

// The joint configuration on the way to `changes`. kInvalidArgument: joint already, nobody votes
// yet, nobody would be left to vote, or more than kMembersMax members.
Result<Membership> enter_joint(const Membership& current, std::span<const MemberChange> changes,
                               LeaveJoint leave);

// What remains when the joint configuration is left. kInvalidArgument: not joint.
Result<Membership> leave_joint(const Membership& current);

// Payload of an entry of kind kMembership (docs/log_format.md). Precondition: validate() (CHECKed).
[[nodiscard]] Payload encode(const Membership& membership);
// kUnsupported for a later version of the format, kCorrupt for everything else that encode() does
// not make; bounded before anything is allocated.
Result<Membership> decode_membership(Bytes bytes);

}  // namespace lignum::raft
