#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "jepsen/sim/sim_disk.h"
#include "raft/error.h"
#include "raft/types.h"
#include "storage/file.h"
#include "storage/image_transfer.h"
#include "storage/snapshot_image.h"
#include "tests/storage/crash_images.h"

namespace lignum::storage {
namespace {

using jepsen::DiskOp;
using jepsen::SimDisk;

constexpr GroupIncarnation kIncarnation{99};
constexpr LogId kApplied{.term = Term(3), .index = Index(8)};
constexpr std::string_view kValue = "what the state holds";

Result<void> ignore(std::string_view /*key*/, std::string_view /*value*/) { return {}; }

// The bytes of an image that another node has.
std::vector<std::byte> sent() {
  SimDisk disk;
  const auto root = disk.root();
  auto writer = *ImageWriter::create(
      *root, {.group = GroupId(5), .incarnation = kIncarnation, .applied = kApplied});
  // Of more than one piece of the copy.
  for (const std::string key : {"a", "b", "c"}) {
    EXPECT_TRUE(writer->add(key, std::string(kImageChunkBytes / 2, 'x')));
  }
  EXPECT_TRUE(writer->add("d", kValue));
  EXPECT_TRUE(writer->finish());
  return disk.contents(image_name(kApplied.index));
}

enum class Ended : std::uint8_t { kBeforeSync, kSyncFailed, kSynced };

// The disk of a node that has received all of it. Its process ends there.
std::unique_ptr<SimDisk> received(Ended ended) {
  auto disk = std::make_unique<SimDisk>();
  const auto root = disk->root();
  auto staged = *StagedImage::create(*root);
  EXPECT_TRUE(staged->append(sent()));
  if (ended == Ended::kSyncFailed) disk->fail({.op = DiskOp::kSync});
  if (ended != Ended::kBeforeSync) {
    EXPECT_EQ(staged->finish(ignore).has_value(), ended == Ended::kSynced);
  }
  disk->clear_faults();
  return disk;
}

Result<std::optional<Index>> settle(SimDisk& disk, LogId last = kApplied) {
  return settle_staged_image(*disk.root(), kIncarnation, [last](Index index) {
    return index == last.index ? std::optional(last) : std::nullopt;
  });
}

bool is_whole(SimDisk& disk) {
  std::string seen;
  const auto info =
      read_image(*disk.root(), image_name(kApplied.index),
                 [&seen](std::string_view /*key*/, std::string_view value) -> Result<void> {
                   seen = value;
                   return {};
                 });
  return info && info->applied == kApplied && seen == kValue;
}

// Its log came to the image's entry by itself; then the image was installed at the next start, and
// the power went.
TEST(ImageTransfer, WhatWasNeverSyncedIsDurableOnceItIsAnImage) {
  for (const Ended ended : {Ended::kBeforeSync, Ended::kSyncFailed, Ended::kSynced}) {
    const auto disk = received(ended);
    ASSERT_EQ(settle(*disk), kApplied.index);
    EXPECT_FALSE(*disk->root()->exists(kImagePartName));
    for_each_crash_image(*disk, [](std::unique_ptr<SimDisk> after) {
      EXPECT_TRUE(is_whole(*after));
      EXPECT_EQ(after->files().size(), 1U);
    });
  }
}

TEST(ImageTransfer, AProcessThatEndsWhileItSettlesIsMadeUpForByTheNext) {
  for (const Ended ended : {Ended::kBeforeSync, Ended::kSyncFailed, Ended::kSynced}) {
    for (std::uint64_t at = 1;; ++at) {
      const auto disk = received(ended);
      disk->crash_at(disk->operations() + at);
      const bool settled = settle(*disk).has_value();
      disk->restart();
      ASSERT_TRUE(settle(*disk)) << "ended at call " << at;
      ASSERT_TRUE(is_whole(*disk)) << "ended at call " << at;
      for_each_crash_image(*disk, [&](std::unique_ptr<SimDisk> after) {
        ASSERT_TRUE(settle(*after));
        // Its very name may be lost that was never synced; what is left of it is whole.
        const bool gone = ended != Ended::kSynced && after->files().empty();
        ASSERT_TRUE(gone || is_whole(*after)) << "ended at call " << at;
      });
      if (settled) {
        ASSERT_GT(at, 4U);
        break;
      }
    }
  }
}

// After the switch the log begins behind the image's entry: it is the only state.
TEST(ImageTransfer, NoCrashOfASettlementLosesASyncedImage) {
  for (std::uint64_t at = 1;; ++at) {
    const auto disk = received(Ended::kSynced);
    disk->crash_at(disk->operations() + at);
    const auto settled = settle(*disk);
    for_each_crash_image(*disk, [&](std::unique_ptr<SimDisk> after) {
      ASSERT_TRUE(settle(*after));
      ASSERT_TRUE(is_whole(*after)) << "crash at call " << at;
    });
    if (settled) {
      ASSERT_GT(at, 4U);
      return;
    }
  }
}

TEST(ImageTransfer, AnErrorLeavesItForTheNextStart) {
  for (std::uint64_t nth = 1;; ++nth) {
    const auto disk = received(Ended::kSynced);
    disk->fail({.nth = nth});
    const bool settled = settle(*disk).has_value();
    disk->clear_faults();
    ASSERT_TRUE(settle(*disk)) << "the error in call " << nth;
    EXPECT_TRUE(is_whole(*disk)) << "the error in call " << nth;
    if (settled) return;
  }
}

TEST(ImageTransfer, WhatIsNotWholeIsRemoved) {
  for (const std::uint64_t byte : {std::uint64_t{0}, std::uint64_t{70'000}}) {
    const auto disk = received(Ended::kSynced);
    disk->flip(kImagePartName, byte, 1);
    EXPECT_EQ(settle(*disk), std::nullopt);
    EXPECT_TRUE(disk->files().empty());
  }
}

TEST(ImageTransfer, WhatTheLogDoesNotHaveIsRemoved) {
  const auto disk = received(Ended::kSynced);
  EXPECT_EQ(settle(*disk, {.term = Term(4), .index = kApplied.index}), std::nullopt);
  EXPECT_TRUE(disk->files().empty());
}

TEST(ImageTransfer, AFullDiskIsNoReasonNotTo) {
  const auto disk = received(Ended::kBeforeSync);
  disk->set_capacity(disk->used_bytes());
  EXPECT_EQ(settle(*disk), kApplied.index);
  EXPECT_TRUE(is_whole(*disk));
}

}  // namespace
}  // namespace lignum::storage
