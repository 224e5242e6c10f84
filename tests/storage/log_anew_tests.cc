// A log that nobody can repair, for what it lost was cleaned everywhere or never committed, is made
// anew up to a state of the group. What is here behind that state stays, if it continues it.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "jepsen/sim/sim_disk.h"
#include "raft/error.h"
#include "raft/types.h"
#include "storage/kept_entries.h"
#include "storage/log_mark.h"
#include "storage/log_repair.h"
#include "storage/segmented_log.h"
#include "tests/storage/crash_images.h"
#include "tests/storage/log_world.h"
#include "tests/storage/proof.h"
#include "tests/storage/repair_world.h"

namespace lignum::storage {
namespace {

using jepsen::SimDisk;

constexpr std::uint64_t kDamagedByte = 40'000;

// Where `log` stands after the entry.
LogMark mark_at(const SampleLog& log, Index index) {
  return mark_after(log.model.entries.at(index).header);
}

// The log of a member whose cleaner was at work.
struct CleanedLog {
  explicit CleanedLog(const SampleLog& log) : disk(log.disk->clone()), model(log.model) {
    LogWorld world(disk->root(), 3);
    world.model = model;
    EXPECT_TRUE(world.open());
    for (int i = 0; i < 3; ++i) EXPECT_TRUE(world.trim_and_clean());
    EXPECT_GT(world.log().first_index(), Index(1));
    model = world.model;
    disk = disk->clone();
  }
  std::unique_ptr<SimDisk> disk;
  LogModel model;
};

// As repair(); where the source has nothing of use the log is made anew up to `state`. Says whether
// it was.
Result<bool> repair_anew(SimDisk& disk, const LogEvidence& evidence, const LogMark& state,
                         const Source& source) {
  const auto root = disk.root();
  TRY_ASSIGN(repair, LogRepair::begin(*root, log_options(), evidence));
  bool anew = false;
  TRY_ASSIGN(missing, repair->advance());
  while (missing) {
    TRY_ASSIGN(items, source(*missing));
    auto added = LogRepair::Added::kHole;
    if (!items.empty()) {
      TRY_ASSIGN(outcome, repair->add(items));
      added = outcome;
    }
    if (added != LogRepair::Added::kTaken) {
      if (anew) return fail(Errc::kTrimmed, "nobody has it");
      TRY(repair->begin_anew(state));
      anew = true;
    }
    TRY_ASSIGN(next, repair->advance());
    missing = next;
  }
  return anew;
}

TEST(LogAnew, WhatWasCleanedEverywhereIsMadeUpForByAState) {
  const SampleLog log;
  const CleanedLog cleaned(log);
  const std::vector<std::string> paths = segments_of(*log.disk);
  // In each segment, at its ends, and at the end of the log.
  for (const std::uint64_t at : {25U, 40U, 55U, 70U, 85U, 90U}) {
    SCOPED_TRACE("state at " + std::to_string(at));
    const LogMark state = mark_at(log, std::min(Index(at), log.last.id.index));
    SoundSource source(*cleaned.disk);
    auto hurt = log.disk->clone();
    hurt->flip(paths.front(), kDamagedByte, 1);
    const auto made = repair_anew(*hurt, {}, state, std::ref(source));
    ASSERT_TRUE(made) << made.error().describe();
    EXPECT_TRUE(*made);
    EXPECT_EQ(difference_of(*hurt, log, {}, cleaned.model), "");
    LogWorld world(hurt->root(), 1);
    ASSERT_TRUE(world.open());
    EXPECT_EQ(world.log().id_at(state.id.index), state.id);
    EXPECT_LE(world.log().first_index(), state.id.index.next());
  }
}

TEST(LogAnew, ALogThatEndsBeforeTheStateReachesIt) {
  const SampleLog log;
  auto hurt = log.disk->clone();
  {
    LogWorld world(hurt->root(), 1);
    world.model = log.model;
    ASSERT_TRUE(world.open() && world.truncate(30) && world.flush());
  }
  hurt = hurt->clone();
  hurt->flip(segments_of(*hurt).front(), kDamagedByte, 1);
  const CleanedLog cleaned(log);
  SoundSource source(*cleaned.disk);
  const auto made = repair_anew(*hurt, {}, log.last, std::ref(source));
  ASSERT_TRUE(made) << made.error().describe();
  EXPECT_TRUE(*made);
  EXPECT_EQ(difference_of(*hurt, log, {}, cleaned.model), "");
}

// Entries that were never committed, and are gone wherever they were: shorter and longer than the
// history that was.
TEST(LogAnew, AnotherHistoryGoes) {
  const SampleLog log;
  for (const int others : {5, 60}) {
    auto hurt = log.disk->clone();
    Index damaged;
    {
      LogWorld world(hurt->root(), 8);
      world.model = log.model;
      ASSERT_TRUE(world.open() && world.truncate(20));
      damaged = world.log().last().index.next();
      world.set_term(7);
      for (int i = 0; i < others; ++i) {
        ASSERT_TRUE(world.append(4000));
        ASSERT_TRUE(world.flush());
      }
      ASSERT_TRUE(world.append(100) && world.flush());
    }
    hurt = hurt->clone();
    bool struck = false;
    for (const std::string& path : segments_of(*hurt)) {
      auto tried = hurt->clone();
      for (std::uint64_t byte = 5000; !struck && byte + 100 < hurt->contents(path).size();
           byte += 500) {
        tried = hurt->clone();
        tried->flip(path, byte, 1);
        const auto root = tried->root();
        const auto begun = LogRepair::begin(*root, log_options(), {});
        ASSERT_TRUE(begun);
        const auto missing = (*begun)->advance();
        struck = missing && *missing && (*missing)->end && (*missing)->after.id.index >= damaged;
      }
      if (struck) {
        hurt = std::move(tried);
        break;
      }
    }
    ASSERT_TRUE(struck);
    SoundSource sound(*log.disk);
    // What it is answered at first is what replaced its entries.
    const auto made = repair_anew(*hurt, {}, log.last, std::ref(sound));
    ASSERT_TRUE(made) << made.error().describe();
    EXPECT_TRUE(*made);
    EXPECT_EQ(difference_of(*hurt, log, {}, log.model), "") << others;
  }
}

TEST(LogAnew, EntriesThatDoNotLeadToTheStateAreRefused) {
  const SampleLog log;
  auto hurt = log.disk->clone();
  hurt->flip(segments_of(*log.disk).front(), kDamagedByte, 1);
  const auto root = hurt->root();
  auto begun = LogRepair::begin(*root, log_options(), {});
  ASSERT_TRUE(begun && (*begun)->advance());
  LogMark state = mark_at(log, Index(50));
  state.chain.low ^= 1U;
  ASSERT_TRUE((*begun)->begin_anew(state));
  const auto missing = (*begun)->advance();
  ASSERT_TRUE(missing && *missing);
  EXPECT_EQ((*missing)->after, LogMark{});
  SoundSource source(*log.disk);
  source.piece = std::size_t{1} << 20;
  const auto items = source(**missing);
  ASSERT_TRUE(items);
  EXPECT_EQ((*begun)->add(*items).value(), LogRepair::Added::kForeign);
}

TEST(LogAnew, APowerCutAtAnyCallLosesNothing) {
  const SampleLog log;
  const CleanedLog cleaned(log);
  const LogMark state = mark_at(log, Index(60));
  auto damaged = log.disk->clone();
  damaged->flip(segments_of(*log.disk).front(), kDamagedByte, 1);
  SoundSource source(*cleaned.disk);
  const Source others = std::ref(source);
  // Behind the state nobody has anything: it has to come from here.
  const Source until_state = [&](const MissingRange& range) -> Result<std::vector<KeptItem>> {
    if (range.after.id.index >= state.id.index) return std::vector<KeptItem>{};
    return others(range);
  };
  bool done = false;
  for (std::uint64_t at = 1; !done; at += full_proof() ? 1 : kSanitized ? 9 : 3) {
    auto disk = damaged->clone();
    disk->crash_at(at);
    done = repair_anew(*disk, {}, state, until_state).has_value();
    for_each_crash_image(*disk, [&](std::unique_ptr<SimDisk> after) {
      SCOPED_TRACE("cut in call " + std::to_string(at));
      const auto outcome = repair_anew(*after, {}, state, until_state);
      ASSERT_TRUE(outcome) << outcome.error().describe();
      EXPECT_EQ(difference_of(*after, log, {}, cleaned.model), "");
    });
    if (::testing::Test::HasFailure()) return;
  }
}

}  // namespace
}  // namespace lignum::storage
