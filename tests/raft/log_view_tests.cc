// What the core remembers of its log, case by case and against a plain vector.

#include "raft/log_view.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <vector>

#include "raft/random.h"
#include "raft/types.h"
#include "tests/raft/values.h"

namespace lignum::raft {
namespace {

TermRun run(std::uint64_t first, std::uint64_t term) {
  return {.first = Index(first), .term = Term(term)};
}

LogView log_of(LogId base, LogId last, const std::vector<TermRun>& runs) {
  return LogView(base, last, runs);
}

LogView empty_behind(LogId base) { return log_of(base, base, {}); }

// Terms 3 3 5 5 6 at 11 to 15, behind 3 at 10.
LogView example() {
  return log_of(log_id(3, 10), log_id(6, 15), {run(11, 3), run(13, 5), run(15, 6)});
}

TEST(LogView, KnowsTheTermOfWhatItAcceptedAndOfItsFirstEntry) {
  LogView log = empty_behind(log_id(3, 10));
  log.append(log_id(3, 11));
  log.append(log_id(5, 12));
  log.append(log_id(5, 13));
  log.append(log_id(6, 14));
  EXPECT_EQ(log.term_at(Index(9)), std::nullopt);
  EXPECT_EQ(log.term_at(Index(10)), Term(3));
  EXPECT_EQ(log.term_at(Index(11)), Term(3));
  EXPECT_EQ(log.term_at(Index(12)), Term(5));
  EXPECT_EQ(log.term_at(Index(13)), Term(5));
  EXPECT_EQ(log.term_at(Index(14)), Term(6));
  EXPECT_EQ(log.term_at(Index(15)), std::nullopt);
  EXPECT_EQ(log.runs(), 3U);
  EXPECT_EQ(log.last(), log_id(6, 14));
  EXPECT_TRUE(log.has(log_id(5, 13)));
  EXPECT_FALSE(log.has(log_id(6, 13)));
  EXPECT_FALSE(log.has(log_id(6, 15)));
}

TEST(LogView, WhatWasFoundAtBootIsDurable) {
  const LogView log = example();
  EXPECT_EQ(log.durable(), Index(15));
  EXPECT_EQ(log.submitted(), Index(15));
  EXPECT_EQ(log.base(), log_id(3, 10));
  EXPECT_EQ(log.term_at(Index(12)), Term(3));
  EXPECT_EQ(log.term_at(Index(14)), Term(5));
}

TEST(LogView, AcceptedIsNotSubmittedIsNotDurable) {
  LogView log = empty_behind(log_id(1, 4));
  log.append(log_id(2, 5));
  EXPECT_EQ(log.submitted(), Index(4));
  log.submit();
  log.append(log_id(2, 6));
  EXPECT_EQ(log.submitted(), Index(5));
  EXPECT_EQ(log.durable(), Index(4));
  log.on_durable(0, log_id(2, 5));
  EXPECT_EQ(log.durable(), Index(5));
}

// The hint of a rejection: at most one probe for each term.
TEST(LogView, FindsTheLastEntryThatIsNotAboveATerm) {
  const LogView log = example();
  EXPECT_EQ(log.last_not_above(Index(99), Term(9)), log_id(6, 15));
  EXPECT_EQ(log.last_not_above(Index(15), Term(5)), log_id(5, 14));
  EXPECT_EQ(log.last_not_above(Index(13), Term(5)), log_id(5, 13));
  EXPECT_EQ(log.last_not_above(Index(14), Term(4)), log_id(3, 12));
  EXPECT_EQ(log.last_not_above(Index(11), Term(9)), log_id(3, 11));
  EXPECT_EQ(log.last_not_above(Index(99), Term(2)), log_id(3, 10));
  EXPECT_EQ(log.last_not_above(Index(4), Term(9)), log_id(3, 10));
}

TEST(LogView, ATruncationTakesDurableEntriesBackToo) {
  LogView log = example();
  log.truncate_after(Index(13));
  EXPECT_EQ(log.last(), log_id(5, 13));
  EXPECT_EQ(log.durable(), Index(13));
  EXPECT_EQ(log.submitted(), Index(13));
  EXPECT_EQ(log.truncation(), 1U);
  EXPECT_EQ(log.runs(), 2U);
  log.append(log_id(7, 14));
  EXPECT_EQ(log.term_at(Index(14)), Term(7));
  log.truncate_after(Index(10));
  EXPECT_EQ(log.last(), log.base());
  EXPECT_EQ(log.runs(), 0U);
}

// The flush of entries that were cut and replaced ends: it says nothing about the new ones, though
// index and length of the log are the same.
TEST(LogView, AFlushFromBeforeATruncationCountsForNothing) {
  LogView log = empty_behind(log_id(1, 4));
  log.append(log_id(2, 5));
  log.append(log_id(2, 6));
  log.submit();
  log.truncate_after(Index(5));
  log.append(log_id(3, 6));
  log.submit();
  log.on_durable(0, log_id(2, 6));
  EXPECT_EQ(log.durable(), Index(4));
  log.on_durable(1, log_id(3, 6));
  EXPECT_EQ(log.durable(), Index(6));
}

// The same once more: the entries that came back are even equal to those that were cut.
TEST(LogView, AFlushFromBeforeTwoTruncationsCountsForNothing) {
  LogView log = empty_behind(log_id(1, 4));
  log.append(log_id(2, 5));
  log.submit();
  log.truncate_after(Index(4));
  log.append(log_id(3, 5));
  log.submit();
  log.truncate_after(Index(4));
  log.append(log_id(3, 5));
  log.on_durable(0, log_id(2, 5));
  log.on_durable(1, log_id(3, 5));
  EXPECT_EQ(log.durable(), Index(4));
}

TEST(LogView, IsEmptyBehindASnapshot) {
  LogView log = example();
  log.append(log_id(6, 16));
  log.restore(log_id(8, 13));
  EXPECT_EQ(log.base(), log_id(8, 13));
  EXPECT_EQ(log.last(), log_id(8, 13));
  EXPECT_EQ(log.durable(), Index(13));
  EXPECT_EQ(log.term_at(Index(13)), Term(8));
  EXPECT_EQ(log.term_at(Index(12)), std::nullopt);
  EXPECT_EQ(log.runs(), 0U);
  log.on_durable(0, log_id(6, 16));
  EXPECT_EQ(log.durable(), Index(13));
  log.append(log_id(8, 14));
  EXPECT_EQ(log.term_at(Index(14)), Term(8));
}

TEST(LogView, CompactionKeepsTheTermOfTheEntryBeforeTheFirst) {
  LogView log = example();
  log.compact(log_id(5, 13));
  EXPECT_EQ(log.base(), log_id(5, 13));
  EXPECT_EQ(log.term_at(Index(12)), std::nullopt);
  EXPECT_EQ(log.term_at(Index(13)), Term(5));
  EXPECT_EQ(log.term_at(Index(14)), Term(5));
  EXPECT_EQ(log.runs(), 2U);
  EXPECT_EQ(log.last_not_above(Index(15), Term(4)), log_id(5, 13));
  log.compact(log_id(6, 15));
  EXPECT_EQ(log.last(), log.base());
  log.append(log_id(6, 16));
  EXPECT_EQ(log.term_at(Index(16)), Term(6));
  EXPECT_EQ(log.truncation(), 0U) << "nothing was taken from the end";
}

TEST(LogViewDeathTest, NothingIsDurableBeforeItWasSubmitted) {
  LogView log = empty_behind(log_id(1, 4));
  log.append(log_id(1, 5));
  EXPECT_DEATH(log.on_durable(0, log_id(1, 5)), "submitted_");
  log.submit();
  EXPECT_DEATH(log.on_durable(0, log_id(2, 5)), "has");
  EXPECT_DEATH(log.on_durable(1, log_id(1, 5)), "truncation");
}

TEST(LogViewDeathTest, IndexesAreConsecutiveAndTermsNeverFall) {
  LogView log = empty_behind(log_id(3, 4));
  EXPECT_DEATH(log.append(log_id(3, 6)), "next");
  EXPECT_DEATH(log.append(log_id(2, 5)), "term");
}

TEST(LogViewDeathTest, RunsCoverTheLog) {
  EXPECT_DEATH(log_of(log_id(3, 10), log_id(3, 12), {}), "last");
  EXPECT_DEATH(log_of(log_id(3, 10), log_id(3, 12), {run(12, 3)}), "first");
  EXPECT_DEATH(log_of(log_id(3, 10), log_id(2, 12), {run(11, 2)}), "term");
  EXPECT_DEATH(log_of(log_id(3, 10), log_id(4, 12), {run(11, 4), run(12, 4)}), "term");
  EXPECT_DEATH(log_of(log_id(3, 10), log_id(4, 12), {run(11, 3), run(13, 4)}), "last");
  EXPECT_DEATH(log_of(log_id(3, 10), log_id(3, 9), {}), "last");
}

TEST(LogViewDeathTest, WhatIsCompactedCannotBeCut) {
  LogView log = example();
  EXPECT_DEATH(log.truncate_after(Index(9)), "last_kept");
  EXPECT_DEATH(log.truncate_after(Index(15)), "last_kept");
  EXPECT_DEATH(log.compact(log_id(5, 12)), "has");
  EXPECT_DEATH(log.restore(log_id(9, 9)), "base_");
  log.append(log_id(6, 16));
  EXPECT_DEATH(log.compact(log_id(6, 16)), "durable_");
}

// The same log as a map from index to term, what was handed over, and what is on the disk.
class Life {
 public:
  explicit Life(std::uint64_t seed) : random_(seed, "log view"), view_(LogId{}, LogId{}, {}) {
    terms_[Index(0)] = Term(0);
  }

  void run() {
    for (int step = 0; step < 400 && !::testing::Test::HasFatalFailure(); ++step) {
      act();
      check();
    }
    // All that was accepted becomes durable in the end.
    hand_over();
    while (!flushing_.empty()) end_flush();
    check();
    EXPECT_EQ(view_.durable(), view_.last().index);
  }

 private:
  struct Flush {
    std::uint64_t truncation = 0;
    LogId last;
    std::map<Index, Term> terms;
  };

  [[nodiscard]] LogId base() const {
    return {.term = terms_.begin()->second, .index = terms_.begin()->first};
  }
  [[nodiscard]] LogId last() const {
    return {.term = terms_.rbegin()->second, .index = terms_.rbegin()->first};
  }

  void act() {
    const std::uint64_t choice = random_.below(20);
    if (choice < 9) return append();
    if (choice < 11) return cut();
    if (choice < 12) return compact();
    if (choice < 13) return restore();
    if (choice < 16) return hand_over();
    end_flush();
  }

  void append() {
    const LogId id{.term = last().term + (random_.chance(1, 3) ? 1 + random_.below(2) : 0),
                   .index = last().index.next()};
    view_.append(id);
    terms_[id.index] = id.term;
  }

  void cut() {
    if (base() == last()) return;
    const Index kept = base().index + random_.below(last().index - base().index);
    view_.truncate_after(kept);
    terms_.erase(terms_.upper_bound(kept), terms_.end());
  }

  void compact() {
    const Index to = base().index + random_.below(view_.durable() - base().index + 1);
    view_.compact({.term = terms_.at(to), .index = to});
    terms_.erase(terms_.begin(), terms_.find(to));
  }

  void restore() {
    if (random_.chance(2, 3)) return;
    const LogId id{.term = last().term + random_.below(2),
                   .index = base().index + random_.below(last().index - base().index + 4)};
    view_.restore(id);
    terms_ = {{id.index, id.term}};
  }

  void hand_over() {
    flushing_.push_back({.truncation = view_.truncation(), .last = view_.last(), .terms = terms_});
    view_.submit();
  }

  void end_flush() {
    if (flushing_.empty()) return;
    const Flush flush = flushing_.front();
    flushing_.pop_front();
    disk_ = flush.terms;
    view_.on_durable(flush.truncation, flush.last);
  }

  [[nodiscard]] LogId last_not_above(Index index, Term term) const {
    for (auto entry = terms_.rbegin(); entry != terms_.rend(); ++entry) {
      if (entry->first <= index && entry->second <= term) {
        return {.term = entry->second, .index = entry->first};
      }
    }
    return base();
  }

  void check() {
    ASSERT_EQ(view_.base(), base());
    ASSERT_EQ(view_.last(), last());
    ASSERT_LE(view_.base().index, view_.durable());
    ASSERT_LE(view_.durable(), view_.submitted());
    ASSERT_LE(view_.submitted(), view_.last().index);
    std::size_t runs = 0;
    std::optional<Term> before;
    const std::uint64_t first = base().index.value();
    for (std::uint64_t at = first == 0 ? 0 : first - 1; at <= last().index.value() + 1; ++at) {
      const auto entry = terms_.find(Index(at));
      const auto term = entry == terms_.end() ? std::nullopt : std::optional<Term>(entry->second);
      ASSERT_EQ(view_.term_at(Index(at)), term) << at;
      if (at > first && term && term != before) {
        ++runs;
        before = term;
      }
      const Term wanted(random_.below(last().term.value() + 2));
      ASSERT_EQ(view_.last_not_above(Index(at), wanted), last_not_above(Index(at), wanted)) << at;
      if (at > first && Index(at) <= view_.durable()) {
        ASSERT_TRUE(disk_.contains(Index(at)) && disk_.at(Index(at)) == term) << at;
      }
    }
    ASSERT_LE(view_.runs(), runs + 1) << "one of them may end at the base";
  }

  Random random_;
  LogView view_;
  // From the base on, itself included.
  std::map<Index, Term> terms_;
  std::map<Index, Term> disk_;
  std::deque<Flush> flushing_;
};

TEST(LogView, EqualsAPlainMapOverLongLives) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE(seed);
    Life(seed).run();
    if (::testing::Test::HasFailure()) return;
  }
}

}  // namespace
}  // namespace lignum::raft
