// A read that meets what cannot be read: what lies before it comes, it is named with its offsets,
// and what lies behind it can be had.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "jepsen/sim/sim_disk.h"
#include "raft/entry.h"
#include "raft/error.h"
#include "raft/payload.h"
#include "raft/types.h"
#include "storage/file.h"
#include "storage/log.h"
#include "tests/storage/errc_of.h"
#include "tests/storage/log_world.h"

namespace lignum::storage {
namespace {

using jepsen::DiskOp;
using jepsen::FaultSpan;
using jepsen::SimDisk;

class LogReadDamage : public ::testing::Test {
 protected:
  LogReadDamage() : world(disk.root(), 11) {
    world.options.tail_cache_bytes = 0;
    EXPECT_TRUE(world.create() && world.open());
    // Two sealed segments of 128 KiB, and some in the active one.
    for (int i = 0; i < 34; ++i) {
      EXPECT_TRUE(world.append_to(kShard, 9000));
      EXPECT_TRUE(world.flush().has_value());
    }
    for (const auto& [index, entry] : world.model.entries) batches.push_back(entry);
    EXPECT_GE(world.log().usage().segments, 3U);
  }

  struct Place {
    std::string file;
    std::uint64_t byte = 0;
  };
  // Where the payload of a batch lies.
  Place find(std::size_t number) {
    const Bytes payload = batches.at(number).payload.bytes();
    for (const SimDisk::FileInfo& file : disk.files()) {
      if (!file.path.ends_with(".seg")) continue;
      const std::vector<std::byte> bytes = disk.contents(file.path);
      const auto found = std::ranges::search(bytes, payload);
      if (!found.empty()) {
        return {.file = file.path,
                .byte = static_cast<std::uint64_t>(found.begin() - bytes.begin())};
      }
    }
    ADD_FAILURE() << "batch " << number << " is nowhere";
    return {};
  }
  void hurt(std::size_t number) {
    const Place place = find(number);
    disk.flip(place.file, place.byte + 100, 4);
  }
  [[nodiscard]] Offset base(std::size_t number) const {
    return number == batches.size() ? world.model.next.at(kShard)
                                    : batches.at(number).header.base_offset;
  }
  struct Outcome {
    Result<std::vector<Entry>> entries;
    std::optional<ReadTrouble> trouble;
  };
  Outcome read(Offset from) {
    const auto plan = world.log().read_shard(
        kShard, {.from = from, .below = Offset(UINT64_MAX), .bytes_max = std::size_t{4} << 20});
    Outcome outcome{.entries = plan->run(), .trouble = std::nullopt};
    outcome.trouble = plan->trouble();
    return outcome;
  }
  // Batches [first, last] cannot be read, for a reason that says `why`; everything else can.
  void expect_all_but(std::size_t first, std::size_t last, Errc code, const std::string& why) {
    const Outcome before = read(base(0));
    if (first > 0) {
      ASSERT_TRUE(before.entries) << before.entries.error().describe();
      ASSERT_EQ(before.entries->size(), first);
      for (std::size_t i = 0; i < first; ++i) {
        EXPECT_TRUE(same_entry(before.entries->at(i), batches.at(i)));
      }
    }
    ASSERT_TRUE(before.trouble && before.trouble->offsets);
    EXPECT_EQ(before.trouble->offsets->from, base(first));
    EXPECT_EQ(before.trouble->offsets->to, base(last + 1));
    for (std::size_t i = first; i <= last; ++i) {
      const Outcome at = read(base(i));
      EXPECT_EQ(errc_of(at.entries), code) << i;
      ASSERT_TRUE(at.trouble && at.trouble->offsets);
      EXPECT_THAT(at.trouble->error.message(), ::testing::HasSubstr(why));
      EXPECT_EQ(at.trouble->offsets->to, base(last + 1));
    }
    if (last + 1 == batches.size()) return;
    const Outcome behind = read(base(last + 1));
    ASSERT_TRUE(behind.entries) << behind.entries.error().describe();
    EXPECT_EQ(behind.entries->size(), batches.size() - last - 1);
    EXPECT_FALSE(behind.trouble);
  }

  static inline const ShardKey kShard = shard_key(0);
  SimDisk disk;
  LogWorld world;
  std::vector<Entry> batches;
};

TEST_F(LogReadDamage, EveryBatchOfEverySegment) {
  for (std::size_t number = 0; number < batches.size(); ++number) {
    SCOPED_TRACE(number);
    const Place place = find(number);
    disk.flip(place.file, place.byte + 100, 4);
    expect_all_but(number, number, Errc::kCorrupt, place.file + ": byte ");
    if (HasFatalFailure()) return;
    disk.flip(place.file, place.byte + 100, 4);
  }
}

TEST_F(LogReadDamage, NeighboursAreOneHole) {
  for (std::size_t number = 3; number <= 6; ++number) hurt(number);
  expect_all_but(3, 6, Errc::kCorrupt, ".seg: byte ");
}

TEST_F(LogReadDamage, TheEndOfASegmentIsGone) {
  const Place last = find(batches.size() - 2);
  disk.truncate(last.file, last.byte);
  expect_all_but(batches.size() - 2, batches.size() - 1, Errc::kCorrupt, "the file ends here");
}

// In a sealed segment and in the active one.
TEST_F(LogReadDamage, ATruncationThatCannotReadChangesNothing) {
  for (const std::size_t kept : {batches.size() - 2, std::size_t{3}}) {
    SCOPED_TRACE(kept);
    const LogId end = world.log().last();
    const Index last = batches.at(kept).header.index;
    const Place place = find(kept);
    disk.flip(place.file, place.byte + 100, 4);
    EXPECT_EQ(errc_of(world.log().truncate_after(last)), Errc::kCorrupt);
    disk.flip(place.file, place.byte + 100, 4);
    disk.fail({.op = DiskOp::kRead, .nth = 1, .error = Errc::kIo});
    EXPECT_EQ(errc_of(world.log().truncate_after(last)), Errc::kIo);
    EXPECT_EQ(world.log().last(), end);
    EXPECT_EQ(read(base(0)).entries->size(), batches.size());
    ASSERT_TRUE(world.log().truncate_after(last));
    ASSERT_TRUE(world.flush());
    batches.resize(kept + 1);
    EXPECT_EQ(world.log().last().index, last);
    ASSERT_TRUE(world.open());
    EXPECT_EQ(world.log().last().index, last);
    EXPECT_EQ(read(base(0)).entries->size(), batches.size());
  }
}

// Sectors that the disk cannot read any more.
TEST_F(LogReadDamage, ReadErrorsAreNamedToo) {
  const Place place = find(0);
  disk.fail({.op = DiskOp::kRead,
             .error = Errc::kIo,
             .span = FaultSpan::kUntilCleared,
             .path_part = place.file});
  std::size_t inside = 0;
  while (find(inside + 1).file == place.file) ++inside;
  expect_all_but(0, inside, Errc::kIo, place.file);
}

// Without its footer nothing of a sealed segment is found.
TEST_F(LogReadDamage, ALostFooterHidesItsSegment) {
  const Place place = find(0);
  std::size_t inside = 0;
  while (find(inside + 1).file == place.file) ++inside;
  const Place end = find(inside);
  const std::uint64_t footer = (end.byte + batches.at(inside).payload.size() + 4095) / 4096 * 4096;
  disk.flip(place.file, footer + 20, 1);
  // Not from memory.
  ASSERT_TRUE(read(base(inside + 1)).entries);
  const Outcome at = read(base(2));
  EXPECT_EQ(errc_of(at.entries), Errc::kCorrupt);
  ASSERT_TRUE(at.trouble && at.trouble->offsets);
  EXPECT_EQ(at.trouble->offsets->from, base(2));
  EXPECT_EQ(at.trouble->offsets->to, base(inside + 1));
}

// The segments of two groups have the same numbers, and entries of the same length stand at the
// same places in them.
TEST_F(LogReadDamage, SegmentsOfAnotherGroupAreNotTakenForOurs) {
  SimDisk other_disk;
  LogWorld other(other_disk.root(), 11);
  other.options.tail_cache_bytes = 0;
  other.options.incarnation = GroupIncarnation(kLogIncarnation.value() + 1);
  ASSERT_TRUE(other.create() && other.open());
  for (std::size_t i = 0; i < batches.size(); ++i) {
    ASSERT_TRUE(other.append_to(kShard, 9000));
    ASSERT_TRUE(other.flush());
  }
  const auto root = disk.root();
  for (const SimDisk::FileInfo& file : other_disk.files()) {
    if (!file.path.ends_with(".seg")) continue;
    SCOPED_TRACE(file.path);
    ASSERT_EQ(disk.contents(file.path).size(), other_disk.contents(file.path).size());
    const auto ours = root->open(file.path, OpenMode::kReadWrite);
    ASSERT_TRUE(ours);
    ASSERT_TRUE((*ours)->write_at(0, other_disk.contents(file.path)));
  }
  for (std::size_t i = 0; i < batches.size(); ++i) {
    SCOPED_TRACE(i);
    EXPECT_EQ(errc_of(read(base(i)).entries), Errc::kCorrupt);
    const Index index = batches.at(i).header.index;
    EXPECT_EQ(errc_of(world.log().read(index, index, 1)->run()), Errc::kCorrupt);
    const Index before(index.value() - 1);
    EXPECT_EQ(errc_of(world.log().read_kept(before, index, 1)()), Errc::kCorrupt);
  }
}

// Its footer would say that nothing of the shard is there, and a read would pass over all of it.
TEST_F(LogReadDamage, AFooterOfAnotherGroupHidesNothing) {
  SimDisk other_disk;
  LogWorld other(other_disk.root(), 11);
  other.options.incarnation = GroupIncarnation(kLogIncarnation.value() + 1);
  ASSERT_TRUE(other.create() && other.open());
  for (std::size_t i = 0; i < batches.size(); ++i) {
    ASSERT_TRUE(other.append_to(shard_key(1), 9000));
    ASSERT_TRUE(other.flush());
  }
  const Place place = find(0);
  std::size_t inside = 0;
  while (find(inside + 1).file == place.file) ++inside;
  const std::uint64_t end = find(inside).byte + batches.at(inside).payload.size();
  const std::uint64_t footer = (end + 4095) / 4096 * 4096;
  const auto ours = disk.root()->open(place.file, OpenMode::kReadWrite);
  ASSERT_TRUE(ours);
  const std::vector<std::byte> theirs = other_disk.contents(place.file);
  ASSERT_TRUE((*ours)->write_at(footer, Bytes(theirs).subspan(footer)));
  // Not from memory.
  ASSERT_TRUE(read(base(inside + 1)).entries);
  EXPECT_EQ(errc_of(read(base(0)).entries), Errc::kCorrupt);
}

// By index the entries before it come, too.
TEST_F(LogReadDamage, ByIndex) {
  hurt(5);
  const Index first = batches.front().header.index;
  const Index last = batches.back().header.index;
  const auto plan = world.log().read(first, last, std::size_t{4} << 20);
  const auto entries = plan->run();
  ASSERT_TRUE(entries);
  EXPECT_EQ(entries->size(), 5U);
  EXPECT_TRUE(plan->trouble().has_value());
  EXPECT_EQ(errc_of(world.log().read(batches.at(5).header.index, last, 1)->run()), Errc::kCorrupt);
}

}  // namespace
}  // namespace lignum::storage
