#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "jepsen/sim/sim_disk.h"
#include "raft/error.h"
#include "raft/types.h"
#include "storage/byte_order.h"
#include "storage/crc32c.h"
#include "storage/file.h"
#include "storage/identity_file.h"
#include "tests/storage/crash_images.h"
#include "tests/storage/errc_of.h"

namespace lignum::storage {
namespace {

using jepsen::SimDisk;

NodeIdentity sample() {
  NodeIdentity identity{.node = NodeId(3), .incarnation = NodeIncarnation(0x123456789ABCDEF0)};
  for (std::size_t i = 0; i < identity.cluster.bytes.size(); ++i) {
    identity.cluster.bytes.at(i) = static_cast<std::byte>(i * 17);
  }
  return identity;
}

TEST(Identity, IsWrittenOnce) {
  SimDisk disk;
  const auto root = disk.root();
  EXPECT_EQ(load_identity(*root).value(), std::nullopt);
  ASSERT_TRUE(store_identity(*root, sample()));
  EXPECT_EQ(load_identity(*root).value(), sample());
  EXPECT_EQ(errc_of(store_identity(*root, sample())), Errc::kAlreadyExists);
  EXPECT_EQ(sample().cluster.text(), "00112233445566778899aabbccddeeff");
}

TEST(Identity, IsWholeOrAbsentAfterEveryCrash) {
  for (std::uint64_t at = 1;; ++at) {
    SimDisk disk;
    disk.crash_at(at);
    const auto root = disk.root();
    const bool acked = store_identity(*root, sample()).has_value();
    for_each_crash_image(disk, [&](std::unique_ptr<SimDisk> after) {
      const auto other = after->root();
      const auto loaded = load_identity(*other);
      ASSERT_TRUE(loaded) << loaded.error().describe();
      ASSERT_TRUE(*loaded == sample() || (!acked && !*loaded)) << "crash at call " << at;
      if (!*loaded) {
        ASSERT_TRUE(store_identity(*other, sample()));
        ASSERT_EQ(load_identity(*other).value(), sample());
      }
    });
    if (acked) {
      ASSERT_GT(at, 5U);
      break;
    }
  }
}

TEST(Identity, EverySingleFlipAndCutIsHealedOrNamed) {
  SimDisk disk;
  ASSERT_TRUE(store_identity(*disk.root(), sample()));
  const auto good = disk.contents(kIdentityFileName);
  for (std::size_t at = 0; at < good.size(); ++at) {
    const auto damaged = disk.clone();
    damaged->flip(kIdentityFileName, at, 0x10);
    const auto loaded = load_identity(*damaged->root());
    ASSERT_TRUE(loaded) << at;
    ASSERT_EQ(*loaded, sample());
    ASSERT_EQ(damaged->contents(kIdentityFileName), good);
  }
  for (std::size_t length = 0; length < good.size(); ++length) {
    const auto cut = disk.clone();
    cut->truncate(kIdentityFileName, length);
    const auto loaded = load_identity(*cut->root());
    ASSERT_EQ(loaded.has_value(), length >= good.size() / 2) << length;
    if (loaded) {
      ASSERT_EQ(*loaded, sample());
      ASSERT_EQ(cut->contents(kIdentityFileName), good);
    } else {
      ASSERT_EQ(errc_of(loaded), Errc::kCorrupt);
      ASSERT_THAT(loaded.error().message(), testing::HasSubstr("both copies are damaged"));
    }
  }
}

TEST(Identity, AHealingThatCrashesLosesNothing) {
  SimDisk disk;
  ASSERT_TRUE(store_identity(*disk.root(), sample()));
  disk.flip(kIdentityFileName, 9, 0x01);
  for (std::uint64_t at = 1; at <= 6; ++at) {
    const auto damaged = disk.clone();
    damaged->crash_at(at);
    const auto root = damaged->root();
    EXPECT_EQ(load_identity(*root).has_value(), !damaged->crashed());
    for_each_crash_image(*damaged, [&](std::unique_ptr<SimDisk> after) {
      ASSERT_EQ(load_identity(*after->root()).value(), sample());
    });
  }
}

TEST(Identity, AFullDiskPutsItsHealingOff) {
  SimDisk disk;
  ASSERT_TRUE(store_identity(*disk.root(), sample()));
  disk.flip(kIdentityFileName, 9, 0x01);
  disk.set_capacity(disk.used_bytes());
  EXPECT_EQ(load_identity(*disk.root()).value(), sample());
  EXPECT_FALSE(read_identity(*disk.root()).value()->good[0]);
  disk.set_capacity(2 * disk.used_bytes());
  EXPECT_EQ(load_identity(*disk.root()).value(), sample());
  EXPECT_TRUE(read_identity(*disk.root()).value()->good[0]);
}

TEST(Identity, RefusesOtherVersionsAndContradictions) {
  SimDisk disk;
  ASSERT_TRUE(store_identity(*disk.root(), sample()));
  // 2 does not say which producers were forgotten; to write it back would lose more of them.
  for (const std::uint32_t version : {2U, 77U}) {
    auto other = disk.contents(kIdentityFileName);
    for (const std::size_t copy : {std::size_t{0}, kBlockBytes}) {
      store_le<std::uint32_t>(other, copy + 4, version);
      store_le<std::uint32_t>(other, copy + 4092, crc32c(Bytes(other).subspan(copy, 4092)));
    }
    disk.put(kIdentityFileName, other);
    const auto loaded = load_identity(*disk.root());
    ASSERT_EQ(errc_of(loaded), Errc::kUnsupported);
    EXPECT_THAT(loaded.error().message(),
                testing::HasSubstr("format version " + std::to_string(version)));
  }

  SimDisk two;
  ASSERT_TRUE(store_identity(*two.root(), sample()));
  auto bytes = two.contents(kIdentityFileName);
  store_le<std::uint32_t>(bytes, 24, 4);
  store_le<std::uint32_t>(bytes, 4092, crc32c(Bytes(bytes).first(4092)));
  two.put(kIdentityFileName, bytes);
  EXPECT_EQ(errc_of(load_identity(*two.root())), Errc::kCorrupt);
}

}  // namespace
}  // namespace lignum::storage
