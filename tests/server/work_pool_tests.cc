// Threads for work, and lines of work that keep their order.

#include "server/work_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <latch>
#include <thread>
#include <vector>

namespace lignum::server {
namespace {

void submit(WorkPool& pool, WorkPool::Item item) { ASSERT_TRUE(pool.submit(item)); }
void submit(WorkLine& line, WorkPool::Item item) { ASSERT_TRUE(line.submit(item)); }

TEST(WorkPool, RunsWhatWasSubmittedBeforeItEnds) {
  std::atomic<int> ran = 0;
  {
    WorkPool pool({.threads = 3});
    for (int i = 0; i < 100; ++i) submit(pool, [&ran] { ++ran; });
  }
  EXPECT_EQ(ran, 100);
}

TEST(WorkPool, RefusesBeyondItsQueue) {
  std::latch free(1);
  std::latch busy(1);
  WorkPool pool({.threads = 1, .queue_max = 2});
  submit(pool, [&] {
    busy.count_down();
    free.wait();
  });
  busy.wait();
  submit(pool, [] {});
  submit(pool, [] {});
  WorkPool::Item third = [] {};
  EXPECT_FALSE(pool.submit(third));
  EXPECT_TRUE(third) << "it is still the caller's";
  free.count_down();
}

TEST(WorkLine, KeepsItsOrderAndNeverOverlaps) {
  std::atomic<int> inside = 0;
  std::atomic<int> overlaps = 0;
  std::vector<int> order;  // Unguarded on purpose: TSan would see two pieces at once.
  {
    WorkPool pool({.threads = 4});
    WorkLine line(pool);
    for (int i = 0; i < 1000; ++i) {
      submit(line, [&, i] {
        if (inside.fetch_add(1) != 0) ++overlaps;
        order.push_back(i);
        inside.fetch_sub(1);
      });
    }
  }
  EXPECT_EQ(overlaps, 0);
  ASSERT_EQ(order.size(), 1000U);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(order.at(static_cast<std::size_t>(i)), i);
}

TEST(WorkLine, OneThatNeverRunsDryLetsOthersRun) {
  constexpr int kPieces = 100;
  std::atomic<int> ran = 0;
  std::atomic<int> ran_before_other = -1;
  std::latch submitted(1);
  {
    WorkPool pool({.threads = 1});
    WorkLine busy(pool);
    WorkLine other(pool);
    std::function<void()> piece = [&] {
      submitted.wait();
      if (++ran < kPieces) submit(busy, piece);
    };
    submit(busy, piece);
    submit(other, [&] { ran_before_other = ran.load(); });
    submitted.count_down();
    // The pool ends when its queue is empty, which the line that goes on prevents.
    while (ran < kPieces) std::this_thread::yield();
  }
  EXPECT_LE(ran_before_other, WorkLine::kPiecesAtOnce);
  EXPECT_GE(ran_before_other, 0);
}

}  // namespace
}  // namespace lignum::server
