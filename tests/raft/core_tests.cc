// The core of a group with one voter, one promise at a time.

#include <gtest/gtest.h>

#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

#include "raft/core.h"
#include "raft/entry.h"
#include "raft/error.h"
#include "raft/messages.h"
#include "raft/options.h"
#include "raft/output.h"
#include "raft/payload.h"
#include "raft/types.h"

namespace lignum::raft {
namespace {

constexpr ReplicaId kSelf{.node = NodeId(1), .incarnation = NodeIncarnation(11)};
constexpr ReplicaId kStranger{.node = NodeId(2), .incarnation = NodeIncarnation(22)};
constexpr GroupIncarnation kGroup{5};

Boot empty_boot() {
  return {.self = kSelf,
          .group = kGroup,
          .hard_state = {},
          .base = {},
          .last = {},
          .terms = {},
          .commit = Index(0),
          .configs = {{.index = Index(0), .membership = {.voters = {kSelf}}}}};
}

// Entries 1 .. 9 of term 3 on the disk, of which 6 are known to be committed.
Boot used_boot() {
  Boot boot = empty_boot();
  boot.hard_state = {.term = Term(4), .vote = kStranger};
  boot.last = {.term = Term(3), .index = Index(9)};
  boot.terms = {{.first = Index(1), .term = Term(3)}};
  boot.commit = Index(6);
  return boot;
}

Entry batch(std::size_t bytes) {
  Entry entry;
  entry.header.kind = EntryKind::kBatch;
  entry.payload = Payload(std::vector<std::byte>(bytes));
  return entry;
}

WriteToken persist_one(Core& core) {
  Output output = core.take_output();
  EXPECT_TRUE(output.persist.has_value());
  core.on_persisted(output.persist->token);
  return output.persist->token;
}

Core leader(Boot boot, Options options = {}) {
  Core core(options, std::move(boot));
  core.tick();
  persist_one(core);
  return core;
}

TEST(Core, HasNothingToDoBeforeItsFirstTick) {
  Core core({}, empty_boot());
  EXPECT_FALSE(core.has_output());
  EXPECT_EQ(core.role(), Role::kFollower);
  EXPECT_EQ(core.propose(batch(1)).error().code(), Errc::kNotLeader);
}

TEST(Core, TheFirstTickVotesForItselfInANewTerm) {
  Core core({}, used_boot());
  core.tick();
  const Output output = core.take_output();
  ASSERT_TRUE(output.persist.has_value());
  const HardState vote{.term = Term(5), .vote = kSelf};
  EXPECT_EQ(output.persist->hard_state, vote);
  EXPECT_TRUE(output.persist->append.empty());
  EXPECT_EQ(output.persist->truncate_after, std::nullopt);
  ASSERT_TRUE(output.role_change.has_value());
  EXPECT_EQ(output.role_change->role, Role::kCandidate);
}

TEST(Core, LeadsOnlyWhenItsVoteIsDurable) {
  Core core({}, used_boot());
  core.tick();
  const Output output = core.take_output();
  core.tick();
  EXPECT_EQ(core.role(), Role::kCandidate);
  EXPECT_EQ(core.leader(), std::nullopt);
  EXPECT_EQ(core.leadership_start(), std::nullopt);
  EXPECT_EQ(core.propose(batch(1)).error().code(), Errc::kNotLeader);
  EXPECT_FALSE(core.has_output());

  core.on_persisted(output.persist->token);
  EXPECT_EQ(core.role(), Role::kLeader);
  EXPECT_EQ(core.leader(), kSelf);
  EXPECT_EQ(core.leadership_start(), Index(10));
}

TEST(Core, ItsFirstEntryIsANoOpOfItsTerm) {
  Core core = leader(used_boot());
  const Output output = core.take_output();
  ASSERT_TRUE(output.persist.has_value());
  ASSERT_EQ(output.persist->append.size(), 1U);
  const EntryHeader& header = output.persist->append.front().header;
  EXPECT_EQ(header.kind, EntryKind::kNoOp);
  EXPECT_EQ(header.group, kGroup);
  EXPECT_EQ(header.index, Index(10));
  EXPECT_EQ(header.term, Term(5));
  EXPECT_EQ(header.append_time, 0);
  ASSERT_TRUE(output.role_change.has_value());
  EXPECT_EQ(output.role_change->role, Role::kLeader);
  EXPECT_EQ(output.role_change->term, Term(5));
  EXPECT_EQ(output.role_change->leader, kSelf);
}

TEST(Core, CommitsEntriesOfEarlierTermsOnlyWithItsOwnNoOp) {
  Core core = leader(used_boot());
  EXPECT_EQ(core.durable(), Index(9));
  EXPECT_EQ(core.commit(), Index(6));
  EXPECT_EQ(core.take_output().commit, Index(6));
}

TEST(Core, CommitsWhatItsOwnFlushPersistedAndNoMore) {
  Core core = leader(used_boot());
  const Output no_op = core.take_output();
  const auto first = core.propose(batch(10));
  const Output second = core.take_output();
  const auto third = core.propose(batch(10));
  ASSERT_TRUE(first && third);
  EXPECT_EQ(*first, (LogId{.term = Term(5), .index = Index(11)}));
  EXPECT_EQ(*third, (LogId{.term = Term(5), .index = Index(12)}));
  EXPECT_EQ(core.commit(), Index(6));
  core.on_persisted(no_op.persist->token);
  EXPECT_EQ(core.commit(), Index(10));
  core.on_persisted(second.persist->token);
  EXPECT_EQ(core.commit(), Index(11));
  EXPECT_TRUE(core.has_output());
  EXPECT_EQ(core.take_output().commit, Index(11));
  EXPECT_EQ(core.durable(), Index(11));
  EXPECT_EQ(core.last().index, Index(12));
}

TEST(Core, OneFlushTakesAllThatWasProposed) {
  Core core = leader(empty_boot());
  persist_one(core);
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(core.propose(batch(3)));
  const Output output = core.take_output();
  ASSERT_TRUE(output.persist.has_value());
  ASSERT_EQ(output.persist->append.size(), 5U);
  for (std::size_t i = 0; i < 5; ++i) {
    EXPECT_EQ(output.persist->append[i].header.index, Index(2 + i));
    EXPECT_EQ(output.persist->append[i].payload.size(), 3U);
  }
  EXPECT_FALSE(core.has_output());
}

TEST(Core, RefusesMoreThanItsUncommittedBytes) {
  constexpr std::size_t kMax = 4096;
  Core core = leader(empty_boot(), {.uncommitted_bytes_max = kMax});
  persist_one(core);
  ASSERT_TRUE(core.propose(batch(2000)));
  const WriteToken first = core.take_output().persist->token;
  ASSERT_TRUE(core.propose(batch(1500)));
  EXPECT_EQ(core.propose(batch(1000)).error().code(), Errc::kOverloaded);
  EXPECT_EQ(core.last().index, Index(3));
  core.on_persisted(first);
  EXPECT_TRUE(core.propose(batch(1000)));
}

TEST(Core, TakesOneEntryOverTheLimitWhenNothingElseWaits) {
  Core core = leader(empty_boot(), {.uncommitted_bytes_max = 4096});
  persist_one(core);
  EXPECT_TRUE(core.propose(batch(9000)));
  EXPECT_EQ(core.propose(batch(1)).error().code(), Errc::kOverloaded);
  persist_one(core);
  EXPECT_TRUE(core.propose(batch(1)));
}

TEST(Core, ALeaderIsNotDisturbedByWhoAsksForVotes) {
  Core core = leader(used_boot());
  persist_one(core);
  static_cast<void>(core.take_output());
  const Term before = core.term();
  for (const Campaign kind : {Campaign::kPreVote, Campaign::kElection}) {
    core.step(
        {.from = kStranger,
         .to = kSelf,
         .body = RequestVote{
             .term = Term(99), .last = {.term = Term(98), .index = Index(1000)}, .kind = kind}});
    EXPECT_FALSE(core.has_output());
  }
  EXPECT_EQ(core.term(), before);
  EXPECT_EQ(core.role(), Role::kLeader);
}

TEST(Core, IgnoresWhatIsNotForItAndVotesItNeverAskedFor) {
  Core core({}, used_boot());
  const ReplicaId before_the_wipe{.node = kSelf.node, .incarnation = NodeIncarnation(10)};
  core.step({.from = kStranger, .to = before_the_wipe, .body = RequestVote{.term = Term(9)}});
  core.step({.from = kStranger,
             .to = kSelf,
             .body = RequestVoteReply{.term = Term(4), .candidacy = Term(5), .granted = true}});
  EXPECT_FALSE(core.has_output());
  core.tick();
  const WriteToken vote = core.take_output().persist->token;
  core.step({.from = kStranger,
             .to = kSelf,
             .body = RequestVoteReply{.term = Term(4), .candidacy = Term(5), .granted = true}});
  EXPECT_EQ(core.role(), Role::kCandidate);
  core.on_persisted(vote);
  EXPECT_EQ(core.role(), Role::kLeader);
}

TEST(Core, AFloodOfMessagesIsBounded) {
  constexpr std::size_t kFlood = 5000;
  Core core({}, empty_boot());
  for (std::size_t i = 0; i < kFlood; ++i) {
    core.step({.from = kStranger,
               .to = kSelf,
               .body = RequestVote{.term = Term(0), .kind = Campaign::kPreVote}});
  }
  EXPECT_LE(core.take_output().send_now.size(), 1024U);
}

TEST(CoreDeathTest, TokensCompleteInOrder) {
  Core core = leader(empty_boot());
  const WriteToken no_op = core.take_output().persist->token;
  ASSERT_TRUE(core.propose(batch(1)));
  const WriteToken second = core.take_output().persist->token;
  EXPECT_DEATH(core.on_persisted(second), "front");
  core.on_persisted(no_op);
  EXPECT_DEATH(core.on_persisted(no_op), "front");
}

TEST(CoreDeathTest, RefusesABootThatCannotBe) {
  Boot older = used_boot();
  older.hard_state.term = Term(2);
  EXPECT_DEATH(Core({}, older), "term");
  Boot ahead = used_boot();
  ahead.commit = Index(10);
  EXPECT_DEATH(Core({}, ahead), "commit");
  Boot gap = used_boot();
  gap.terms.clear();
  EXPECT_DEATH(Core({}, gap), "CHECK");
  EXPECT_DEATH(Core({.heartbeat_ticks = 0}, used_boot()), "validate");
}

}  // namespace
}  // namespace lignum::raft
