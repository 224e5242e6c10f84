// How a configuration may change, and the bytes of one.

#include "raft/membership.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "raft/error.h"
#include "raft/payload.h"
#include "raft/random.h"
#include "tests/raft/values.h"

namespace lignum::raft {
namespace {

using ::testing::HasSubstr;

MemberChange voter(std::uint32_t node) {
  return {.replica = member(node), .role = MemberRole::kVoter};
}
MemberChange learner(std::uint32_t node) {
  return {.replica = member(node), .role = MemberRole::kLearner};
}
MemberChange none(std::uint32_t node) {
  return {.replica = member(node), .role = MemberRole::kNone};
}

using Changes = std::vector<MemberChange>;

Result<Membership> simply(const Membership& current, const Changes& changes) {
  return change_simply(current, changes);
}
Result<Membership> jointly(const Membership& current, const Changes& changes,
                           LeaveJoint leave = LeaveJoint::kExplicit) {
  return enter_joint(current, changes, leave);
}

// The message of a refusal; empty where nothing is refused.
template <class Value>
std::string refusal(const Result<Value>& result) {
  if (result) return {};
  EXPECT_EQ(result.error().code(), Errc::kInvalidArgument);
  return result.error().message();
}

TEST(Membership, KnowsItsMembersByRole) {
  const Membership joint{.voters = members_of({2, 3}),
                         .outgoing = members_of({1, 2}),
                         .learners = members_of({7}),
                         .learners_next = members_of({1})};
  EXPECT_TRUE(joint.joint());
  EXPECT_TRUE(joint.is_voter(member(1))) << "until the joint configuration is left";
  EXPECT_TRUE(joint.is_voter(member(3)));
  EXPECT_FALSE(joint.is_voter(member(7)));
  EXPECT_TRUE(joint.is_learner(member(7)));
  EXPECT_FALSE(joint.is_learner(member(1)));
  EXPECT_TRUE(joint.contains(member(1)));
  EXPECT_TRUE(joint.contains(member(7)));
  EXPECT_FALSE(joint.contains(member(9)));
  EXPECT_FALSE(joint.contains(member(7, 2))) << "another incarnation is another replica";
  EXPECT_EQ(joint.members(), members_of({1, 2, 3, 7}));
}

TEST(Membership, ASimpleChangeAltersOneVoterAtMost) {
  const Membership two{.voters = members_of({1, 2}), .recovery = 4};
  EXPECT_EQ(
      simply(two, {voter(3), learner(4)}),
      (Membership{.voters = members_of({1, 2, 3}), .learners = members_of({4}), .recovery = 4}));
  EXPECT_EQ(simply(two, {learner(2)}),
            (Membership{.voters = members_of({1}), .learners = members_of({2}), .recovery = 4}));
  EXPECT_EQ(simply(two, {learner(2), voter(2)}), two);
  EXPECT_EQ(simply(two, {none(9)}), two);
  EXPECT_THAT(refusal(simply(two, {none(1), voter(3)})), HasSubstr("more than one voter"));
  EXPECT_THAT(refusal(simply(two, {voter(3), voter(4)})), HasSubstr("more than one voter"));
  EXPECT_THAT(refusal(simply(two, {none(1), none(2)})), HasSubstr("nobody would be left"));
  EXPECT_THAT(refusal(simply(*jointly(two, {voter(3)}), {learner(4)})), HasSubstr("joint"));
}

TEST(Membership, AJointConfigurationHoldsOldAndNewVoters) {
  const Membership one{.voters = members_of({1}), .learners = members_of({3}), .recovery = 2};
  const auto joint = jointly(one, {voter(2), voter(3), learner(1), learner(4)});
  ASSERT_TRUE(joint) << joint.error().message();
  EXPECT_EQ(*joint, (Membership{.voters = members_of({2, 3}),
                                .outgoing = members_of({1}),
                                .learners = members_of({4}),
                                .learners_next = members_of({1}),
                                .recovery = 2}));
  EXPECT_EQ(
      leave_joint(*joint),
      (Membership{.voters = members_of({2, 3}), .learners = members_of({1, 4}), .recovery = 2}));
  EXPECT_TRUE(jointly(one, {}, LeaveJoint::kAutomatic)->auto_leave);
  EXPECT_FALSE(leave_joint(*jointly(one, {}, LeaveJoint::kAutomatic))->auto_leave);
}

TEST(Membership, TheLastOfSeveralChangesCounts) {
  const Membership one{.voters = members_of({1, 2})};
  const auto joint = jointly(one, {learner(1), none(1), learner(1), voter(3), none(3), voter(1),
                                   learner(1), learner(2), voter(2)});
  ASSERT_TRUE(joint) << joint.error().message();
  EXPECT_EQ(joint->voters, members_of({2}));
  EXPECT_EQ(joint->learners_next, members_of({1}));
  EXPECT_TRUE(joint->learners.empty());
}

TEST(Membership, JointConfigurationsDoNotNest) {
  const Membership one{.voters = members_of({1})};
  const auto joint = jointly(one, {});
  ASSERT_TRUE(joint);
  EXPECT_THAT(refusal(jointly(*joint, {})), HasSubstr("joint already"));
  EXPECT_THAT(refusal(leave_joint(one)), HasSubstr("not joint"));
  EXPECT_THAT(refusal(jointly({}, {voter(1)})), HasSubstr("nobody votes yet"));
  EXPECT_THAT(refusal(jointly(one, {learner(1)})), HasSubstr("nobody would be left"));
}

TEST(Membership, IsBounded) {
  Membership full;
  for (std::uint32_t node = 1; node <= kMembersMax; ++node) full.learners.push_back(member(node));
  full.voters = {full.learners.back()};
  full.learners.pop_back();
  EXPECT_EQ(refusal(validate(full)), "");
  EXPECT_THAT(refusal(simply(full, {learner(100)})), HasSubstr("more than 64"));
  EXPECT_THAT(refusal(jointly(full, {voter(100)})), HasSubstr("more than 64"));
  EXPECT_EQ(refusal(simply(full, {none(1), learner(100)})), "");
}

TEST(Membership, ValidationNamesTheRule) {
  const auto said = [](const Membership& membership) { return refusal(validate(membership)); };
  const auto one = members_of({1});
  EXPECT_THAT(said({}), HasSubstr("nobody"));
  EXPECT_THAT(said({.voters = members_of({2, 1})}), HasSubstr("rising order"));
  EXPECT_THAT(said({.voters = one, .learners = members_of({2, 2})}), HasSubstr("rising order"));
  EXPECT_THAT(said({.voters = one, .learners = one}), HasSubstr("a learner is a voter"));
  EXPECT_THAT(said({.voters = one, .outgoing = members_of({2}), .learners = members_of({2})}),
              HasSubstr("a learner is a voter"));
  EXPECT_THAT(said({.voters = one, .learners_next = members_of({2})}), HasSubstr("joint"));
  EXPECT_THAT(said({.voters = one, .auto_leave = true}), HasSubstr("joint"));
  EXPECT_THAT(said({.voters = one, .outgoing = one, .learners_next = members_of({2})}),
              HasSubstr("no voter of the old set"));
  EXPECT_THAT(said({.voters = one, .outgoing = one, .learners_next = one}),
              HasSubstr("voter of the new set"));
}

// Long lives against sets: a wrong list would show in who votes or learns.
class Life {
 public:
  explicit Life(std::uint64_t seed) : random_(seed, "membership") {}

  void run() {
    for (int step = 0; step < 60 && !::testing::Test::HasFatalFailure(); ++step) act();
  }

 private:
  struct Sets {
    std::set<std::uint32_t> voters{1};
    std::set<std::uint32_t> learners;
  };

  void act() {
    Changes changes;
    Sets next = sets_;
    for (std::uint64_t i = random_.below(5); i > 0; --i) {
      const auto node = static_cast<std::uint32_t>(1 + random_.below(6));
      next.voters.erase(node);
      next.learners.erase(node);
      switch (random_.below(3)) {
        case 0:
          next.voters.insert(node);
          changes.push_back(voter(node));
          break;
        case 1:
          next.learners.insert(node);
          changes.push_back(learner(node));
          break;
        default:
          changes.push_back(none(node));
      }
    }
    if (random_.chance(1, 2)) {
      enter_and_leave(changes, next);
    } else {
      change(changes, next);
    }
  }

  void enter_and_leave(const Changes& changes, const Sets& next) {
    const auto joint = jointly(current_, changes);
    ASSERT_EQ(joint.has_value(), !next.voters.empty());
    if (!joint) return;
    ASSERT_EQ(refusal(validate(*joint)), "");
    ASSERT_EQ(joint->outgoing, current_.voters);
    for (std::uint32_t node = 1; node <= 6; ++node) {
      const bool votes = sets_.voters.contains(node) || next.voters.contains(node);
      ASSERT_EQ(joint->is_voter(member(node)), votes);
      ASSERT_EQ(joint->is_learner(member(node)), !votes && next.learners.contains(node));
    }
    ASSERT_EQ(decode_membership(encode(*joint).bytes()), *joint);
    current_ = *leave_joint(*joint);
    settle(next);
  }

  void change(const Changes& changes, const Sets& next) {
    std::size_t altered = 0;
    for (std::uint32_t node = 1; node <= 6; ++node) {
      altered += sets_.voters.contains(node) != next.voters.contains(node) ? 1U : 0U;
    }
    const auto changed = simply(current_, changes);
    ASSERT_EQ(changed.has_value(), altered <= 1 && !next.voters.empty());
    if (!changed) return;
    current_ = *changed;
    settle(next);
  }

  void settle(const Sets& next) {
    sets_ = next;
    ASSERT_EQ(refusal(validate(current_)), "");
    ASSERT_FALSE(current_.joint());
    for (std::uint32_t node = 1; node <= 6; ++node) {
      ASSERT_EQ(current_.is_voter(member(node)), sets_.voters.contains(node));
      ASSERT_EQ(current_.is_learner(member(node)), sets_.learners.contains(node));
    }
    ASSERT_EQ(decode_membership(encode(current_).bytes()), current_);
  }

  Random random_;
  Membership current_{.voters = members_of({1})};
  Sets sets_;
};

TEST(Membership, ChangesDoWhatSetsDo) {
  for (std::uint64_t seed = 1; seed <= 500; ++seed) {
    SCOPED_TRACE(seed);
    Life(seed).run();
    if (::testing::Test::HasFailure()) return;
  }
}

}  // namespace
}  // namespace lignum::raft
