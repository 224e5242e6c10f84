// The window of what was not answered.

#include "raft/inflights.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <utility>

#include "raft/random.h"
#include "raft/types.h"

namespace lignum::raft {
namespace {

TEST(Inflights, IsFullByMessages) {
  Inflights window({.messages_max = 2, .bytes_max = 1000});
  window.add(Index(4), 10);
  EXPECT_FALSE(window.full());
  window.add(Index(7), 0);
  EXPECT_TRUE(window.full());
  window.free_to(Index(3));
  EXPECT_TRUE(window.full());
  window.free_to(Index(6));
  EXPECT_EQ(window.count(), 1U);
  EXPECT_EQ(window.bytes(), 0U);
  window.free_first();
  EXPECT_EQ(window.count(), 0U);
}

TEST(Inflights, IsFullByBytesAfterTheMessageThatReachesThem) {
  Inflights window({.messages_max = 9, .bytes_max = 100});
  window.add(Index(1), 99);
  EXPECT_FALSE(window.full());
  window.add(Index(2), 5000);
  EXPECT_TRUE(window.full());
  window.free_to(Index(1));
  EXPECT_TRUE(window.full());
  window.free_to(Index(2));
  EXPECT_FALSE(window.full());
  EXPECT_EQ(window.bytes(), 0U);
}

TEST(Inflights, ClearForgetsBytesToo) {
  Inflights window({.messages_max = 9, .bytes_max = 100});
  window.add(Index(5), 100);
  window.clear();
  EXPECT_FALSE(window.full());
  EXPECT_EQ(window.bytes(), 0U);
  window.add(Index(1), 1);
  EXPECT_EQ(window.bytes(), 1U);
}

TEST(InflightsDeathTest, BoundsAndOrderAreKept) {
  EXPECT_DEATH(Inflights({.messages_max = 0, .bytes_max = 1}), "messages_max");
  EXPECT_DEATH(Inflights({.messages_max = 1, .bytes_max = 0}), "bytes_max");
  Inflights window({.messages_max = 2, .bytes_max = 100});
  EXPECT_DEATH(window.free_first(), "CHECK failed");
  window.add(Index(5), 1);
  EXPECT_DEATH(window.add(Index(5), 1), "last > ");
  window.add(Index(6), 1);
  EXPECT_DEATH(window.add(Index(7), 1), "full");
}

// The bytes are counted as messages come and go; a counter that leaks would close the window for
// ever.
void run_life(std::uint64_t seed) {
  SCOPED_TRACE(seed);
  Random random(seed, "inflights");
  const Inflights::Limits limits{.messages_max = 1 + random.below(40),
                                 .bytes_max = 1 + random.below(3000)};
  Inflights window(limits);
  std::deque<std::pair<std::uint64_t, std::size_t>> model;
  std::size_t bytes = 0;
  std::uint64_t last = 0;
  for (int step = 0; step < 400; ++step) {
    const std::uint64_t act = random.below(100);
    if (act < 70) {
      if (window.full()) continue;
      last += 1 + random.below(3);
      model.emplace_back(last, random.below(200));
      window.add(Index(last), model.back().second);
    } else if (act < 90) {
      const std::uint64_t to = last - random.below(last + 1) / 4;
      window.free_to(Index(to));
      while (!model.empty() && model.front().first <= to) model.pop_front();
    } else if (act < 98) {
      if (model.empty()) continue;
      window.free_first();
      model.pop_front();
    } else {
      window.clear();
      model.clear();
      last = random.below(last + 1);
    }
    bytes = 0;
    for (const auto& [index, size] : model) bytes += size;
    ASSERT_EQ(window.count(), model.size());
    ASSERT_EQ(window.bytes(), bytes);
    ASSERT_EQ(window.recount_bytes(), bytes);
    ASSERT_EQ(window.full(), model.size() >= limits.messages_max || bytes >= limits.bytes_max);
  }
}

TEST(Inflights, CountsWhatIsInTheRing) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) ASSERT_NO_FATAL_FAILURE(run_life(seed));
}

}  // namespace
}  // namespace lignum::raft
