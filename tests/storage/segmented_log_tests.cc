// What a SegmentedLog does between crashes: rolls, reads, frees and rewrites.

#include "storage/segmented_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "jepsen/sim/sim_disk.h"
#include "raft/entry.h"
#include "raft/error.h"
#include "raft/payload.h"
#include "raft/types.h"
#include "storage/frame_codec.h"
#include "storage/frame_format.h"
#include "storage/log.h"
#include "storage/manifest.h"
#include "tests/storage/log_world.h"

namespace lignum::storage {
namespace {

using jepsen::SimDisk;
using jepsen::Survival;

constexpr Offset kEverything{UINT64_MAX};

class Segmented : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(world_.create() && world_.open()); }

  void flush() { ASSERT_TRUE(world_.flush().has_value()); }
  // Appends batches of `shard`, each flushed, until the log has rolled.
  void fill_segment(ShardKey shard) {
    const std::uint64_t before = world_.log().usage().segments;
    while (world_.log().usage().segments == before) {
      ASSERT_TRUE(world_.append_to(shard, 5000));
      flush();
    }
  }
  void trim(ShardKey shard, Offset start) {
    world_.model.starts[shard] = start;
    world_.log().set_shard_start(shard, start, Index(0));
  }
  bool clean() {
    auto job = world_.log().take_clean(world_.log().durable());
    if (job == nullptr) return false;
    const bool ok = job->run().has_value();
    world_.log().complete_clean(std::move(job), ok);
    return ok;
  }
  // Refused as damage that names `file`; the disk is as it was.
  void expect_refused(const std::string& file) {
    const auto before = disk_.contents(file);
    const std::uint64_t calls = disk_.operations();
    const auto opened = world_.open();
    ASSERT_FALSE(opened.has_value());
    EXPECT_EQ(opened.error().code(), Errc::kCorrupt);
    EXPECT_THAT(opened.error().message(), ::testing::HasSubstr(file));
    EXPECT_EQ(disk_.operations(), calls);
    EXPECT_EQ(disk_.contents(file), before);
  }
  void expect_true(const Skip& skip) {
    const EntryHeader& last = world_.model.entries.at(skip.last.index).header;
    EXPECT_EQ(skip.last, last.id());
    EXPECT_EQ(skip.append_time, last.append_time);
    EXPECT_EQ(skip.chain_after, chain_after(last));
    EXPECT_EQ(skip.chain_before, world_.model.entries.at(skip.first).header.previous_chain);
  }
  // Empty when a power cut now loses nothing that was acknowledged.
  std::string after_power_cut() {
    auto after = disk_.crash(1, {.data = Survival::kNone, .names = Survival::kNone});
    LogWorld next(after->root(), 1);
    next.model.starts = world_.model.starts;
    if (auto opened = next.open(); !opened) return opened.error().describe();
    return difference(next.log(), world_.model);
  }

  SimDisk disk_;
  LogWorld world_{disk_.root(), 3};
};

TEST_F(Segmented, ASegmentWhoseSealIsNotOnTheDiskIsNotCleaned) {
  const std::uint64_t before = world_.log().usage().segments;
  Index flushed;
  while (true) {
    ASSERT_TRUE(world_.append_to(shard_key(0), 5000));
    if (world_.log().usage().segments > before) break;
    flush();
    flushed = world_.log().durable();
  }
  // The roll is staged; everything in the old segment is flushed, and now it is trimmed.
  ASSERT_EQ(world_.log().durable(), flushed);
  trim(shard_key(0), kEverything);
  EXPECT_EQ(world_.log().take_clean(flushed), nullptr);
  EXPECT_EQ(after_power_cut(), "");
  flush();
  EXPECT_TRUE(clean());
  EXPECT_EQ(after_power_cut(), "");
}

TEST_F(Segmented, TheEntryBeforeAGapKeepsItsOwnTerm) {
  fill_segment(shard_key(0));
  world_.set_term(2);
  fill_segment(shard_key(1));
  world_.set_term(3);
  ASSERT_TRUE(world_.append_to(shard_key(0), 100));
  flush();
  const Index before = Index(world_.log().active_first_index().value() - 1);
  const LogId id = {.term = world_.model.entries.at(before).header.term, .index = before};
  ASSERT_EQ(id.term, Term(2));
  ASSERT_EQ(world_.log().id_at(before), id);
  // The middle segment goes, the one before it stays.
  trim(shard_key(1), kEverything);
  ASSERT_TRUE(clean());
  EXPECT_EQ(world_.log().first_index(), before.next());
  EXPECT_EQ(world_.log().id_at(before), id);
  EXPECT_EQ(world_.log().id_at(Index(before.value() - 1)), std::nullopt);
}

// The skip frames of every segment on `disk`.
std::vector<Skip> skips_on(const SimDisk& disk) {
  std::vector<Skip> skips;
  for (const SimDisk::FileInfo& file : disk.files()) {
    if (!file.path.ends_with(".seg")) continue;
    const std::vector<std::byte> bytes = disk.contents(file.path);
    const SegmentId id(std::stoull(file.path, nullptr, 16));
    for (std::size_t at = kFramesStart; at < bytes.size();) {
      const auto frame = decode_frame(Bytes(bytes).subspan(at), id, at);
      if (!frame) break;
      if (const auto* skip = std::get_if<Skip>(&frame->body)) skips.push_back(*skip);
      at += frame->bytes;
    }
  }
  return skips;
}

TEST_F(Segmented, ASkipSaysExactlyWhereTheLogStoodAfterIt) {
  for (int i = 0; world_.log().usage().segments < 2; ++i) {
    world_.set_term(1 + static_cast<std::uint64_t>(i / 3));
    // Few of two shards stay, between many of another that go.
    const std::uint32_t shard = i % 7 == 3 ? 0 : i % 7 == 5 ? 1 : 2;
    ASSERT_TRUE(world_.append_to(shard_key(shard), 4000));
    flush();
  }
  // The second time, skips of the first stand in the source.
  for (const std::uint32_t shard : {2U, 1U}) {
    trim(shard_key(shard), kEverything);
    ASSERT_TRUE(clean());
    const std::vector<Skip> skips = skips_on(disk_);
    EXPECT_GE(skips.size(), 2U);
    for (const Skip& skip : skips) expect_true(skip);
    ASSERT_TRUE(world_.open().has_value());
    EXPECT_EQ(difference(world_.log(), world_.model), "");
  }
}

// The history of `world` on another disk: same sizes, same segment numbers.
void copy_history(LogWorld& world, SimDisk& disk, const SegmentedLogOptions& options) {
  auto root = disk.root();
  ASSERT_TRUE(SegmentedLog::create(*root, options).has_value());
  auto opened = SegmentedLog::open(*root, options);
  ASSERT_TRUE(opened.has_value());
  for (const auto& [index, entry] : world.model.entries) {
    Entry copy = entry;
    copy.header.group = options.incarnation;
    copy.header.previous_chain = opened->log->last_chain();
    ASSERT_EQ(opened->log->room(entry.payload.size() + 200), Room::kReady);
    opened->log->append({&copy, 1});
    auto job = opened->log->take_flush();
    ASSERT_TRUE(job->run().has_value());
    opened->log->complete_flush(std::move(job));
  }
}

TEST_F(Segmented, ASegmentOfAnotherGroupIsNotTakenForOurs) {
  fill_segment(shard_key(0));
  SimDisk other;
  SegmentedLogOptions options = log_options();
  options.group = GroupId(4);
  options.incarnation = GroupIncarnation(78);
  copy_history(world_, other, options);
  for (const std::uint64_t number : {1U, 2U}) {
    const std::string name = segment_file_name(SegmentId(number));
    const std::vector<std::byte> ours = disk_.contents(name);
    disk_.put(name, other.contents(name));
    expect_refused(name);
    disk_.put(name, ours);
    ASSERT_TRUE(world_.open().has_value());
  }
}

// The same group on another node, as when disks of two replicas are mixed up.
TEST_F(Segmented, ASegmentOfAnotherNodeIsNotTakenForOurs) {
  fill_segment(shard_key(0));
  SimDisk other;
  SegmentedLogOptions options = log_options();
  options.node = NodeIncarnation(6);
  copy_history(world_, other, options);
  for (const std::uint64_t number : {1U, 2U}) {
    const std::string name = segment_file_name(SegmentId(number));
    const std::vector<std::byte> ours = disk_.contents(name);
    disk_.put(name, other.contents(name));
    expect_refused(name);
    disk_.put(name, ours);
    ASSERT_TRUE(world_.open().has_value());
  }
}

TEST_F(Segmented, ASegmentUnderAnothersNameIsNotTakenForIt) {
  fill_segment(shard_key(0));
  fill_segment(shard_key(0));
  disk_.put(segment_file_name(SegmentId(2)), disk_.contents(segment_file_name(SegmentId(1))));
  expect_refused(segment_file_name(SegmentId(2)));
}

// A power cut in the middle of the last of some writes; what it left bears no later claim.
class TornEnd : public Segmented {
 protected:
  void SetUp() override {
    Segmented::SetUp();
    for (int i = 0; i < 4; ++i) {
      ASSERT_TRUE(world_.append_to(shard_key(0), 300));
      flush();
    }
    std::vector<std::byte> bytes = disk_.contents(active_);
    const std::size_t frame = frame_bytes(kEntryHeaderBytes, 300);
    last_at_ = kFramesStart + 3 * frame;
    bytes[last_at_ + kEnvelopeBytes] ^= std::byte{1};
    disk_.put(active_, bytes);
  }
  const std::string active_ = segment_file_name(SegmentId(1));
  std::uint64_t last_at_ = 0;
};

TEST_F(TornEnd, IsCutAboveWhatIsProvenDurable) {
  world_.evidence = {.index = Index(3), .source = "the checkpoint"};
  ASSERT_TRUE(world_.open().has_value());
  EXPECT_EQ(world_.log().last().index, Index(3));
  ASSERT_TRUE(world_.report().torn.has_value());
  EXPECT_EQ(world_.report().torn->position, last_at_);
}

TEST_F(TornEnd, IsDamageWhereAnEntryIsProvenDurable) {
  world_.evidence = {.index = Index(4), .source = "the checkpoint"};
  expect_refused(active_);
  const auto opened = world_.open();
  EXPECT_THAT(opened.error().message(),
              ::testing::HasSubstr("byte " + std::to_string(last_at_) +
                                   ": entry 4 fails its checksum, but the checkpoint proves"));
}

TEST_F(TornEnd, MissingEntriesAreDamageWhereTheyAreProvenDurable) {
  std::vector<std::byte> bytes = disk_.contents(active_);
  std::fill(bytes.begin() + static_cast<std::ptrdiff_t>(last_at_), bytes.end(), std::byte{0});
  disk_.put(active_, bytes);
  world_.evidence = {.index = Index(7), .source = "the image 5"};
  expect_refused(active_);
  EXPECT_THAT(world_.open().error().message(),
              ::testing::HasSubstr("entry 4 is missing, but the image 5 proves that entry 7"));
  world_.evidence = {.index = Index(3), .source = "the image 5"};
  EXPECT_TRUE(world_.open().has_value());
}

}  // namespace
}  // namespace lignum::storage
