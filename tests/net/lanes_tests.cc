// The lanes: order, timers, and the two ways to end.

#include "net/lanes.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <thread>
#include <vector>

#include "raft/mutex.h"

namespace lignum::net {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

class LanesTest : public testing::TestWithParam<microseconds> {
 protected:
  Lanes lanes_{LanesOptions{.count = 3, .spin = GetParam()}};
};

TEST_P(LanesTest, TasksOfALaneKeepTheirOrderAndItsThread) {
  std::vector<int> order;
  std::thread::id thread;
  lanes_.post(1, [&] { thread = std::this_thread::get_id(); });
  for (int i = 0; i < 1000; ++i) {
    lanes_.post(1, [&, i] {
      EXPECT_EQ(std::this_thread::get_id(), thread);
      order.push_back(i);
    });
  }
  lanes_.finish();
  ASSERT_EQ(order.size(), 1000U);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(order[static_cast<std::size_t>(i)], i);
}

TEST_P(LanesTest, LanesAreThreadsOfTheirOwn) {
  // Each task waits for the others: on one thread they would never meet.
  std::atomic<int> met{0};
  for (std::size_t lane = 0; lane < lanes_.count(); ++lane) {
    lanes_.post(lane, [&] {
      met.fetch_add(1);
      while (met.load() < 3) std::this_thread::yield();
    });
  }
  lanes_.finish();
  EXPECT_EQ(met.load(), 3);
}

TEST_P(LanesTest, FinishWaitsForTimersAndWhatTheyPost) {
  const auto start = std::chrono::steady_clock::now();
  std::atomic<bool> ran{false};
  lanes_.post_after(0, milliseconds(30), [&] { lanes_.post(2, [&] { ran = true; }); });
  lanes_.finish();
  // Lane 2 may have run dry before the timer posted to it.
  EXPECT_GE(std::chrono::steady_clock::now() - start, milliseconds(30));
}

TEST_P(LanesTest, StopDestroysTheRestUnrun) {
  const auto witness = std::make_shared<int>(0);
  std::atomic<bool> ran{false};
  {
    Lanes lanes(LanesOptions{.count = 1, .spin = GetParam()});
    lanes.post_after(0, std::chrono::hours(1), [witness, &ran] { ran = true; });
    lanes.stop();
    lanes.post(0, [witness, &ran] { ran = true; });
    EXPECT_EQ(witness.use_count(), 3);
  }
  EXPECT_EQ(witness.use_count(), 1);
  EXPECT_FALSE(ran.load());
}

TEST_P(LanesTest, WakesUpForAPostAfterAPause) {
  for (int i = 0; i < 50; ++i) {
    Mutex mutex;
    ConditionVariable changed;
    bool done = false;
    lanes_.post(0, [&] {
      const MutexLock lock(mutex);
      done = true;
      changed.notify_all();
    });
    const MutexLock lock(mutex);
    while (!done) changed.wait(mutex);
  }
}

INSTANTIATE_TEST_SUITE_P(Spin, LanesTest, testing::Values(microseconds(0), microseconds(50)));

}  // namespace
}  // namespace lignum::net
