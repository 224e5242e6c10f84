// A damaged log is made good from others: wherever it was hurt it becomes the very log it was, from
// replicas that are hurt elsewhere, too; a power cut at any call loses nothing that was sound; and
// what is not of this log is refused.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "jepsen/sim/sim_disk.h"
#include "raft/entry.h"
#include "raft/error.h"
#include "raft/types.h"
#include "storage/file.h"
#include "storage/frame_codec.h"
#include "storage/frame_format.h"
#include "storage/kept_entries.h"
#include "storage/log.h"
#include "storage/log_mark.h"
#include "storage/log_repair.h"
#include "storage/log_survey.h"
#include "storage/segmented_log.h"
#include "tests/storage/crash_images.h"
#include "tests/storage/log_world.h"
#include "tests/storage/proof.h"
#include "tests/storage/repair_world.h"

namespace lignum::storage {
namespace {

using jepsen::SimDisk;

TEST(LogRepair, AnyByteIsPutBack) {
  const SampleLog log;
  SoundSource source(*log.disk);
  std::set<std::string> wrong;
  std::uint64_t repaired = 0;
  const std::uint64_t step = full_proof() ? 97 : 2011;
  for (const std::string& path : segments_of(*log.disk)) {
    const std::size_t bytes = log.disk->contents(path).size();
    for (std::uint64_t byte = 0; byte < bytes; byte += step) {
      auto hurt = log.disk->clone();
      hurt->flip(path, byte, 0x10);
      repaired += is_whole(*hurt) ? 0 : 1;
      const auto outcome = repair(*hurt, evidence_of(log), std::ref(source));
      const std::string found =
          outcome ? difference_of(*hurt, log, evidence_of(log)) : outcome.error().describe();
      if (!found.empty()) wrong.insert(fmt::format("{} byte {}: {}", path, byte, found));
      if (!is_whole(*hurt)) wrong.insert(path + ": still damaged");
    }
  }
  EXPECT_THAT(wrong, ::testing::IsEmpty());
  EXPECT_GT(repaired, 100U);
}

// Sectors that a write never reached, or that went elsewhere; files cut or gone.
TEST(LogRepair, LargerDamageToo) {
  const SampleLog log;
  SoundSource source(*log.disk);
  const std::vector<std::string> paths = segments_of(*log.disk);
  for (const std::string& path : paths) {
    const std::vector<std::byte> sound = log.disk->contents(path);
    for (int kind = 0; kind < 5; ++kind) {
      SCOPED_TRACE(path + " kind " + std::to_string(kind));
      auto hurt = log.disk->clone();
      std::vector<std::byte> bytes = sound;
      if (kind == 0) {
        std::fill_n(bytes.begin() + 12'288, 8192, std::byte{0});
      } else if (kind == 1) {
        std::copy_n(sound.begin() + 4096, 8192, bytes.begin() + 20'480);
      } else if (kind == 2) {
        // The header block of another segment.
        const auto other = log.disk->contents(path == paths.front() ? paths.back() : paths.front());
        std::copy_n(other.begin(), 4096, bytes.begin());
      } else if (kind == 3) {
        bytes.resize(bytes.size() / 2);
      }
      hurt->put(path, bytes);
      if (kind == 4) hurt->erase(path);
      const auto outcome = repair(*hurt, evidence_of(log), std::ref(source));
      ASSERT_TRUE(outcome) << outcome.error().describe();
      EXPECT_EQ(difference_of(*hurt, log, evidence_of(log)), "");
    }
  }
}

// Nothing tells how far the log reached, so it is no torn tail: others have to say.
TEST(LogRepair, AnActiveSegmentThatIsAnothersHasNoKnownEnd) {
  const SampleLog log;
  SoundSource source(*log.disk);
  const std::vector<std::string> paths = segments_of(*log.disk);
  auto hurt = log.disk->clone();
  hurt->put(paths.back(), log.disk->contents(paths.front()));
  const auto root = hurt->clone()->root();
  auto begun = LogRepair::begin(*root, log_options(), {});
  ASSERT_TRUE(begun);
  const auto missing = (*begun)->advance();
  ASSERT_TRUE(missing && *missing);
  EXPECT_FALSE((*missing)->end);
  ASSERT_TRUE(repair(*hurt, {}, std::ref(source)));
  EXPECT_EQ(difference_of(*hurt, log), "");
}

// A checkpoint proves a part of what is gone; entries behind it may have been acknowledged, too.
TEST(LogRepair, WhereOnlyACheckpointProvesTheDamageTheEndIsNotKnown) {
  const SampleLog log;
  auto hurt = log.disk->clone();
  const std::string path = segments_of(*log.disk).back();
  std::vector<std::byte> bytes = hurt->contents(path);
  std::fill(bytes.begin() + 4096, bytes.end(), std::byte{0});
  hurt->put(path, bytes);
  const auto root = hurt->root();
  const auto survey = LogSurvey::make(*root, log_options(), evidence_of(log));
  ASSERT_TRUE(survey);
  EXPECT_TRUE(survey->segments().back().open_ended);
  // Without it this is the log before its first flush into that segment.
  EXPECT_TRUE(is_whole(*hurt));
}

// The bytes may be those of an empty segment: who had the log open knows better.
TEST(LogRepair, WhereMoreWasFlushedThanIsThereTheEndIsNotKnown) {
  const SampleLog log;
  auto hurt = log.disk->clone();
  const std::string path = segments_of(*log.disk).back();
  std::vector<std::byte> bytes = hurt->contents(path);
  std::fill(bytes.begin() + 4096, bytes.end(), std::byte{0});
  hurt->put(path, bytes);
  const auto root = hurt->root();
  LogEvidence evidence;
  ASSERT_TRUE(LogSurvey::make(*root, log_options(), evidence)->sound());
  evidence.flushed = log.last.id.index;
  const auto survey = LogSurvey::make(*root, log_options(), evidence);
  ASSERT_TRUE(survey);
  EXPECT_TRUE(survey->segments().back().open_ended);
  EXPECT_FALSE(survey->sound());
  // What is there is all that there was.
  const auto whole = LogSurvey::make(*log.disk->root(), log_options(), evidence);
  ASSERT_TRUE(whole);
  EXPECT_TRUE(whole->sound());
}

// It would say where this log stood.
TEST(LogRepair, AMarkerOrASkipOfAnotherGroupSaysNothing) {
  const SampleLog log;
  const std::string path = segments_of(*log.disk).back();
  const SegmentId id(std::stoull(path, nullptr, 16));
  for (const bool ours : {true, false}) {
    auto hurt = log.disk->clone();
    std::vector<std::byte> bytes = hurt->contents(path);
    std::fill(bytes.begin() + 4096, bytes.end(), std::byte{0});
    const GroupIncarnation group(kLogIncarnation.value() + (ours ? 0 : 1));
    const std::size_t skip_at = 8192;
    const auto envelope = [&](FrameKind kind, std::size_t at) {
      return Envelope{.kind = kind,
                      .node = log_options().node,
                      .segment = id,
                      .position = at,
                      .truncation = 0,
                      .flushed = at};
    };
    const std::size_t after = encode_skip(envelope(FrameKind::kSkip, skip_at),
                                          {.group = group,
                                           .first = Index(900),
                                           .last = {.term = Term(9), .index = Index(910)},
                                           .chain_before = {},
                                           .chain_after = {},
                                           .append_time = 1},
                                          std::span(bytes).subspan(skip_at));
    encode_marker(envelope(FrameKind::kMarker, skip_at + after),
                  {.group = group, .last = Index(910), .chain = {}},
                  std::span(bytes).subspan(skip_at + after));
    hurt->put(path, bytes);
    const auto survey = LogSurvey::make(*hurt->root(), log_options(), {});
    ASSERT_TRUE(survey);
    EXPECT_EQ(survey->segments().back().frames.size(), ours ? 2U : 0U);
  }
}

TEST(LogRepair, AnActiveSegmentThatAnotherNodeWroteHasNoKnownEnd) {
  const SampleLog log;
  auto hurt = log.disk->clone();
  auto options = log_options();
  options.node = NodeIncarnation(options.node.value() + 1);
  const auto root = hurt->root();
  const auto survey = LogSurvey::make(*root, options, {});
  ASSERT_TRUE(survey);
  EXPECT_TRUE(survey->segments().back().open_ended);
  EXPECT_FALSE(survey->sound());
}

TEST(LogRepair, ReplicasThatAreAllDamagedElsewhereHealOneAnother) {
  const SampleLog log;
  const std::vector<std::string> paths = segments_of(*log.disk);
  std::vector<std::unique_ptr<SimDisk>> disks;
  // Each has lost the middle third of another segment, and a frame of the next.
  for (std::size_t i = 0; i < 3; ++i) {
    disks.push_back(log.disk->clone());
    const std::string& path = paths.at(i % paths.size());
    std::vector<std::byte> bytes = disks[i]->contents(path);
    std::fill_n(bytes.begin() + 30'000, 30'000, std::byte{0xA5});
    disks[i]->put(path, bytes);
    disks[i]->flip(paths.at((i + 1) % paths.size()), 9000, 1);
  }
  std::vector<std::unique_ptr<storage::Directory>> roots;
  std::vector<LogSurvey> surveys;
  for (const auto& disk : disks) {
    roots.push_back(disk->root());
    auto survey = LogSurvey::make(*roots.back(), log_options(), evidence_of(log));
    ASSERT_TRUE(survey);
    ASSERT_FALSE(survey->sound());
    surveys.push_back(std::move(*survey));
  }
  for (std::size_t i = 0; i < 3; ++i) {
    const Source others = [&](const MissingRange& range) -> Result<std::vector<KeptItem>> {
      for (std::size_t other = 0; other < 3; ++other) {
        if (other == i || !range.end) continue;
        TRY_ASSIGN(items, surveys[other].read_kept(range.after.id.index, range.end->index, 6000));
        if (!items.empty()) return items;
      }
      return std::vector<KeptItem>{};
    };
    auto copy = disks[i]->clone();
    const auto outcome = repair(*copy, evidence_of(log), others);
    ASSERT_TRUE(outcome) << outcome.error().describe();
    EXPECT_EQ(difference_of(*copy, log, evidence_of(log)), "");
  }
}

TEST(LogRepair, APowerCutAtAnyCallLosesNothingThatWasSound) {
  const SampleLog log;
  SoundSource source(*log.disk);
  const std::vector<std::string> paths = segments_of(*log.disk);
  auto damaged = log.disk->clone();
  damaged->flip(paths.front(), 40'000, 1);
  damaged->flip(paths.back(), 5000, 1);
  // Others have what was damaged, and nothing else: what was sound has to come from here.
  std::vector<std::pair<Index, Index>> lost;
  const Source noted = [&](const MissingRange& range) {
    lost.emplace_back(range.after.id.index, range.end ? range.end->index : Index());
    return source(range);
  };
  ASSERT_TRUE(repair(*damaged->clone(), evidence_of(log), noted));
  ASSERT_GE(lost.size(), 2U);
  const Source only_lost = [&](const MissingRange& range) -> Result<std::vector<KeptItem>> {
    for (const auto& [after, last] : lost) {
      if (range.end && range.after.id.index >= after && range.end->index <= last) {
        return source(range);
      }
    }
    return std::vector<KeptItem>{};
  };
  std::uint64_t unfinished = 0;
  bool done = false;
  for (std::uint64_t at = 1; !done; at += full_proof() ? 1 : kSanitized ? 9 : 3) {
    auto disk = damaged->clone();
    disk->crash_at(at);
    done = repair(*disk, evidence_of(log), only_lost).has_value();
    for_each_crash_image(*disk, [&](std::unique_ptr<SimDisk> after) {
      SCOPED_TRACE("cut in call " + std::to_string(at));
      unfinished += is_whole(*after) ? 0 : 1;
      // Whatever was left, the repair goes on from there.
      const auto outcome = repair(*after, evidence_of(log), only_lost);
      ASSERT_TRUE(outcome) << outcome.error().describe();
      EXPECT_EQ(difference_of(*after, log, evidence_of(log)), "");
    });
    if (::testing::Test::HasFailure()) return;
  }
  EXPECT_GT(unfinished, 0U);
}

TEST(LogRepair, ATornTailIsNoDamage) {
  const SampleLog log;
  auto disk = log.disk->clone();
  LogWorld world(disk->root(), 1);
  ASSERT_TRUE(world.open());
  world.model = log.model;
  world.append(3000);
  world.append(3000);
  ASSERT_TRUE(world.flush());
  auto torn = disk->clone();
  const std::string path = segments_of(*torn).back();
  const std::vector<std::byte> bytes = torn->contents(path);
  std::size_t end = bytes.size();
  while (bytes[end - 1] == std::byte{0}) --end;
  torn->flip(path, end - 100, 1);
  EXPECT_TRUE(is_whole(*torn));
}

// A log that went another way from somewhere on.
TEST(LogRepair, EntriesOfAnotherHistoryAreRefused) {
  const SampleLog log;
  auto hurt = log.disk->clone();
  const std::string path = segments_of(*hurt).front();
  hurt->flip(path, 40'000, 1);
  const auto root = hurt->root();
  auto begun = LogRepair::begin(*root, log_options(), evidence_of(log));
  ASSERT_TRUE(begun);
  LogRepair& damaged = **begun;
  const auto missing = damaged.advance();
  ASSERT_TRUE(missing && *missing && (*missing)->end);
  SoundSource source(*log.disk);
  const auto items = source(**missing);
  ASSERT_TRUE(items && !items->empty());
  std::vector<KeptItem> other = *items;
  other.front().entry.header.term = other.front().entry.header.term.next();
  EXPECT_EQ(damaged.add(other).value(), LogRepair::Added::kForeign);
  other = *items;
  std::vector<std::byte> bytes(other.front().entry.payload.bytes().begin(),
                               other.front().entry.payload.bytes().end());
  bytes.back() ^= std::byte{1};
  other.front().entry.payload = Payload(std::move(bytes));
  EXPECT_EQ(damaged.add(other).value(), LogRepair::Added::kForeign);
  EXPECT_EQ(damaged.add(*items).value(), LogRepair::Added::kTaken);
}

TEST(LogRepair, AHoleIsTakenOverOnlyWhereTheStateHasWhatWasThere) {
  const SampleLog log;
  const std::string path = segments_of(*log.disk).front();
  for (const bool covered : {false, true}) {
    auto hurt = log.disk->clone();
    hurt->flip(path, 40'000, 1);
    const auto root = hurt->root();
    auto begun = LogRepair::begin(*root, log_options(), covered ? evidence_of(log) : LogEvidence{});
    ASSERT_TRUE(begun);
    const auto missing = (*begun)->advance();
    ASSERT_TRUE(missing && *missing && (*missing)->end);
    // To the end of the segment and far beyond.
    const std::vector<KeptItem> hole = {{.skip_to = log.last, .entry = {}}};
    const auto added = (*begun)->add(hole);
    ASSERT_TRUE(added) << added.error().describe();
    EXPECT_EQ(*added, covered ? LogRepair::Added::kTaken : LogRepair::Added::kHole);
    if (!covered) continue;
    const auto next = (*begun)->advance();
    ASSERT_TRUE(next) << next.error().describe();
    EXPECT_FALSE(next->has_value());
    LogWorld world(hurt->root(), 1);
    const auto opened = world.open();
    ASSERT_TRUE(opened) << opened.error().describe();
    EXPECT_EQ(world.log().last(), log.last.id);
    EXPECT_GT(world.log().first_index(), Index(1));
  }
}

// A hole that ends where the state does, in the middle of a segment: what comes behind it is
// replayed, and so has to be readable.
TEST(LogRepair, WhatTheStateDoesNotContainIsReadableBehindAHole) {
  const SampleLog log;
  const std::string path = segments_of(*log.disk).front();
  auto hurt = log.disk->clone();
  hurt->flip(path, 40'000, 1);
  LogMark state;
  {
    const auto root = hurt->root();
    const auto begun = LogRepair::begin(*root, log_options(), {});
    ASSERT_TRUE(begun);
    const auto missing = (*begun)->advance();
    ASSERT_TRUE(missing && *missing && (*missing)->end);
    const Index last((*missing)->end->index.value() + 2);
    LogWorld sound(log.disk->root(), 1);
    ASSERT_TRUE(sound.open());
    const auto items = sound.log().read_kept((*missing)->after.id.index, last, 1 << 20)();
    ASSERT_TRUE(items);
    state = mark_after(items->back().entry.header);
  }
  const LogEvidence evidence{.index = state.id.index, .source = "the checkpoint", .mark = state};
  const auto mended = repair(*hurt, evidence, [&](const MissingRange&) {
    return Result<std::vector<KeptItem>>({KeptItem{.skip_to = log.last, .entry = {}}});
  });
  ASSERT_TRUE(mended) << mended.error().describe();
  LogWorld world(hurt->root(), 1);
  const auto opened = world.open();
  ASSERT_TRUE(opened) << opened.error().describe();
  EXPECT_EQ(world.log().last(), log.last.id);
  EXPECT_EQ(world.log().first_index(), state.id.index.next());
  EXPECT_EQ(world.log().id_at(state.id.index), state.id);
}

// Nothing says how far the log reached in a file that is gone.
TEST(LogRepair, WithoutTheActiveSegmentTheEndIsAskedFor) {
  const SampleLog log;
  auto hurt = log.disk->clone();
  hurt->erase(segments_of(*hurt).back());
  const auto root = hurt->root();
  auto begun = LogRepair::begin(*root, log_options(), {});
  ASSERT_TRUE(begun);
  const auto missing = (*begun)->advance();
  ASSERT_TRUE(missing && *missing);
  EXPECT_FALSE((*missing)->end.has_value());
  // It stays missing until somebody has decided.
  const auto again = (*begun)->advance();
  ASSERT_TRUE(again && *again);
  (*begun)->end_here();
  const auto done = (*begun)->advance();
  ASSERT_TRUE(done);
  EXPECT_FALSE(done->has_value());
  LogWorld world(hurt->root(), 1);
  ASSERT_TRUE(world.open());
  EXPECT_EQ(world.log().last(), (*missing)->after.id);
}

}  // namespace
}  // namespace lignum::storage
