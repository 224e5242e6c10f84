// The stream of persist operations, case by case and against a disk that does them in order.

#include "raft/write_tracker.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "raft/entry.h"
#include "raft/hard_state.h"
#include "raft/messages.h"
#include "raft/output.h"
#include "raft/random.h"
#include "raft/types.h"
#include "tests/raft/values.h"

namespace lignum::raft {
namespace {

const HardState kBefore{.term = Term(4), .vote = std::nullopt};
const HardState kAfter{.term = Term(5), .vote = member(1)};

Entry entry_of(LogId id) {
  Entry entry;
  entry.header.term = id.term;
  entry.header.index = id.index;
  return entry;
}

Message numbered(std::uint64_t number) {
  return {.from = member(1), .to = member(2), .body = TimeoutNow{.term = Term(number)}};
}

Snapshot snapshot_at(LogId id) { return {.id = id, .membership = {.voters = {member(1)}}}; }

TEST(WriteTracker, GathersUntilTaken) {
  WriteTracker writes(kBefore);
  EXPECT_TRUE(writes.idle());
  EXPECT_FALSE(writes.take(log_id(4, 7), 0).has_value());
  writes.save(kAfter);
  writes.append(entry_of(log_id(5, 8)));
  writes.append(entry_of(log_id(5, 9)));
  writes.send_after(numbered(1));
  ASSERT_TRUE(writes.has_op());
  EXPECT_FALSE(writes.idle());
  const auto op = writes.take(log_id(5, 9), 3);
  ASSERT_TRUE(op.has_value());
  EXPECT_EQ(op->hard_state, kAfter);
  EXPECT_EQ(op->append.size(), 2U);
  EXPECT_EQ(op->send_after_persist.size(), 1U);
  EXPECT_EQ(op->token.last, log_id(5, 9));
  EXPECT_EQ(op->token.truncation, 3U);
  EXPECT_EQ(op->token.hard_state, kAfter);
  EXPECT_FALSE(writes.has_op());
  EXPECT_FALSE(writes.idle());
  writes.complete(op->token);
  EXPECT_TRUE(writes.idle());
}

TEST(WriteTracker, AnOperationOfEntriesStillNamesTheHardStateItRestsOn) {
  WriteTracker writes(kBefore);
  writes.save(kAfter);
  const auto vote = writes.take(log_id(4, 7), 0);
  writes.append(entry_of(log_id(5, 8)));
  const auto op = writes.take(log_id(5, 8), 0);
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

// A promise about what is being flushed waits for it, though nothing new is to be written.
TEST(WriteTracker, AMessageAloneIsAnOperation) {
  WriteTracker writes(kAfter);
  writes.append(entry_of(log_id(5, 8)));
  const auto first = writes.take(log_id(5, 8), 0);
  writes.send_after(numbered(1));
  const auto second = writes.take(log_id(5, 8), 0);
  ASSERT_TRUE(first && second);
  EXPECT_TRUE(second->append.empty());
  EXPECT_EQ(second->send_after_persist.size(), 1U);
  EXPECT_EQ(second->token.last, log_id(5, 8));
}

TEST(WriteTracker, ATruncationOfGatheredEntriesNeverReachesTheDisk) {
  WriteTracker writes(kAfter);
  for (std::uint64_t index = 8; index <= 10; ++index) writes.append(entry_of(log_id(5, index)));
  writes.truncate_after(Index(9));
  writes.append(entry_of(log_id(5, 10)));
  const auto op = writes.take(log_id(5, 10), 1);
  ASSERT_TRUE(op);
  EXPECT_EQ(op->truncate_after, std::nullopt);
  EXPECT_EQ(op->append.size(), 3U);
}

TEST(WriteTracker, ATruncationBelowGatheredEntriesReachesTheDisk) {
  WriteTracker writes(kAfter);
  writes.append(entry_of(log_id(5, 8)));
  writes.append(entry_of(log_id(5, 9)));
  writes.truncate_after(Index(6));
  writes.append(entry_of(log_id(5, 7)));
  writes.append(entry_of(log_id(5, 8)));
  // Once more, within what was gathered, and then below it.
  writes.truncate_after(Index(7));
  writes.truncate_after(Index(4));
  writes.append(entry_of(log_id(5, 5)));
  const auto op = writes.take(log_id(5, 5), 3);
  ASSERT_TRUE(op);
  EXPECT_EQ(op->truncate_after, Index(4));
  ASSERT_EQ(op->append.size(), 1U);
  EXPECT_EQ(op->append.front().header.id(), log_id(5, 5));
}

// Its token is the first with the new truncation number: what remained of the log becomes durable
// by it (log_view_tests.cc, ABA).
TEST(WriteTracker, AnOperationThatWasCutToNothingIsHandedOver) {
  WriteTracker writes(kAfter);
  writes.append(entry_of(log_id(5, 8)));
  const auto first = writes.take(log_id(5, 8), 0);
  writes.append(entry_of(log_id(5, 9)));
  writes.truncate_after(Index(8));
  const auto second = writes.take(log_id(5, 8), 1);
  ASSERT_TRUE(first && second);
  EXPECT_TRUE(second->append.empty());
  EXPECT_EQ(second->truncate_after, std::nullopt);
  EXPECT_EQ(second->token.truncation, 1U);
}

TEST(WriteTracker, ARestoreVoidsTheLogButNotTheVote) {
  WriteTracker writes(kBefore);
  writes.save(kAfter);
  writes.append(entry_of(log_id(5, 8)));
  writes.truncate_after(Index(5));
  writes.append(entry_of(log_id(5, 6)));
  writes.send_after(numbered(1));
  writes.restore(snapshot_at(log_id(5, 20)));
  writes.append(entry_of(log_id(5, 21)));
  const auto op = writes.take(log_id(5, 21), 2);
  ASSERT_TRUE(op);
  EXPECT_EQ(op->hard_state, kAfter);
  EXPECT_EQ(op->restore, snapshot_at(log_id(5, 20)));
  EXPECT_EQ(op->truncate_after, std::nullopt);
  EXPECT_EQ(op->append.size(), 1U);
  EXPECT_EQ(op->send_after_persist.size(), 1U);
}

TEST(WriteTrackerDeathTest, TokensCompleteInOrderAndOnce) {
  WriteTracker writes(kAfter);
  writes.append(entry_of(log_id(5, 8)));
  const auto first = writes.take(log_id(5, 8), 0);
  writes.append(entry_of(log_id(5, 9)));
  const auto second = writes.take(log_id(5, 9), 0);
  ASSERT_TRUE(first && second);
  EXPECT_DEATH(writes.complete(second->token), "front");
  WriteToken other = first->token;
  other.truncation = 7;
  EXPECT_DEATH(writes.complete(other), "front");
  writes.complete(first->token);
  EXPECT_DEATH(writes.complete(first->token), "front");
  writes.complete(second->token);
  EXPECT_DEATH(writes.complete(second->token), "empty");
}

TEST(WriteTrackerDeathTest, TermsNeverFallAndAVoteIsGivenOnce) {
  WriteTracker writes(kAfter);
  EXPECT_DEATH(writes.save(kBefore), "term");
  EXPECT_DEATH(writes.save({.term = Term(5), .vote = member(2)}), "vote");
  EXPECT_DEATH(writes.save({.term = Term(5), .vote = std::nullopt}), "vote");
  writes.save(kAfter);
  writes.save({.term = Term(6), .vote = std::nullopt});
  writes.save({.term = Term(6), .vote = member(2)});
}

TEST(WriteTrackerDeathTest, EntriesAreConsecutiveAndOfASavedTerm) {
  WriteTracker writes(kAfter);
  EXPECT_DEATH(writes.append(entry_of(log_id(6, 8))), "term");
  writes.append(entry_of(log_id(4, 8)));
  EXPECT_DEATH(writes.append(entry_of(log_id(5, 10))), "next");
  EXPECT_DEATH(writes.truncate_after(Index(8)), "last_kept");
  EXPECT_DEATH(static_cast<void>(writes.take(log_id(5, 9), 0)), "gathered_last");
  writes.restore(snapshot_at(log_id(5, 20)));
  EXPECT_DEATH(writes.append(entry_of(log_id(5, 20))), "next");
  EXPECT_DEATH(writes.truncate_after(Index(19)), "restore");
}

// What a replica accepted, and what lies on its disk once the operations are done in order.
struct Stored {
  HardState hard_state;
  // From the entry before the first one on, itself included.
  std::map<Index, Term> terms{{Index(0), Term(0)}};

  [[nodiscard]] LogId last() const {
    return {.term = terms.rbegin()->second, .index = terms.rbegin()->first};
  }
  friend bool operator==(const Stored&, const Stored&) = default;
};

// As output.h orders it.
void store(Stored& disk, const PersistOp& op) {
  if (op.hard_state) disk.hard_state = *op.hard_state;
  ASSERT_FALSE(op.restore && op.truncate_after);
  if (op.restore) disk.terms = {{op.restore->id.index, op.restore->id.term}};
  if (op.truncate_after) {
    ASSERT_LT(*op.truncate_after, disk.last().index) << "a log is never cut where nothing is";
    ASSERT_GE(*op.truncate_after, disk.terms.begin()->first);
    disk.terms.erase(disk.terms.upper_bound(*op.truncate_after), disk.terms.end());
  }
  for (const Entry& entry : op.append) {
    ASSERT_EQ(entry.header.index, disk.last().index.next());
    ASSERT_LE(entry.header.term, disk.hard_state.term) << "an entry before its term";
    disk.terms[entry.header.index] = entry.header.term;
  }
}

class Life {
 public:
  explicit Life(std::uint64_t seed) : random_(seed, "write tracker"), writes_(HardState{}) {}

  void run() {
    for (int step = 0; step < 300 && !::testing::Test::HasFatalFailure(); ++step) {
      act();
      check();
    }
    take();
    while (!flushing_.empty() && !::testing::Test::HasFatalFailure()) end_flush();
    EXPECT_TRUE(writes_.idle());
    EXPECT_EQ(disk_, accepted_);
    EXPECT_EQ(sent_, promised_);
  }

 private:
  struct Flush {
    PersistOp op;
    // As it was when the operation was handed over.
    Stored accepted;
  };

  void act() {
    const std::uint64_t choice = random_.below(20);
    if (choice < 2) return save();
    if (choice < 8) return append();
    if (choice < 11) return cut();
    if (choice < 12) return restore();
    if (choice < 14) return promise();
    if (choice < 17) return take();
    end_flush();
  }

  void save() {
    HardState& state = accepted_.hard_state;
    if (!state.vote && random_.chance(1, 2)) {
      state.vote = member(static_cast<std::uint32_t>(random_.below(3)));
    } else {
      state = {.term = state.term + 1 + random_.below(2), .vote = std::nullopt};
    }
    writes_.save(state);
  }

  void append() {
    const LogId last = accepted_.last();
    const Term highest = accepted_.hard_state.term;
    if (last.term > highest) return;
    const LogId id{.term = last.term + random_.below(highest - last.term + 1),
                   .index = last.index.next()};
    accepted_.terms[id.index] = id.term;
    writes_.append(entry_of(id));
  }

  void cut() {
    const Index base = accepted_.terms.begin()->first;
    const Index last = accepted_.last().index;
    if (base == last) return;
    const Index kept = Index(last.value() - 1 - random_.below(last - base) / 2);
    accepted_.terms.erase(accepted_.terms.upper_bound(kept), accepted_.terms.end());
    ++truncation_;
    writes_.truncate_after(kept);
  }

  void restore() {
    if (random_.chance(1, 2)) return;
    const LogId id{.term = accepted_.hard_state.term,
                   .index = accepted_.terms.begin()->first + random_.below(10)};
    accepted_.terms = {{id.index, id.term}};
    ++truncation_;
    writes_.restore(snapshot_at(id));
  }

  void promise() {
    promised_.push_back(promised_.size());
    writes_.send_after(numbered(promised_.back()));
  }

  void take() {
    auto op = writes_.take(accepted_.last(), truncation_);
    if (!op) return;
    ASSERT_EQ(op->token.last, accepted_.last());
    ASSERT_EQ(op->token.hard_state, accepted_.hard_state);
    ASSERT_EQ(op->token.truncation, truncation_);
    flushing_.push_back({.op = *std::move(op), .accepted = accepted_});
  }

  void end_flush() {
    if (flushing_.empty()) return;
    const Flush flush = std::move(flushing_.front());
    flushing_.pop_front();
    ASSERT_NO_FATAL_FAILURE(store(disk_, flush.op));
    ASSERT_EQ(disk_, flush.accepted);
    for (const Message& message : flush.op.send_after_persist) {
      sent_.push_back(std::get<TimeoutNow>(message.body).term.value());
    }
    writes_.complete(flush.op.token);
  }

  void check() {
    ASSERT_EQ(writes_.durable_hard_state(), disk_.hard_state);
    ASSERT_EQ(writes_.outstanding(), flushing_.size());
    if (writes_.idle()) {
      ASSERT_EQ(disk_, accepted_) << "idle says that all is durable";
      ASSERT_EQ(sent_, promised_);
    }
  }

  Random random_;
  WriteTracker writes_;
  Stored accepted_;
  Stored disk_;
  std::uint64_t truncation_ = 0;
  std::deque<Flush> flushing_;
  std::vector<std::uint64_t> promised_;
  std::vector<std::uint64_t> sent_;
};

TEST(WriteTracker, ADiskThatDoesItAllInOrderHoldsWhatWasAccepted) {
  for (std::uint64_t seed = 1; seed <= 500; ++seed) {
    SCOPED_TRACE(seed);
    Life(seed).run();
    if (::testing::Test::HasFailure()) return;
  }
}

}  // namespace
}  // namespace lignum::raft
