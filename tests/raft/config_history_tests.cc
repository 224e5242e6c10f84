// Which configuration is in force, where.

#include "raft/config_history.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <iterator>
#include <map>
#include <vector>

#include "raft/membership.h"
#include "raft/random.h"
#include "raft/types.h"
#include "tests/raft/values.h"

namespace lignum::raft {
namespace {

Membership of(std::uint32_t node) { return {.voters = {member(node)}}; }

ConfigAt config(std::uint64_t index, std::uint32_t node) {
  return {.index = Index(index), .membership = of(node)};
}

TEST(ConfigHistory, AConfigurationIsInForceFromItsEntryOn) {
  ConfigHistory history({config(3, 1)});
  history.append(Index(7), of(2));
  EXPECT_EQ(history.latest(), config(7, 2));
  EXPECT_EQ(history.at(Index(3)), config(3, 1));
  EXPECT_EQ(history.at(Index(6)), config(3, 1));
  EXPECT_EQ(history.at(Index(7)), config(7, 2));
  EXPECT_EQ(history.at(Index(99)), config(7, 2));
}

// Two configurations that go at once, as in a log of which a new leader knows neither.
TEST(ConfigHistory, ATruncationTakesBackSeveralLevels) {
  ConfigHistory history({config(3, 1), config(5, 2), config(8, 3), config(9, 4)});
  EXPECT_FALSE(history.truncate_after(Index(9)));
  EXPECT_EQ(history.latest(), config(9, 4));
  EXPECT_TRUE(history.truncate_after(Index(7)));
  EXPECT_EQ(history.latest(), config(5, 2));
  EXPECT_EQ(history.size(), 2U);
  EXPECT_TRUE(history.truncate_after(Index(3)));
  EXPECT_EQ(history.latest(), config(3, 1));
}

TEST(ConfigHistory, ForgettingKeepsWhatIsInForceThere) {
  ConfigHistory history({config(3, 1), config(5, 2), config(8, 3)});
  history.forget_before(Index(2));
  EXPECT_EQ(history.oldest_index(), Index(3));
  history.forget_before(Index(7));
  EXPECT_EQ(history.oldest_index(), Index(5));
  EXPECT_EQ(history.at(Index(7)), config(5, 2));
  history.forget_before(Index(8));
  EXPECT_EQ(history.oldest_index(), Index(8));
  history.forget_before(Index(100));
  EXPECT_EQ(history.latest(), config(8, 3));
  EXPECT_EQ(history.size(), 1U);
}

TEST(ConfigHistoryDeathTest, IsNeverEmptyNorOutOfOrder) {
  EXPECT_DEATH(ConfigHistory({}), "empty");
  EXPECT_DEATH(ConfigHistory({config(3, 1), config(3, 2)}), "adjacent_find");
  ConfigHistory history({config(3, 1)});
  EXPECT_DEATH(history.append(Index(3), of(2)), "index > latest");
  EXPECT_DEATH(static_cast<void>(history.at(Index(2))), "oldest_index");
  EXPECT_DEATH(history.truncate_after(Index(2)), "oldest_index");
}

// Of the entries of a log that are configurations, and a history that is rebuilt from them.
class Rebuilt {
 public:
  void append(std::uint64_t index, std::uint32_t node) { entries_[Index(index)] = of(node); }
  void truncate_after(Index index) { entries_.erase(entries_.upper_bound(index), entries_.end()); }
  void forget_before(Index index) {
    entries_.erase(entries_.begin(), std::prev(entries_.upper_bound(index)));
  }
  void reset(Index index, std::uint32_t node) { entries_ = {{index, of(node)}}; }

  [[nodiscard]] ConfigHistory history() const {
    std::vector<ConfigAt> configs;
    for (const auto& [index, membership] : entries_) {
      configs.push_back({.index = index, .membership = membership});
    }
    return ConfigHistory(configs);
  }

 private:
  std::map<Index, Membership> entries_;
};

void expect_equal(const ConfigHistory& history, const ConfigHistory& rebuilt, std::uint64_t last) {
  ASSERT_EQ(history.oldest_index(), rebuilt.oldest_index());
  ASSERT_EQ(history.size(), rebuilt.size());
  ASSERT_EQ(history.latest(), rebuilt.latest());
  for (std::uint64_t index = rebuilt.oldest_index().value(); index <= last; ++index) {
    ASSERT_EQ(history.at(Index(index)), rebuilt.at(Index(index))) << index;
  }
}

void run_life(std::uint64_t seed) {
  SCOPED_TRACE(seed);
  Random random(seed, "config history");
  ConfigHistory history({config(0, 1)});
  Rebuilt rebuilt;
  rebuilt.reset(Index(0), 1);
  std::uint64_t last = 0;
  std::uint64_t forgotten = 0;
  for (std::uint32_t step = 0; step < 200; ++step) {
    const std::uint64_t act = random.below(10);
    if (act < 6) {
      ++last;
      if (random.chance(1, 2)) {
        history.append(Index(last), of(step));
        rebuilt.append(last, step);
      }
    } else if (act < 8) {
      const std::uint64_t kept = forgotten + random.below(last - forgotten + 1);
      const Index before = history.latest().index;
      rebuilt.truncate_after(Index(kept));
      EXPECT_EQ(history.truncate_after(Index(kept)), before.value() > kept);
      last = kept;
    } else if (act < 9) {
      forgotten += random.below(last - forgotten + 1);
      history.forget_before(Index(forgotten));
      rebuilt.forget_before(Index(forgotten));
    } else if (random.chance(1, 4)) {
      last = forgotten = last + random.below(5);
      history.reset(Index(last), of(step));
      rebuilt.reset(Index(last), step);
    }
    ASSERT_NO_FATAL_FAILURE(expect_equal(history, rebuilt.history(), last));
  }
}

TEST(ConfigHistory, EqualsOneThatIsRebuiltFromTheLog) {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) ASSERT_NO_FATAL_FAILURE(run_life(seed));
}

}  // namespace
}  // namespace lignum::raft
