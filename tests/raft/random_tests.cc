// The random source: the same numbers everywhere, and no favourite among them.

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <set>

#include "raft/random.h"

namespace lignum {
namespace {

// xoshiro256** from a state that splitmix64 fills from 1, computed apart from this code.
TEST(Random, GivesTheSameNumbersInEveryBuild) {
  Random random(1);
  const std::array<std::uint64_t, 4> first = {random.next(), random.next(), random.next(),
                                              random.next()};
  EXPECT_EQ(first[0], 0xB3F2AF6D0FC710C5ULL);
  EXPECT_EQ(first[1], 0x853B559647364CEAULL);
  EXPECT_EQ(first[2], 0x92F89756082A4514ULL);
  EXPECT_EQ(first[3], 0x642E1C7BC266A3A7ULL);
}

TEST(Random, StreamsOfOneSeedDiffer) {
  std::set<std::uint64_t> firsts = {Random(7).next()};
  firsts.insert(Random(7, "disk").next());
  firsts.insert(Random(7, "network").next());
  firsts.insert(Random(8, "disk").next());
  EXPECT_EQ(firsts.size(), 4U);
  EXPECT_EQ(Random(7, "disk").next(), Random(7, "disk").next());
}

TEST(Random, BelowIsEvenAndBounded) {
  constexpr std::uint64_t kBound = 7;
  constexpr int kDraws = 70'000;
  std::array<int, kBound> seen{};
  Random random(3);
  for (int i = 0; i < kDraws; ++i) ++seen.at(random.below(kBound));
  for (const int count : seen) {
    EXPECT_GT(count, kDraws / 7 * 95 / 100);
    EXPECT_LT(count, kDraws / 7 * 105 / 100);
  }
  EXPECT_EQ(random.below(1), 0U);
}

// Three quarters of 2^64: a plain remainder would favour the lower third by two to one.
TEST(Random, BelowHasNoModuloBias) {
  constexpr std::uint64_t kBound = std::uint64_t{3} << 62;
  constexpr int kDraws = 30'000;
  int low = 0;
  Random random(4);
  for (int i = 0; i < kDraws; ++i) low += random.below(kBound) < (std::uint64_t{1} << 62) ? 1 : 0;
  EXPECT_NEAR(low, 10'000, 600);
}

TEST(Random, ChanceIsAFraction) {
  constexpr int kDraws = 40'000;
  int hits = 0;
  Random random(5);
  for (int i = 0; i < kDraws; ++i) hits += random.chance(1, 4) ? 1 : 0;
  EXPECT_NEAR(hits, 10'000, 800);
}

TEST(RandomDeathTest, BelowZeroIsABug) {
  EXPECT_DEATH(static_cast<void>(Random(1).below(0)), "bound > 0");
}

}  // namespace
}  // namespace lignum
