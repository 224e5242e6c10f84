#include "jepsen/sim/event_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <vector>

#include "jepsen/sim/trace.h"

namespace lignum::jepsen {
namespace {

TEST(EventQueue, RunsByTimeThenInTheOrderOfAsking) {
  EventQueue queue;
  std::vector<int> ran;
  queue.at(20, [&] { ran.push_back(4); });
  queue.at(10, [&] { ran.push_back(1); });
  queue.at(10, [&] { ran.push_back(2); });
  queue.after(10, [&] { ran.push_back(3); });
  EXPECT_EQ(queue.next(), std::optional<Moment>(10));
  while (queue.step()) {
  }
  EXPECT_THAT(ran, ::testing::ElementsAre(1, 2, 3, 4));
  EXPECT_EQ(queue.now(), 20);
  EXPECT_EQ(queue.steps(), 4U);
  EXPECT_EQ(queue.next(), std::nullopt);
}

TEST(EventQueue, WhatAnEventAsksForAtOnceRunsBehindTheRestOfItsMoment) {
  EventQueue queue;
  std::vector<int> ran;
  queue.at(5, [&] {
    ran.push_back(1);
    queue.after(0, [&] { ran.push_back(3); });
    // The past is now.
    queue.at(1, [&] { ran.push_back(4); });
  });
  queue.at(5, [&] { ran.push_back(2); });
  while (queue.step()) {
  }
  EXPECT_THAT(ran, ::testing::ElementsAre(1, 2, 3, 4));
  EXPECT_EQ(queue.now(), 5);
}

TEST(Trace, HashTellsOrderTimeAndNumbersApart) {
  const auto hash_of = [](const std::vector<Trace::Event>& events) {
    Trace trace(nullptr);
    for (const Trace::Event& event : events) trace.note(event);
    return trace.hash();
  };
  const Trace::Event first{.kind = TraceKind::kDisk, .at = 1, .who = 2, .a = 3, .b = 4};
  Trace::Event second = first;
  second.at = 2;
  EXPECT_EQ(hash_of({first, second}), hash_of({first, second}));
  EXPECT_NE(hash_of({first, second}), hash_of({second, first}));
  EXPECT_NE(hash_of({first}), hash_of({second}));
  second = first;
  second.b = 5;
  EXPECT_NE(hash_of({first}), hash_of({second}));
  second = first;
  second.who = 3;
  EXPECT_NE(hash_of({first}), hash_of({second}));
}

}  // namespace
}  // namespace lignum::jepsen
