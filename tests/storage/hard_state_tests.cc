#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "jepsen/sim/sim_disk.h"
#include "raft/error.h"
#include "raft/hard_state.h"
#include "raft/types.h"
#include "storage/file.h"
#include "storage/hard_state_block.h"
#include "storage/hard_state_file.h"
#include "storage/posix_file.h"
#include "tests/storage/crash_images.h"
#include "tests/storage/errc_of.h"
#include "tests/storage/proof.h"
#include "tests/storage/temporary_directory.h"

namespace lignum::storage {
namespace {

using jepsen::SimDisk;

raft::HardState state_of(std::uint64_t term) {
  raft::HardState state{.term = Term(term), .vote = std::nullopt};
  if (term % 2 == 0) {
    state.vote = ReplicaId{.node = NodeId(7), .incarnation = NodeIncarnation(term * 1000)};
  }
  return state;
}

// What the outside world was told, and what was under way when the crash came.
struct History {
  bool created = false;
  std::map<GroupId, std::uint64_t> acked;  // terms
  std::optional<std::pair<GroupId, std::uint64_t>> in_flight;
};

Result<void> store(HardStateFile& file, History& history, GroupId group, std::uint64_t term) {
  history.in_flight = {group, term};
  TRY(file.store(group, state_of(term)));
  history.acked[group] = term;
  history.in_flight.reset();
  return {};
}

// Stores to several groups, to a new one beyond the first size, and after a restart.
Result<void> workload(Directory& directory, History& history) {
  {
    TRY_ASSIGN(file, HardStateFile::create(directory));
    history.created = true;
    for (std::uint64_t term = 1; term <= 5; ++term) {
      TRY(store(*file, history, GroupId(0), term));
      TRY(store(*file, history, GroupId(term % 2 + 1), term));
    }
    TRY(store(*file, history, GroupId(kHardStateGroupStep + 6), 9));
  }
  TRY_ASSIGN(file, HardStateFile::open(directory));
  TRY(store(*file, history, GroupId(0), 6));
  TRY(store(*file, history, GroupId(kHardStateGroupStep + 6), 10));
  return {};
}

void expect_kept(HardStateFile& file, const History& history) {
  for (std::uint32_t group = 0; group < 2 * kHardStateGroupStep; ++group) {
    const auto loaded = file.load(GroupId(group));
    ASSERT_TRUE(loaded) << loaded.error().describe();
  }
  for (const auto& [group, term] : history.acked) {
    const auto loaded = file.load(group);
    ASSERT_TRUE(loaded) << loaded.error().describe();
    const bool may_be_newer = history.in_flight && history.in_flight->first == group;
    ASSERT_TRUE(loaded->state == state_of(term) ||
                (may_be_newer && loaded->state == state_of(history.in_flight->second)))
        << "group " << group.value() << " has term "
        << (loaded->state ? loaded->state->term.value() : 0) << ", acknowledged was " << term;
  }
}

void expect_recovers(SimDisk& after, const History& history) {
  const auto root = after.root();
  auto file = HardStateFile::open(*root);
  if (!file && file.error().code() == Errc::kNotFound && !history.created) {
    file = HardStateFile::create(*root);
  }
  ASSERT_TRUE(file) << file.error().describe();
  expect_kept(**file, history);
  ASSERT_TRUE((*file)->store(GroupId(0), state_of(100)));
  ASSERT_EQ((*file)->load(GroupId(0))->state, state_of(100));
  ASSERT_EQ((*HardStateFile::open(*root))->load(GroupId(0))->state, state_of(100));
}

TEST(HardStateFile, NoCrashLosesAnAcknowledgedState) {
  std::uint64_t operations = 0;
  {
    SimDisk disk;
    History history;
    ASSERT_TRUE(workload(*disk.root(), history));
    operations = disk.operations();
  }
  ASSERT_GT(operations, 40U);
  for (std::uint64_t at = 1; at <= operations; at += kSanitized ? 5 : 1) {
    SCOPED_TRACE("crash at call " + std::to_string(at));
    SimDisk disk;
    disk.crash_at(at);
    History history;
    ASSERT_FALSE(workload(*disk.root(), history));
    for_each_crash_image(disk, [&](std::unique_ptr<SimDisk> after) {
      // Crash again at every call of the recovery.
      for (std::uint64_t again = 1; again < 20; ++again) {
        const auto second = after->clone();
        second->crash_at(again);
        const auto root = second->root();
        const bool recovered = HardStateFile::open(*root).has_value();
        expect_recovers(*second->crash(again, {.tear_last_sector = true}), history);
        if (recovered || testing::Test::HasFatalFailure()) {
          break;
        }
      }
      expect_recovers(*after, history);
    });
    ASSERT_FALSE(testing::Test::HasFatalFailure());
  }
}

// A sync that failed leaves bytes in the page cache that no later sync saves.
TEST(HardStateFile, WhatARestartReadAfterAFailedSyncSurvivesTheNextPowerCut) {
  SimDisk disk;
  {
    const auto root = disk.root();
    const auto file = *HardStateFile::create(*root);
    ASSERT_TRUE(file->store(GroupId(1), state_of(1)));
    disk.fail({.op = jepsen::DiskOp::kSync});
    ASSERT_FALSE(file->store(GroupId(1), state_of(2)));
  }
  disk.restart();
  const auto root = disk.root();
  const auto seen = (*HardStateFile::open(*root))->load(GroupId(1))->state;
  ASSERT_EQ(seen, state_of(2));
  for_each_crash_image(disk, [&](std::unique_ptr<SimDisk> after) {
    ASSERT_EQ((*HardStateFile::open(*after->root()))->load(GroupId(1))->state, seen);
  });
}

// kill -9 leaves bytes that no disk has yet. Whoever reads them builds on them.
TEST(HardStateFile, WhatARestartReadSurvivesTheNextPowerCut) {
  for (std::uint64_t calls = 1; calls <= 3; ++calls) {
    SimDisk disk;
    {
      const auto root = disk.root();
      const auto file = *HardStateFile::create(*root);
      ASSERT_TRUE(file->store(GroupId(1), state_of(1)));
      disk.crash_at(disk.operations() + calls);
      ASSERT_FALSE(file->store(GroupId(1), state_of(2)));
    }
    disk.restart();
    const auto root = disk.root();
    const auto seen = (*HardStateFile::open(*root))->load(GroupId(1))->state;
    ASSERT_EQ(seen, state_of(2)) << "both were written to the page cache, or one";
    for_each_crash_image(disk, [&](std::unique_ptr<SimDisk> after) {
      ASSERT_EQ((*HardStateFile::open(*after->root()))->load(GroupId(1))->state, seen);
    });
  }
}

// Three groups with states in both slots.
std::unique_ptr<SimDisk> sample() {
  auto disk = std::make_unique<SimDisk>();
  const auto root = disk->root();
  auto file = *HardStateFile::create(*root);
  for (std::uint64_t term = 1; term <= 4; ++term) {
    for (std::uint32_t group = 0; group < 3; ++group) {
      EXPECT_TRUE(file->store(GroupId(group), state_of(term + group)));
    }
  }
  file.reset();
  return disk->clone();
}

TEST(HardStateFile, NoSingleFlipLosesAStateAndAllAreHealed) {
  const auto disk = sample();
  const auto good = disk->contents(kHardStateFileName);
  // Three groups with states and one without; the others are like the latter.
  const std::size_t used = hard_state_position(GroupId(4), 0, 0);
  const std::size_t stride = full_proof() ? 1 : kSanitized ? 101 : 13;
  for (std::size_t at = 0; at < good.size(); at += at < used ? stride : 317 * stride) {
    const auto damaged = disk->clone();
    damaged->flip(kHardStateFileName, at, static_cast<std::uint8_t>(1U << (at % 8)));
    const auto root = damaged->root();
    auto file = HardStateFile::open(*root);
    ASSERT_TRUE(file) << at << " " << file.error().describe();
    std::size_t reports = 0;
    for (std::uint32_t group = 0; group < kHardStateGroupStep; ++group) {
      const auto loaded = (*file)->load(GroupId(group));
      ASSERT_TRUE(loaded) << at;
      const auto expected = group < 3 ? std::optional(state_of(4 + group)) : std::nullopt;
      ASSERT_EQ(loaded->state, expected) << at;
      ASSERT_FALSE(loaded->torn);
      reports += loaded->damage.size();
    }
    ASSERT_EQ(reports, at < hard_state_position(GroupId(0), 0, 0) ? 0U : 1U) << at;
    ASSERT_EQ(damaged->contents(kHardStateFileName), good) << "not healed: byte " << at;
  }
}

void spoil(SimDisk& disk, GroupId group, std::size_t slot, std::size_t copy) {
  disk.flip(kHardStateFileName, hard_state_position(group, slot, copy) + 24, 0xFF);
}

TEST(HardStateFile, OnlyBothCopiesOfOneSlotCountAsTorn) {
  // The newest state of group 0 has the number 6 (the first one has 3): slot 0.
  {
    const auto disk = sample();
    spoil(*disk, GroupId(0), 0, 0);
    spoil(*disk, GroupId(0), 0, 1);
    const auto file = *HardStateFile::open(*disk->root());
    const auto loaded = file->load(GroupId(0));
    ASSERT_TRUE(loaded);
    EXPECT_TRUE(loaded->torn);
    EXPECT_EQ(loaded->state, state_of(3));
    EXPECT_EQ(loaded->damage.size(), 2U);
    EXPECT_THAT(loaded->damage[0], testing::HasSubstr("hard-state: bytes 8192 to 12287 (group 0)"));
  }
  for (std::size_t spared = 0; spared < 5; ++spared) {
    const auto disk = sample();
    for (std::size_t block = 0; block < 4; ++block) {
      if (block != spared) {
        spoil(*disk, GroupId(0), block / 2, block % 2);
      }
    }
    const auto root = disk->root();
    auto file = *HardStateFile::open(*root);
    ASSERT_EQ(errc_of(file->load(GroupId(0))), Errc::kCorrupt) << spared;
    EXPECT_EQ(file->load(GroupId(1))->state, state_of(5)) << "the other groups are served";
    ASSERT_TRUE(file->store(GroupId(0), state_of(50)));
    file = *HardStateFile::open(*root);
    EXPECT_EQ(file->load(GroupId(0))->state, state_of(50)) << "a new incarnation can store";
  }
}

TEST(HardStateFile, APeekSaysWhatTheOpenedFileWouldAndChangesNothing) {
  for (unsigned spoiled = 0; spoiled < 16; ++spoiled) {
    const auto disk = sample();
    for (unsigned block = 0; block < 4; ++block) {
      if ((spoiled >> block & 1U) != 0) spoil(*disk, GroupId(0), block / 2, block % 2);
    }
    const auto before = disk->contents(kHardStateFileName);
    const auto root = disk->root();
    std::vector<Result<HardStateFile::Loaded>> peeked;
    for (std::uint32_t group = 0; group < 4; ++group) {
      peeked.push_back(HardStateFile::peek(*root, GroupId(group)));
    }
    EXPECT_TRUE(HardStateFile::peek(*root, GroupId(kHardStateGroupStep)).has_value());
    EXPECT_EQ(disk->contents(kHardStateFileName), before);
    const auto file = *HardStateFile::open(*root);
    for (std::uint32_t group = 0; group < 4; ++group) {
      const auto loaded = file->load(GroupId(group));
      ASSERT_EQ(peeked[group].has_value(), loaded.has_value()) << spoiled;
      if (!loaded) {
        EXPECT_EQ(peeked[group].error().describe(), loaded.error().describe());
        continue;
      }
      EXPECT_EQ(peeked[group]->state, loaded->state) << spoiled;
      EXPECT_EQ(peeked[group]->torn, loaded->torn) << spoiled;
      EXPECT_EQ(peeked[group]->damage, loaded->damage) << spoiled;
    }
  }
}

TEST(HardStateFile, ACutOrMissingFileIsNamed) {
  const auto disk = sample();
  const auto size = disk->contents(kHardStateFileName).size();
  for (std::size_t length = 0; length < size; length += 1021) {
    const auto cut = disk->clone();
    cut->truncate(kHardStateFileName, length);
    const auto file = HardStateFile::open(*cut->root());
    if (!file) {
      ASSERT_EQ(errc_of(file), Errc::kCorrupt);
      continue;
    }
    for (std::uint32_t group = 0; group < 3; ++group) {
      const auto loaded = (*file)->load(GroupId(group));
      if (!loaded) {
        ASSERT_EQ(errc_of(loaded), Errc::kCorrupt);
      } else if (!loaded->torn) {
        ASSERT_EQ(loaded->state, state_of(4 + group));
      }
    }
  }
  disk->erase(kHardStateFileName);
  EXPECT_EQ(errc_of(HardStateFile::open(*disk->root())), Errc::kNotFound);
}

TEST(HardStateFile, RefusesWhatItCannotHold) {
  const auto disk = sample();
  const auto root = disk->root();
  EXPECT_EQ(errc_of(HardStateFile::create(*root)), Errc::kAlreadyExists);
  const auto file = *HardStateFile::open(*root);
  EXPECT_EQ(errc_of(file->store(GroupId(kHardStateGroupsMax), state_of(1))),
            Errc::kInvalidArgument);
  EXPECT_EQ(file->load(GroupId(5000))->state, std::nullopt);
  disk->fail({.op = jepsen::DiskOp::kSync});
  EXPECT_EQ(errc_of(file->store(GroupId(1), state_of(20))), Errc::kIo);
  EXPECT_EQ(errc_of(file->store(GroupId(2), state_of(20))), Errc::kIo)
      << "never retried after a failed flush";
}

TEST(HardStateFile, GroupsStoreSideBySide) {
  const TemporaryDirectory temporary;
  const auto directory = *open_posix_directory(temporary.path());
  constexpr std::uint32_t kThreads = 6;
  constexpr std::uint64_t kRounds = 40;
  {
    const auto file = *HardStateFile::create(*directory);
    std::vector<std::thread> threads;
    threads.reserve(kThreads);
    for (std::uint32_t number = 0; number < kThreads; ++number) {
      threads.emplace_back([&, number] {
        for (std::uint64_t term = 1; term <= kRounds; ++term) {
          EXPECT_TRUE(file->store(GroupId(number * 30), state_of(term)));
          EXPECT_EQ(file->load(GroupId(number * 30))->state, state_of(term));
        }
      });
    }
    for (std::thread& thread : threads) {
      thread.join();
    }
  }
  const auto file = *HardStateFile::open(*directory);
  for (std::uint32_t number = 0; number < kThreads; ++number) {
    EXPECT_EQ(file->load(GroupId(number * 30))->state, state_of(kRounds));
    EXPECT_TRUE(file->load(GroupId(number * 30))->damage.empty());
  }
}

}  // namespace
}  // namespace lignum::storage
