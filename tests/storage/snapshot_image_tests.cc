#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "jepsen/sim/sim_disk.h"
#include "raft/error.h"
#include "raft/types.h"
#include "storage/file.h"
#include "storage/snapshot_image.h"
#include "tests/storage/crash_images.h"
#include "tests/storage/errc_of.h"

namespace lignum::storage {
namespace {

using jepsen::SimDisk;
using Pairs = std::map<std::string, std::string>;

ImageInfo info_of(std::uint64_t index) {
  return {.group = GroupId(5),
          .incarnation = GroupIncarnation(99),
          .applied = {.term = Term(3), .index = Index(index)},
          .chain = {.low = index, .high = 7},
          .append_time = -static_cast<TimeUs>(index)};
}

Pairs pairs_of(std::uint64_t index) {
  Pairs pairs;
  for (std::uint64_t i = 0; i < index % 7 + 3; ++i) {
    pairs["key-" + std::to_string(i)] = std::string(i * 11, static_cast<char>('a' + index % 20));
  }
  return pairs;
}

Result<void> write(Directory& directory, std::uint64_t index, const Pairs& pairs) {
  TRY_ASSIGN(writer, ImageWriter::create(directory, info_of(index)));
  for (const auto& [key, value] : pairs) {
    TRY(writer->add(key, value));
  }
  return writer->finish();
}

// The pairs, or the error.
Result<Pairs> read(Directory& directory, std::string_view name) {
  Pairs pairs;
  TRY_ASSIGN(info, read_image(directory, name,
                              [&](std::string_view key, std::string_view value) -> Result<void> {
                                pairs.emplace(key, value);
                                return {};
                              }));
  EXPECT_EQ(info, info_of(info.applied.index.value()));
  EXPECT_EQ(read_image_info(directory, name), info);
  return pairs;
}

TEST(SnapshotImage, TheNewestTwoStay) {
  SimDisk disk;
  const auto root = disk.root();
  for (const std::uint64_t index : {4U, 9U, 10U, 100U}) {
    ASSERT_TRUE(write(*root, index, pairs_of(index)));
  }
  const auto names = *list_images(*root);
  EXPECT_THAT(names,
              testing::ElementsAre("image-00000000000000000100", "image-00000000000000000010"));
  EXPECT_EQ(read(*root, names[0]), pairs_of(100));
  EXPECT_EQ(read(*root, names[1]), pairs_of(10));
  EXPECT_EQ(disk.files().size(), 2U);
}

TEST(SnapshotImage, EmptyAndLarge) {
  SimDisk disk;
  const auto root = disk.root();
  ASSERT_TRUE(write(*root, 1, {}));
  EXPECT_EQ(read(*root, list_images(*root)->front()), Pairs());
  Pairs many;
  for (int i = 0; i < 5000; ++i) {
    many["k" + std::to_string(i)] = std::string(100, 'v');
  }
  many["large"] = std::string(3 << 20, 'w');
  ASSERT_TRUE(write(*root, 2, many));
  EXPECT_EQ(read(*root, list_images(*root)->front()), many);
  auto writer = *ImageWriter::create(*root, info_of(3));
  EXPECT_EQ(errc_of(writer->add("k", std::string(kImageChunkMax, 'x'))), Errc::kTooLarge);
  ASSERT_TRUE(writer->add("k", "v"));
  EXPECT_DEATH(EXPECT_TRUE(writer->add("j", "v")), "CHECK");
}

TEST(SnapshotImage, NoCrashLosesAnAcknowledgedImageOrShowsHalfOfOne) {
  for (std::uint64_t at = 1;; ++at) {
    SimDisk disk;
    disk.crash_at(at);
    const auto root = disk.root();
    std::uint64_t acked = 0;
    for (const std::uint64_t index : {4U, 9U, 10U}) {
      if (!write(*root, index, pairs_of(index))) {
        break;
      }
      acked = index;
    }
    for_each_crash_image(disk, [&](std::unique_ptr<SimDisk> after) {
      const auto other = after->root();
      const auto names = list_images(*other);
      ASSERT_TRUE(names);
      std::uint64_t newest = 0;
      for (const std::string& name : *names) {
        const std::uint64_t index = std::stoull(name.substr(6));
        ASSERT_EQ(read(*other, name), pairs_of(index)) << name << ", crash at call " << at;
        newest = std::max(newest, index);
      }
      ASSERT_GE(newest, acked) << "crash at call " << at;
      ASSERT_TRUE(write(*other, 20, pairs_of(20)));
      ASSERT_EQ(read(*other, list_images(*other)->front()), pairs_of(20));
    });
    if (acked == 10) {
      ASSERT_GT(at, 20U);
      break;
    }
  }
}

TEST(SnapshotImage, EveryFlipCutAndExtensionIsDamage) {
  SimDisk disk;
  ASSERT_TRUE(write(*disk.root(), 6, pairs_of(6)));
  const std::string name = list_images(*disk.root())->front();
  const std::size_t size = disk.contents(name).size();
  for (std::size_t at = 0; at < size; ++at) {
    for (const std::uint8_t mask : std::array<std::uint8_t, 3>{0x01, 0x80, 0xFF}) {
      const auto damaged = disk.clone();
      damaged->flip(name, at, mask);
      const auto result = read(*damaged->root(), name);
      ASSERT_FALSE(result) << at;
      ASSERT_EQ(errc_of(result), Errc::kCorrupt) << result.error().describe();
      ASSERT_THAT(result.error().message(), testing::StartsWith("sim:/" + name));
    }
  }
  for (std::size_t length = 0; length <= size + 20; ++length) {
    if (length == size) {
      continue;
    }
    const auto cut = disk.clone();
    cut->truncate(name, length);
    ASSERT_EQ(errc_of(read(*cut->root(), name)), Errc::kCorrupt) << length;
  }
}

TEST(SnapshotImage, AFullDiskLeavesTheOlderImage) {
  SimDisk disk({.capacity_bytes = 2000});
  const auto root = disk.root();
  ASSERT_TRUE(write(*root, 1, pairs_of(1)));
  Pairs large = pairs_of(2);
  large["z"] = std::string(3000, 'z');
  EXPECT_EQ(errc_of(write(*root, 2, large)), Errc::kNoSpace);
  EXPECT_THAT(*list_images(*root), testing::SizeIs(1));
  ASSERT_TRUE(write(*root, 3, pairs_of(3)));
  EXPECT_EQ(read(*root, list_images(*root)->front()), pairs_of(3));
}

TEST(SnapshotImage, TheVisitorsErrorIsPassedOn) {
  SimDisk disk;
  const auto root = disk.root();
  ASSERT_TRUE(write(*root, 1, pairs_of(1)));
  const auto result = read_image(
      *root, list_images(*root)->front(),
      [](std::string_view, std::string_view) { return Result<void>(fail(Errc::kSkew, "no")); });
  EXPECT_EQ(errc_of(result), Errc::kSkew);
  EXPECT_EQ(errc_of(read_image(*root, "image-1", {})), Errc::kNotFound);
}

}  // namespace
}  // namespace lignum::storage
