// What a flush takes and when, and how segments are prepared for the next ones.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <utility>

#include "jepsen/sim/sim_disk.h"
#include "raft/error.h"
#include "raft/types.h"
#include "storage/log.h"
#include "storage/segmented_log.h"
#include "tests/storage/errc_of.h"
#include "tests/storage/log_world.h"

namespace lignum::storage {
namespace {

using jepsen::DiskOp;
using jepsen::SimDisk;

struct LogFlush : testing::Test {
  void SetUp() override {
    ASSERT_TRUE(world.create());
    ASSERT_TRUE(world.open());
  }
  std::size_t files() { return disk.root()->list().value().size(); }

  std::ptrdiff_t resizes() {
    return std::ranges::count(disk.calls(), DiskOp::kResize, &jepsen::DiskCall::op);
  }

  SimDisk disk;
  LogWorld world{disk.root(), 11};
};

TEST_F(LogFlush, TwoAreOutAtMostAndEachMakesItsOwnEntriesDurable) {
  world.append(1000);
  auto first = world.log().take_flush();
  ASSERT_NE(first, nullptr);
  EXPECT_EQ(world.log().take_flush(), nullptr) << "nothing is staged";
  world.append(1000);
  auto second = world.log().take_flush();
  ASSERT_NE(second, nullptr);
  world.append(1000);
  EXPECT_EQ(world.log().take_flush(), nullptr) << "two are out";

  ASSERT_TRUE(first->run());
  EXPECT_EQ(world.log().durable(), Index(0));
  world.log().complete_flush(std::move(first));
  EXPECT_EQ(world.log().durable(), Index(1));
  ASSERT_TRUE(second->run());
  world.log().complete_flush(std::move(second));
  EXPECT_EQ(world.log().durable(), Index(2));
  ASSERT_TRUE(world.flush());
  EXPECT_EQ(world.log().durable(), Index(3));
}

// Small records gain more from sharing a flush than from an early one.
TEST_F(LogFlush, ASecondFlushWaitsUntilItIsLarge) {
  world.options.early_flush_bytes = 4000;
  ASSERT_TRUE(world.open());
  world.append(1000);
  auto first = world.log().take_flush();
  ASSERT_NE(first, nullptr);
  world.append(3000);
  EXPECT_EQ(world.log().take_flush(), nullptr);
  world.append(3000);
  EXPECT_NE(world.log().take_flush(), nullptr);
}

TEST_F(LogFlush, WhatWasPreparedIsGivenBackAndPreparedAgain) {
  const std::size_t before = files();
  while (files() == before) {
    ASSERT_TRUE(world.append(5000));
    ASSERT_TRUE(world.flush());
  }
  // The manifest's next file is made with the spare and stays.
  const std::size_t prepared = files();
  world.log().release_spare();
  EXPECT_EQ(files(), prepared - 1);
  world.log().release_spare();
  EXPECT_EQ(files(), prepared - 1);
  ASSERT_TRUE(world.append(5000));
  EXPECT_EQ(files(), prepared);
  for (int i = 0; i < 60; ++i) {
    ASSERT_TRUE(world.append(5000));
    ASSERT_TRUE(world.flush());
  }
  EXPECT_GE(world.log().usage().segments, 3U);
  ASSERT_TRUE(world.open());
  EXPECT_EQ(world.log().last().index, Index(world.model.entries.size()));
}

// Large flushes reserve blocks, small ones have zeros written.
TEST_F(LogFlush, TheWayOfPreparingFollowsTheSizeOfFlushes) {
  world.options.reserve_from_bytes = 20'000;
  ASSERT_TRUE(world.open());
  const auto roll = [this](int batch) {
    const std::size_t segments = world.log().usage().segments;
    while (world.log().usage().segments == segments) {
      for (int i = 0; i < batch; ++i) ASSERT_TRUE(world.append(5000));
      ASSERT_TRUE(world.flush());
    }
  };
  roll(1);
  EXPECT_EQ(resizes(), 0);
  for (int i = 0; i < 12; ++i) roll(12);
  EXPECT_GE(resizes(), 1);
}

// Whoever comes after it would be told that its names are durable, and the first one's are not.
TEST(DirectorySync, OnceItFailedItFailsForEver) {
  jepsen::SimDisk disk;
  const auto directory = disk.root();
  ASSERT_TRUE(directory->sync());
  EXPECT_FALSE(directory->sync_error());
  disk.fail({.op = jepsen::DiskOp::kSyncDirectory, .nth = 1});
  const auto first = directory->sync();
  ASSERT_EQ(errc_of(first), Errc::kIo);
  const auto again = directory->sync();
  ASSERT_EQ(errc_of(again), Errc::kIo);
  EXPECT_EQ(again.error().message(), first.error().message());
  ASSERT_TRUE(directory->sync_error());
  EXPECT_EQ(directory->sync_error()->message(), first.error().message());
  EXPECT_EQ(disk.faults_struck(), 1U);
}

// A failed sync of anybody's (here of the copies that the cleaner writes) fails what syncs the same
// directory later.
TEST(DirectorySync, OneUserFailsForAll) {
  jepsen::SimDisk disk;
  LogWorld world(disk.root(), 1);
  ASSERT_TRUE(world.create() && world.open());
  for (int i = 0; i < 300 && world.log().usage().segments < 4; ++i) {
    world.append(3000);
    ASSERT_TRUE(world.flush());
  }
  disk.fail({.op = jepsen::DiskOp::kSyncDirectory, .nth = 1});
  ASSERT_EQ(errc_of(world.trim_and_clean()), Errc::kIo);
  ASSERT_EQ(disk.faults_struck(), 1U);
  for (int i = 0; i < 300 && !world.log().prepare_error(); ++i) {
    world.append(3000);
    if (!world.flush()) break;
  }
  EXPECT_TRUE(world.log().sync_error());
  EXPECT_TRUE(world.log().prepare_error());
}

// What others have made in the directory would seem durable after the next sync, and not be.
TEST(LogPreparation, ADirectoryThatCannotBeSyncedIsNotGoneOnWith) {
  for (const auto op : {jepsen::DiskOp::kSyncDirectory, jepsen::DiskOp::kCreate}) {
    jepsen::SimDisk disk;
    LogWorld world(disk.root(), 1);
    ASSERT_TRUE(world.create() && world.open());
    disk.fail({.op = op, .nth = 1});
    for (int i = 0; i < 100 && disk.faults_struck() == 0; ++i) world.append(2000);
    ASSERT_EQ(disk.faults_struck(), 1U);
    EXPECT_TRUE(world.log().prepare_error());
    EXPECT_EQ(world.log().sync_error().has_value(), op == jepsen::DiskOp::kSyncDirectory);
  }
}

}  // namespace
}  // namespace lignum::storage
