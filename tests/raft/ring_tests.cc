#include "raft/ring.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <deque>

#include "raft/random.h"

namespace lignum::raft {
namespace {

TEST(Ring, BehavesAsADeque) {
  Random random(7, "ring");
  Ring<int> ring;
  std::deque<int> model;
  for (int i = 0; i < 20'000; ++i) {
    const std::uint64_t what = random.next() % 100;
    if (what < 55) {
      ring.push_back(i);
      model.push_back(i);
    } else if (what < 99 && !model.empty()) {
      ring.pop_front();
      model.pop_front();
    } else if (what == 99 && i % 7 == 0) {
      ring.clear();
      model.clear();
    }
    ASSERT_EQ(ring.size(), model.size());
    ASSERT_EQ(ring.empty(), model.empty());
    if (model.empty()) continue;
    ASSERT_EQ(ring.front(), model.front());
    ASSERT_EQ(ring.back(), model.back());
    const std::size_t somewhere = random.next() % model.size();
    ASSERT_EQ(ring.at(somewhere), model[somewhere]);
  }
}

TEST(RingDeathTest, ReachesNothingThatIsNotThere) {
  Ring<int> ring;
  EXPECT_DEATH((void)ring.front(), "position < size_");
  EXPECT_DEATH(ring.pop_front(), "size_ > 0");
}

}  // namespace
}  // namespace lignum::raft
