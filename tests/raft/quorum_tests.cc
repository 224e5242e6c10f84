// Majorities, against the plainest way to find them.

#include "raft/quorum.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <map>
#include <new>
#include <optional>
#include <vector>

#include "raft/membership.h"
#include "raft/random.h"
#include "raft/types.h"
#include "tests/raft/values.h"

namespace {

std::size_t allocations = 0;

}  // namespace

// The arithmetic runs for every acknowledgement: it must not allocate.
void* operator new(std::size_t bytes) {
  ++allocations;
  if (void* block = std::malloc(bytes)) return block;
  throw std::bad_alloc();
}
void operator delete(void* block) noexcept { std::free(block); }
void operator delete(void* block, std::size_t /*bytes*/) noexcept { std::free(block); }

namespace lignum::raft {
namespace {

using Matches = std::map<ReplicaId, Index>;
using Votes = std::map<ReplicaId, bool>;

template <class Value>
std::optional<Value> look_up(const std::map<ReplicaId, Value>& known, const ReplicaId& replica) {
  const auto found = known.find(replica);
  return found == known.end() ? std::nullopt : std::optional<Value>(found->second);
}

Index committed(const Membership& membership, const Matches& matches) {
  return committed_index(membership,
                         [&](const ReplicaId& replica) { return look_up(matches, replica); });
}

VoteResult result(const Membership& membership, const Votes& votes) {
  return vote_result(membership, [&](const ReplicaId& replica) { return look_up(votes, replica); });
}

// By sorting everything.
Index sorted_out(const std::vector<ReplicaId>& voters, const Matches& matches) {
  if (voters.empty()) return kEverything;
  std::vector<Index> held;
  for (const ReplicaId& voter : voters) held.push_back(look_up(matches, voter).value_or(Index(0)));
  std::ranges::sort(held, std::greater<>());
  return held.at(voters.size() / 2);
}

// By trying every way in which the open votes could end.
VoteResult tried_out(const std::vector<ReplicaId>& voters, const Votes& votes) {
  std::size_t yes = 0;
  std::size_t no = 0;
  for (const ReplicaId& voter : voters) {
    const auto vote = look_up(votes, voter);
    yes += vote == true ? 1 : 0;
    no += vote == false ? 1 : 0;
  }
  if (voters.empty() || 2 * yes > voters.size()) return VoteResult::kWon;
  return 2 * (voters.size() - no) > voters.size() ? VoteResult::kPending : VoteResult::kLost;
}

std::vector<ReplicaId> draw_set(Random& random, std::uint64_t nodes) {
  std::vector<ReplicaId> set;
  for (std::uint32_t node = 1; node <= nodes; ++node) {
    if (random.chance(1, 2)) set.push_back(member(node));
  }
  return set;
}

TEST(Quorum, AMajorityIsMoreThanHalf) {
  EXPECT_EQ(majority_of(0), 0U);
  EXPECT_EQ(majority_of(1), 1U);
  EXPECT_EQ(majority_of(2), 2U);
  EXPECT_EQ(majority_of(3), 2U);
  EXPECT_EQ(majority_of(4), 3U);
  EXPECT_EQ(majority_of(5), 3U);
}

TEST(Quorum, TheEmptySetCommitsEverythingAndWinsEveryVote) {
  EXPECT_EQ(committed(Membership{}, {}), kEverything);
  EXPECT_EQ(result(Membership{}, {}), VoteResult::kWon);
}

TEST(Quorum, WhoSaidNothingHoldsNothing) {
  const Membership three{.voters = members_of({1, 2, 3})};
  EXPECT_EQ(committed(three, {{member(1), Index(9)}}), Index(0));
  EXPECT_EQ(committed(three, {{member(1), Index(9)}, {member(3), Index(7)}}), Index(7));
  EXPECT_EQ(result(three, {{member(1), true}}), VoteResult::kPending);
  EXPECT_EQ(result(three, {{member(1), true}, {member(2), false}}), VoteResult::kPending);
  EXPECT_EQ(result(three, {{member(1), false}, {member(2), false}}), VoteResult::kLost);
}

// A majority of the union of both sets would say otherwise in each of these.
TEST(Quorum, AJointDecisionNeedsBothMajorities) {
  const Membership joint{.voters = members_of({1, 2, 3, 4}), .outgoing = members_of({5})};
  const Matches matches = {
      {member(1), Index(9)}, {member(2), Index(9)}, {member(3), Index(9)}, {member(4), Index(9)}};
  EXPECT_EQ(committed(joint, matches), Index(0));
  Votes votes = {{member(1), true}, {member(2), true}, {member(3), true}, {member(4), true}};
  EXPECT_EQ(result(joint, votes), VoteResult::kPending);
  votes[member(5)] = false;
  EXPECT_EQ(result(joint, votes), VoteResult::kLost);
  votes[member(5)] = true;
  EXPECT_EQ(result(joint, votes), VoteResult::kWon);
}

TEST(Quorum, AnotherIncarnationIsAnotherVoter) {
  const Membership one{.voters = {member(1, 7)}};
  EXPECT_EQ(committed(one, {{member(1, 8), Index(9)}}), Index(0));
  EXPECT_EQ(result(one, {{member(1, 8), true}}), VoteResult::kPending);
}

TEST(Quorum, EqualsSortingAndTrying) {
  Random random(1, "quorum");
  for (int round = 0; round < 20'000; ++round) {
    SCOPED_TRACE(round);
    const std::uint64_t nodes = 1 + random.below(random.chance(1, 20) ? kMembersMax : 9);
    const Membership joint{.voters = draw_set(random, nodes), .outgoing = draw_set(random, nodes)};
    Matches matches;
    Votes votes;
    for (std::uint32_t node = 1; node <= nodes; ++node) {
      if (random.chance(3, 4)) matches[member(node)] = Index(random.below(12));
      if (random.chance(3, 4)) votes[member(node)] = random.chance(1, 2);
    }
    EXPECT_EQ(committed(joint, matches),
              std::min(sorted_out(joint.voters, matches), sorted_out(joint.outgoing, matches)));
    const VoteResult incoming = tried_out(joint.voters, votes);
    const VoteResult outgoing = tried_out(joint.outgoing, votes);
    const bool lost = incoming == VoteResult::kLost || outgoing == VoteResult::kLost;
    const bool won = incoming == VoteResult::kWon && outgoing == VoteResult::kWon;
    EXPECT_EQ(result(joint, votes), lost  ? VoteResult::kLost
                                    : won ? VoteResult::kWon
                                          : VoteResult::kPending);
  }
}

TEST(Quorum, AllocatesNothing) {
  Membership full;
  Matches matches;
  for (std::uint32_t node = 1; node <= kMembersMax; ++node) {
    full.voters.push_back(member(node));
    full.outgoing.push_back(member(node));
    matches[member(node)] = Index(node);
  }
  const std::size_t before = allocations;
  const Index index = committed(full, matches);
  const VoteResult vote = result(full, {});
  EXPECT_EQ(allocations, before);
  EXPECT_EQ(index, Index(kMembersMax / 2));
  EXPECT_EQ(vote, VoteResult::kPending);
}

TEST(QuorumDeathTest, TakesNoMoreThanTheMembersOfAConfiguration) {
  std::vector<ReplicaId> voters(kMembersMax + 1);
  EXPECT_DEATH(static_cast<void>(committed_index(
                   voters, [](const ReplicaId&) { return std::optional<Index>(); })),
               "voters.size");
}

}  // namespace
}  // namespace lignum::raft
