// What the core remembers of its log and of its writes.

#include <gtest/gtest.h>

#include <cstdint>
#include <optional>
#include <string>

#include "raft/entry.h"
#include "raft/log_view.h"
#include "raft/options.h"
#include "raft/output.h"
#include "raft/types.h"
#include "raft/write_tracker.h"

namespace lignum::raft {
namespace {

LogId id(std::uint64_t term, std::uint64_t index) {
  return {.term = Term(term), .index = Index(index)};
}

TEST(LogView, KnowsTheTermOfWhatItAcceptedAndOfItsFirstEntry) {
  LogView log(id(3, 10));
  log.append(id(3, 11));
  log.append(id(5, 12));
  log.append(id(5, 13));
  log.append(id(6, 14));
  EXPECT_EQ(log.term_at(Index(9)), std::nullopt);
  EXPECT_EQ(log.term_at(Index(10)), Term(3));
  EXPECT_EQ(log.term_at(Index(11)), Term(3));
  EXPECT_EQ(log.term_at(Index(12)), Term(5));
  EXPECT_EQ(log.term_at(Index(13)), Term(5));
  EXPECT_EQ(log.term_at(Index(14)), Term(6));
  EXPECT_EQ(log.term_at(Index(15)), std::nullopt);
  EXPECT_EQ(log.runs(), 3U);
  EXPECT_EQ(log.last(), id(6, 14));
}

TEST(LogView, AcceptedIsNotSubmittedIsNotDurable) {
  LogView log(id(1, 4));
  log.append(id(2, 5));
  EXPECT_EQ(log.submitted(), Index(4));
  log.submit();
  log.append(id(2, 6));
  EXPECT_EQ(log.submitted(), Index(5));
  EXPECT_EQ(log.durable(), Index(4));
  log.set_durable(Index(5));
  EXPECT_EQ(log.durable(), Index(5));
}

TEST(LogViewDeathTest, NothingIsDurableBeforeItWasSubmitted) {
  LogView log(id(1, 4));
  log.append(id(1, 5));
  EXPECT_DEATH(log.set_durable(Index(5)), "index <= submitted_");
}

TEST(LogViewDeathTest, DurableNeverShrinks) {
  LogView log(id(1, 4));
  EXPECT_DEATH(log.set_durable(Index(3)), "index >= durable_");
}

TEST(LogViewDeathTest, IndexesAreConsecutiveAndTermsNeverFall) {
  LogView log(id(3, 4));
  EXPECT_DEATH(log.append(id(3, 6)), "next");
  EXPECT_DEATH(log.append(id(2, 5)), "term");
}

const HardState kBefore{.term = Term(4), .vote = std::nullopt};
const HardState kAfter{.term = Term(5),
                       .vote = ReplicaId{.node = NodeId(1), .incarnation = NodeIncarnation(2)}};

Entry entry_of(std::uint64_t term, std::uint64_t index) {
  Entry entry;
  entry.header.term = Term(term);
  entry.header.index = Index(index);
  return entry;
}

TEST(WriteTracker, GathersUntilTaken) {
  WriteTracker writes(kBefore);
  EXPECT_FALSE(writes.take(id(4, 7)).has_value());
  writes.save(kAfter);
  writes.append(entry_of(5, 8));
  writes.append(entry_of(5, 9));
  ASSERT_TRUE(writes.has_op());
  const auto op = writes.take(id(5, 9));
  ASSERT_TRUE(op.has_value());
  EXPECT_EQ(op->hard_state, kAfter);
  EXPECT_EQ(op->append.size(), 2U);
  EXPECT_EQ(op->token.last, id(5, 9));
  EXPECT_EQ(op->token.hard_state, kAfter);
  EXPECT_FALSE(writes.has_op());
}

TEST(WriteTracker, AnOperationOfEntriesStillNamesTheHardStateItRestsOn) {
  WriteTracker writes(kBefore);
  writes.save(kAfter);
  const auto vote = writes.take(id(4, 7));
  writes.append(entry_of(5, 8));
  const auto op = writes.take(id(5, 8));
  ASSERT_TRUE(vote && op);
  EXPECT_EQ(op->hard_state, std::nullopt);
  EXPECT_EQ(op->token.hard_state, kAfter);
  EXPECT_EQ(writes.outstanding(), 2U);
  EXPECT_EQ(writes.durable_hard_state(), kBefore);
  writes.complete(vote->token);
  EXPECT_EQ(writes.durable_hard_state(), kAfter);
  writes.complete(op->token);
  EXPECT_EQ(writes.outstanding(), 0U);
}

TEST(WriteTrackerDeathTest, TokensCompleteInOrderAndOnce) {
  WriteTracker writes(kAfter);
  writes.append(entry_of(5, 8));
  const auto first = writes.take(id(5, 8));
  writes.append(entry_of(5, 9));
  const auto second = writes.take(id(5, 9));
  ASSERT_TRUE(first && second);
  EXPECT_DEATH(writes.complete(second->token), "front");
  writes.complete(first->token);
  EXPECT_DEATH(writes.complete(first->token), "front");
}

TEST(WriteTrackerDeathTest, TermsNeverFall) {
  WriteTracker writes(kAfter);
  EXPECT_DEATH(writes.save(kBefore), "term");
  EXPECT_DEATH(writes.append(entry_of(4, 8)), "term");
}

TEST(Options, AreJudgedByName) {
  EXPECT_TRUE(validate(Options{}));
  const auto idle = validate({.heartbeat_ticks = 0});
  ASSERT_FALSE(idle);
  EXPECT_NE(idle.error().message().find("heartbeat_ticks"), std::string::npos);
  const auto hasty = validate({.election_ticks = 4, .heartbeat_ticks = 2});
  ASSERT_FALSE(hasty);
  EXPECT_NE(hasty.error().message().find("election_ticks"), std::string::npos);
  EXPECT_TRUE(validate({.election_ticks = 5, .heartbeat_ticks = 2}));
  EXPECT_FALSE(validate({.uncommitted_bytes_max = 0}));
}

}  // namespace
}  // namespace lignum::raft
