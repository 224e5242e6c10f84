// Recovery from a lost quorum: what a plan says, and that a core counts nothing from before one.

#include "raft/recovery.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "raft/core.h"
#include "raft/entry.h"
#include "raft/error.h"
#include "raft/hard_state.h"
#include "raft/membership.h"
#include "raft/messages.h"
#include "raft/output.h"
#include "raft/types.h"
#include "tests/raft/values.h"

namespace lignum::raft {
namespace {

using ::testing::HasSubstr;

Membership voters(std::initializer_list<std::uint32_t> nodes, std::uint64_t recovery = 0) {
  return {.voters = members_of(nodes), .recovery = recovery};
}

Survivor survivor(std::uint32_t node, LogId last, std::uint64_t commit, Membership membership) {
  return {.self = member(node),
          .group = GroupIncarnation(9),
          .hard_state = {.term = last.term, .vote = std::nullopt, .recovery = membership.recovery},
          .last = last,
          .commit = Index(commit),
          .membership = std::move(membership)};
}

RecoveryPlan plan_of(const std::vector<Survivor>& survivors) {
  const auto plan = plan_recovery(survivors);
  EXPECT_TRUE(plan) << plan.error().message();
  return plan.value_or(RecoveryPlan{});
}

void expect_refused(const std::vector<Survivor>& survivors, const char* why) {
  const auto plan = plan_recovery(survivors);
  ASSERT_FALSE(plan);
  EXPECT_EQ(plan.error().code(), Errc::kInvalidArgument);
  EXPECT_THAT(plan.error().message(), HasSubstr(why));
}

TEST(RecoveryPlan, TheSeedIsWhomAnElectionWouldChoose) {
  const Membership five = voters({1, 2, 3, 4, 5});
  // The later term beats the longer log; the lowest of equals is taken.
  const RecoveryPlan plan =
      plan_of({survivor(1, log_id(3, 20), 4, five), survivor(2, log_id(4, 12), 7, five)});
  EXPECT_EQ(plan.seed, member(2));
  EXPECT_EQ(plan.entry.index, Index(13));
  EXPECT_EQ(plan.entry.term, Term(4 + kRecoveryTermStep));
  EXPECT_EQ(plan.membership, voters({1, 2}, 1));
  EXPECT_EQ(plan.lost, members_of({3, 4, 5}));
  EXPECT_EQ(plan.proven, Index(7));
  EXPECT_EQ(
      plan_of({survivor(2, log_id(4, 12), 7, five), survivor(1, log_id(4, 12), 7, five)}).seed,
      member(1));
}

TEST(RecoveryPlan, TheTermIsAboveAllThatASurvivorKnows) {
  const Membership three = voters({1, 2, 3, 4, 5});
  Survivor voted = survivor(1, log_id(3, 5), 4, three);
  voted.hard_state.term = Term(50);
  EXPECT_EQ(plan_of({voted, survivor(2, log_id(4, 12), 7, three)}).entry.term,
            Term(50 + kRecoveryTermStep));
}

TEST(RecoveryPlan, SaysWhatMayBeLost) {
  // Two of three lost: they may have committed what nobody else has.
  EXPECT_TRUE(plan_of({survivor(1, log_id(3, 9), 4, voters({1, 2, 3}))}).may_lose_acknowledged);
  // Two of four lost: three were needed, so a survivor has it all.
  const Membership four = voters({1, 2, 3, 4});
  const std::vector<Survivor> half{survivor(1, log_id(3, 9), 4, four),
                                   survivor(2, log_id(3, 7), 6, four)};
  const RecoveryPlan plan = plan_of(half);
  EXPECT_FALSE(plan.may_lose_acknowledged);
  EXPECT_EQ(entries_at_risk(plan, half[0]), 0U) << "the seed keeps its own";
  EXPECT_EQ(entries_at_risk(plan, half[1]), 1U);
  // Joint: no decision without both sets, and the lost are a majority of one only.
  Membership joint{.voters = members_of({1, 2, 3}), .outgoing = members_of({3, 4, 5})};
  EXPECT_FALSE(plan_of({survivor(1, log_id(3, 9), 4, joint), survivor(2, log_id(3, 9), 4, joint)})
                   .may_lose_acknowledged);
}

TEST(RecoveryPlan, IsRefusedWhereItIsNotNeededOrWrong) {
  const Membership three = voters({1, 2, 3});
  const Survivor one = survivor(1, log_id(3, 9), 4, three);
  expect_refused({}, "no survivor");
  expect_refused({one, survivor(2, log_id(3, 9), 4, three)}, "majority");
  expect_refused({one, one}, "twice");
  Survivor foreign = survivor(2, log_id(3, 9), 4, three);
  foreign.group = GroupIncarnation(10);
  expect_refused({one, foreign}, "another cluster");
  expect_refused({one, survivor(7, log_id(2, 9), 4, voters({5, 6, 7}))}, "no member");
  expect_refused({survivor(1, log_id(3, 9), 10, three)}, "more than its log holds");
  // 2 never heard of the recovery that 1 went through.
  expect_refused(
      {survivor(1, log_id(90, 9), 4, voters({1, 4, 5}, 1)), survivor(2, log_id(3, 9), 4, three)},
      "left behind");
}

// Everybody wrote the number down and the seed was lost before it had its entry: a majority that
// helps nobody to lead.
TEST(RecoveryPlan, ARecoveryThatWasBrokenOffIsRepeated) {
  const Membership five = voters({1, 2, 3, 4, 5});
  std::vector<Survivor> survivors;
  for (const std::uint32_t node : {2U, 3U, 4U}) {
    survivors.push_back(survivor(node, log_id(3, 9), 4, five));
    survivors.back().hard_state.recovery = 1;
  }
  EXPECT_EQ(plan_of(survivors).membership, voters({2, 3, 4}, 2));
}

TEST(RecoveryPlan, WhatEachSurvivorWritesDown) {
  const Membership five = voters({1, 2, 3, 4, 5});
  Survivor other = survivor(1, log_id(3, 20), 4, five);
  other.hard_state.vote = member(4);
  const Survivor seed = survivor(2, log_id(4, 12), 7, five);
  const RecoveryPlan plan = plan_of({other, seed});
  EXPECT_EQ(recovered_hard_state(plan, seed),
            (HardState{.term = plan.entry.term, .vote = member(2), .recovery = 1}));
  EXPECT_EQ(recovered_hard_state(plan, other),
            (HardState{.term = Term(3), .vote = member(4), .recovery = 1}))
      << "a vote is never taken back";
  const Entry entry = recovery_entry(plan, GroupIncarnation(9));
  EXPECT_EQ(entry.header.id(), plan.entry);
  EXPECT_EQ(entry.header.kind, EntryKind::kMembership);
  EXPECT_EQ(*decode_membership(entry.payload.bytes()), plan.membership);
}

TEST(RecoveryPlan, WhatIsDoneIsKnown) {
  const Membership five = voters({1, 2, 3, 4, 5});
  const Survivor other = survivor(1, log_id(3, 20), 4, five);
  const Survivor seed = survivor(2, log_id(4, 12), 7, five);
  const RecoveryPlan plan = plan_of({other, seed});
  EXPECT_EQ(recovery_step(plan, seed, seed), RecoveryStep::kTodo);
  Survivor voted = seed;
  voted.hard_state.term = Term(5);
  EXPECT_EQ(recovery_step(plan, seed, voted), RecoveryStep::kChanged);
  Survivor done = seed;
  done.last = plan.entry;
  done.membership = plan.membership;
  done.hard_state = recovered_hard_state(plan, seed);
  EXPECT_EQ(recovery_step(plan, seed, done), RecoveryStep::kDone);
  Survivor fenced = other;
  fenced.hard_state.recovery = 1;
  EXPECT_EQ(recovery_step(plan, other, fenced), RecoveryStep::kDone);
  // Of the seed that is not enough: nobody has the entry.
  fenced = seed;
  fenced.hard_state.recovery = 1;
  EXPECT_EQ(recovery_step(plan, seed, fenced), RecoveryStep::kChanged);
}

// ---- What a core makes of it.

// Replica 1, which ends with entry 3 of term 2.
Boot boot(Membership membership, std::uint64_t recovery) {
  return {.self = member(1),
          .group = GroupIncarnation(9),
          .hard_state = {.term = Term(4), .vote = std::nullopt, .recovery = recovery},
          .base = {},
          .last = log_id(2, 3),
          .terms = {{.first = Index(1), .term = Term(2)}},
          .commit = Index(2),
          .configs = {{.index = Index(1), .membership = std::move(membership)}}};
}

Core past() { return Core({.pre_vote = false}, boot(voters({1, 2, 3}), 0)); }

Message from(std::uint32_t node, std::uint64_t recovery, decltype(Message::body) body) {
  return {.from = member(node), .to = member(1), .recovery = recovery, .body = std::move(body)};
}

Output persist(Core& core) {
  Output output = core.take_output();
  if (output.persist) core.on_persisted(output.persist->token);
  return output;
}

TEST(Recovery, WhatTheLogSaysCountsWithoutTheHardState) {
  const Core core({}, boot(voters({1, 2}, 3), 0));
  EXPECT_EQ(core.recovery(), 3U);
  EXPECT_FALSE(core.left_behind());
}

TEST(Recovery, NothingFromBeforeItCountsAndItsSenderIsTold) {
  Core core({}, boot(voters({1, 2}, 1), 1));
  core.step(from(3, 0, RequestVote{.term = Term(90), .last = log_id(90, 90)}));
  core.step(from(2, 0, AppendEntries{.term = Term(91), .session = 1, .previous = log_id(2, 3)}));
  EXPECT_EQ(core.term(), Term(4));
  EXPECT_EQ(core.leader(), std::nullopt);
  const Output output = core.take_output();
  EXPECT_FALSE(output.persist.has_value()) << "no vote, no term";
  ASSERT_EQ(output.send_now.size(), 2U);
  for (const Message& told : output.send_now) EXPECT_EQ(told.recovery, 1U);
  EXPECT_EQ(output.send_now.front().to, member(3));
}

TEST(Recovery, WhoeverHearsOfItHasItDurableBeforeItSpeaks) {
  Core core = past();
  core.step(from(2, 1, Heartbeat{.term = Term(4), .session = 1}));
  Output output = core.take_output();
  ASSERT_TRUE(output.persist && output.persist->hard_state);
  EXPECT_EQ(output.persist->hard_state->recovery, 1U);
  EXPECT_TRUE(output.send_now.empty()) << "an answer that a crash could take back";
  ASSERT_EQ(output.persist->send_after_persist.size(), 1U);
  EXPECT_EQ(output.persist->send_after_persist.front().recovery, 1U);
}

TEST(Recovery, AnyMessageTells) {
  Core core = past();
  core.step(from(2, 1, HeartbeatReply{.term = Term(1), .session = 0}));
  EXPECT_EQ(core.recovery(), 1U);
  EXPECT_TRUE(core.left_behind());
}

TEST(Recovery, ALeaderOfThePastLeadsNoMore) {
  Core core = past();
  core.campaign(Campaign::kElection);
  persist(core);
  core.step(from(2, 0, RequestVoteReply{.term = Term(5), .candidacy = Term(5), .granted = true}));
  ASSERT_EQ(core.role(), Role::kLeader);
  core.step(from(3, 1, HeartbeatReply{.term = Term(1), .session = 0}));
  EXPECT_EQ(core.role(), Role::kFollower);
  EXPECT_FALSE(core.propose({}).has_value());
}

TEST(Recovery, WhoeverIsLeftBehindVotesOnlyForWhoeverIsNot) {
  Core core = past();
  core.step(from(2, 1, HeartbeatReply{.term = Term(1), .session = 0}));
  persist(core);
  for (int tick = 0; tick < 100; ++tick) core.tick();
  core.campaign(Campaign::kElection);
  core.campaign(Campaign::kTransfer);
  EXPECT_EQ(core.role(), Role::kFollower);
  EXPECT_EQ(core.term(), Term(4));
  core.step(from(3, 0, RequestVote{.term = Term(9), .last = log_id(9, 9)}));
  EXPECT_EQ(core.vote(), std::nullopt);
  core.step(from(2, 1, RequestVote{.term = Term(9), .last = log_id(9, 9)}));
  EXPECT_EQ(core.vote(), member(2));
}

TEST(Recovery, TheLeadersLogBringsItUp) {
  Core core = past();
  const RecoveryPlan plan{
      .seed = member(2), .entry = log_id(8, 4), .membership = voters({1, 2}, 1)};
  const Entry entry = recovery_entry(plan, GroupIncarnation(9));
  const AppendEntries append{.term = Term(9),
                             .session = 1,
                             .previous = log_id(2, 3),
                             .commit = Index(3),
                             .entries = {entry}};
  core.step(from(2, 0, append));
  EXPECT_EQ(core.last(), log_id(2, 3)) << "a configuration of a recovery unknown to its sender";
  core.step(from(2, 1, append));
  EXPECT_EQ(core.last(), log_id(8, 4));
  EXPECT_EQ(core.membership(), voters({1, 2}, 1));
  EXPECT_FALSE(core.left_behind());
  persist(core);
  for (int tick = 0; tick < 100 && core.role() == Role::kFollower; ++tick) core.tick();
  EXPECT_NE(core.role(), Role::kFollower) << "it may lead again";
}

// The entry is cut again: the past does not come back with it.
TEST(Recovery, IsNotForgottenWithTheEntryThatBeganIt) {
  Core core = past();
  const RecoveryPlan plan{
      .seed = member(2), .entry = log_id(8, 4), .membership = voters({1, 2}, 1)};
  core.step(from(2, 1,
                 AppendEntries{.term = Term(9),
                               .session = 1,
                               .previous = log_id(2, 3),
                               .commit = Index(2),
                               .entries = {recovery_entry(plan, GroupIncarnation(9))}}));
  persist(core);
  Entry other;
  other.header.group = GroupIncarnation(9);
  other.header.index = Index(4);
  other.header.term = Term(10);
  core.step(from(3, 1,
                 AppendEntries{.term = Term(10),
                               .session = 1,
                               .previous = log_id(2, 3),
                               .commit = Index(2),
                               .entries = {other}}));
  EXPECT_EQ(core.membership().recovery, 0U);
  EXPECT_EQ(core.recovery(), 1U);
  EXPECT_TRUE(core.left_behind());
}

}  // namespace
}  // namespace lignum::raft
