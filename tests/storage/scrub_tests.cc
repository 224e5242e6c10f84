// The offline checker: silent on what is whole, precise on what is not, and never writing.

#include "raft/entry.h"
#include "storage/byte_order.h"
#include "storage/crc32c.h"
#include "storage/frame_codec.h"
#include "storage/frame_format.h"
#include "storage/log.h"
#include "storage/scrub.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "jepsen/sim/sim_disk.h"
#include "raft/error.h"
#include "raft/payload.h"
#include "raft/types.h"
#include "storage/file.h"
#include "storage/manifest.h"
#include "storage/scrub_report.h"
#include "storage/segmented_log.h"
#include "tests/storage/log_world.h"
#include "tests/storage/scrub_world.h"

namespace lignum::storage {
namespace {

using jepsen::SimDisk;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::IsSupersetOf;
using ::testing::StartsWith;

std::vector<std::string> texts(const Seen& seen) {
  std::vector<std::string> lines;
  lines.reserve(seen.findings.size());
  for (const Finding& finding : seen.findings) {
    lines.push_back(finding.path + " " + std::to_string(finding.byte) + ": " + finding.what);
  }
  return lines;
}

// Every byte of every file in exactly one range.
void expect_covered(const SimDisk& disk, const Seen& seen) {
  std::uint64_t files = 0;
  for (const SimDisk::FileInfo& file : disk.files()) {
    ++files;
    ASSERT_TRUE(seen.maps.contains(file.path)) << file.path;
    std::uint64_t at = 0;
    for (const ByteRange& range : seen.maps.at(file.path)) {
      EXPECT_EQ(range.begin, at) << file.path;
      EXPECT_LT(range.begin, range.end) << file.path;
      at = range.end;
    }
    EXPECT_EQ(at, file.bytes) << file.path;
  }
  EXPECT_EQ(seen.maps.size(), files);
}

std::set<ByteUse> uses(const Seen& seen) {
  std::set<ByteUse> found;
  for (const auto& [path, map] : seen.maps) {
    for (const ByteRange& range : map) found.insert(range.use);
  }
  return found;
}

// The first one of this use.
ByteRange range_of(const Seen& seen, const std::string& path, ByteUse use) {
  for (const ByteRange& range : seen.maps.at(path)) {
    if (range.use == use) return range;
  }
  ADD_FAILURE() << path << " has no " << byte_use_name(use);
  return {};
}

TEST(Scrub, AWholeDirectoryHasNoFindingsAndEveryByteHasOneUse) {
  ScrubWorld world;
  world.fill();
  world.mark();
  world.write_image(Index(20));
  world.write_image(Index(40));
  Seen seen;
  const ScrubTotals totals = world.scrub(seen);
  EXPECT_THAT(texts(seen), IsEmpty());
  expect_covered(world.disk(), seen);
  EXPECT_EQ(totals.groups, 4U);
  EXPECT_EQ(totals.images, 2U);
  EXPECT_EQ(totals.entries, world.log().log().last().index.value());
  EXPECT_GE(totals.segments, 6U);
  EXPECT_EQ(totals.unread_bytes(), 0U);
  EXPECT_THAT(uses(seen), IsSupersetOf({ByteUse::kHeader, ByteUse::kEntries, ByteUse::kMarkers,
                                        ByteUse::kFooter, ByteUse::kManifest, ByteUse::kHardState,
                                        ByteUse::kIdentity, ByteUse::kImage, ByteUse::kPadding,
                                        ByteUse::kZeroTail}));
}

TEST(Scrub, NothingIsWritten) {
  ScrubWorld world;
  world.fill();
  world.write_image(Index(20));
  // Damage and a torn tail: what a start would mend, cut or remove.
  world.disk().flip("identity", 5, 1);
  world.disk().flip("hard-state", 8200, 1);
  world.disk().flip("groups/3/manifest", 20, 1);
  world.disk().put("groups/3/00000000000000ff.seg", Bytes());
  world.disk().put("identity.tmp", Bytes());
  std::map<std::string, std::vector<std::byte>> before;
  for (const auto& file : world.disk().files()) {
    before[file.path] = world.disk().contents(file.path);
  }
  const std::uint64_t calls = world.disk().operations();
  Seen seen;
  EXPECT_GT(world.scrub(seen).count(FindingKind::kDamage), 0U);
  EXPECT_EQ(world.disk().operations(), calls);
  for (const auto& file : world.disk().files()) {
    EXPECT_EQ(world.disk().contents(file.path), before.at(file.path)) << file.path;
  }
  EXPECT_EQ(world.disk().files().size(), before.size());
}

TEST(Scrub, CutOffEntriesAndSkipsAreKnown) {
  ScrubWorld world;
  world.fill();
  for (int i = 0; i < 4; ++i) world.log().append(300);
  ASSERT_TRUE(world.log().truncate(2).has_value());
  world.log().append(300);
  ASSERT_TRUE(world.log().flush().has_value());
  world.write_image(Index(30));
  world.write_image(world.log().log().durable());
  for (const ByteUse use : {ByteUse::kCutOff, ByteUse::kSkips}) {
    Seen seen;
    world.scrub(seen);
    EXPECT_THAT(texts(seen), IsEmpty());
    expect_covered(world.disk(), seen);
    EXPECT_TRUE(uses(seen).contains(use)) << byte_use_name(use);
    // Two of three shards go: segments are rewritten without them.
    SegmentedLog& log = world.log().log();
    for (std::uint32_t shard = 0; shard < 2; ++shard) {
      log.set_shard_start(shard_key(shard), Offset(UINT64_MAX), Index(0));
    }
    auto job = log.take_clean(log.durable());
    if (job == nullptr) continue;
    ASSERT_TRUE(job->run().has_value());
    log.complete_clean(std::move(job), true);
  }
}

TEST(Scrub, AFlippedByteOfEveryUseIsNamedWithFileAndByte) {
  ScrubWorld world;
  world.fill();
  world.mark();
  world.write_image(Index(20));
  Seen whole;
  world.scrub(whole);
  for (const auto& [path, map] : whole.maps) {
    std::set<ByteUse> done;
    for (const ByteRange& range : map) {
      if (nobody_reads(range.use) || !done.insert(range.use).second) continue;
      for (const std::uint64_t byte : {range.begin, (range.begin + range.end) / 2, range.end - 1}) {
        const auto hurt = world.disk().clone();
        hurt->flip(path, byte, 0x10);
        Seen seen;
        const ScrubTotals totals = ScrubWorld::scrub(*hurt, seen);
        const Finding* finding = seen.naming(path, byte);
        ASSERT_NE(finding, nullptr)
            << path << " byte " << byte << ": " << ::testing::PrintToString(texts(seen));
        EXPECT_FALSE(finding->meaning.empty());
        expect_covered(*hurt, seen);
        // The last marker, what lies behind it, and files that are no part of the log may be what a
        // crash left.
        if (range.use == ByteUse::kZeroTail || range.use == ByteUse::kMarkers) continue;
        EXPECT_EQ(finding->kind, FindingKind::kDamage) << path << " byte " << byte;
        EXPECT_GT(totals.count(FindingKind::kDamage), 0U);
      }
    }
  }
}

TEST(Scrub, ATornTailIsToldAndIsNoDamage) {
  ScrubWorld world;
  world.fill();
  Seen whole;
  world.scrub(whole);
  // The last frame, with no marker behind it.
  const std::string active = std::string(kWorldLog) + "/" +
                             segment_file_name(SegmentId(world.log().log().usage().segments));
  const std::uint64_t byte = range_of(whole, active, ByteUse::kEntries).end - 20;
  const auto hurt = world.disk().clone();
  hurt->flip(active, byte, 1);
  Seen seen;
  const ScrubTotals totals = ScrubWorld::scrub(*hurt, seen);
  EXPECT_EQ(totals.count(FindingKind::kDamage), 0U) << ::testing::PrintToString(texts(seen));
  EXPECT_EQ(totals.count(FindingKind::kTorn), 1U);
  ASSERT_NE(seen.naming(active, byte), nullptr);
  EXPECT_EQ(seen.naming(active)->kind, FindingKind::kTorn);
  // As recovery judges it.
  LogWorld next(std::move(*(*hurt->root()->open_directory("groups"))->open_directory("3")), 1);
  ASSERT_TRUE(next.open().has_value());
  ASSERT_TRUE(next.report().torn.has_value());
  EXPECT_EQ(next.report().torn->position, seen.naming(active)->byte);
  EXPECT_EQ(next.report().torn->bytes, seen.naming(active)->bytes);
}

TEST(Scrub, ADamagedTailThatWasFlushedIsToldFromATornOne) {
  ScrubWorld world;
  world.fill();
  world.mark();
  Seen whole;
  world.scrub(whole);
  const std::string active = std::string(kWorldLog) + "/" +
                             segment_file_name(SegmentId(world.log().log().usage().segments));
  const std::uint64_t byte = range_of(whole, active, ByteUse::kEntries).end - 20;
  world.disk().flip(active, byte, 1);
  Seen seen;
  ASSERT_EQ(world.scrub(seen).count(FindingKind::kDamage), 1U);
  ASSERT_NE(seen.naming(active, byte), nullptr);
  EXPECT_THAT(seen.naming(active, byte)->what, HasSubstr("payload"));
  EXPECT_THAT(seen.naming(active, byte)->meaning, StartsWith("no torn write"));
}

TEST(Scrub, AHeaderThatACrashLostIsToldFromADamagedOne) {
  for (const int flushes : {0, 1, 2}) {
    ScrubWorld world;
    for (int i = 0; i < flushes; ++i) {
      world.log().append(300);
      ASSERT_TRUE(world.log().flush().has_value());
    }
    const std::string path = std::string(kWorldLog) + "/" + segment_file_name(SegmentId(1));
    std::vector<std::byte> file = world.disk().contents(path);
    std::fill_n(file.begin(), kFramesStart, std::byte{0});
    world.disk().put(path, file);
    Seen seen;
    const ScrubTotals totals = world.scrub(seen);
    // The second frame says that the first was flushed, and so the header before it.
    EXPECT_EQ(totals.count(FindingKind::kTorn), flushes == 1 ? 1U : 0U);
    EXPECT_EQ(totals.count(FindingKind::kDamage), flushes == 2 ? 1U : 0U);
    expect_covered(world.disk(), seen);
  }
}

// What checksums cannot tell: bytes that were changed together with them.

TEST(Scrub, ARecordBatchIsCheckedByItsOwnChecksumToo) {
  ScrubWorld world;
  SegmentedLog& log = world.log().log();
  ASSERT_EQ(log.room(1000), Room::kReady);
  std::vector<std::byte> bytes(200, std::byte{3});
  Entry entry;
  entry.header = {.group = kLogIncarnation,
                  .index = log.last().index.next(),
                  .term = Term(1),
                  .kind = EntryKind::kBatch,
                  .shard = shard_key(0),
                  .record_count = 1,
                  .append_time = 7,
                  .previous_chain = log.last_chain()};
  shape_batch(bytes, entry.header);
  bytes[100] = std::byte{4};
  entry.header.payload_bytes = 200;
  entry.header.payload_crc = crc32c(bytes);
  entry.payload = Payload(std::move(bytes));
  log.append({&entry, 1});
  ASSERT_TRUE(world.log().flush().has_value());
  Seen seen;
  ASSERT_EQ(world.scrub(seen).count(FindingKind::kDamage), 1U);
  EXPECT_THAT(seen.findings.front().what, HasSubstr("its record batch is damaged"));
}

TEST(Scrub, AnEntryThatWasExchangedBreaksTheChain) {
  ScrubWorld world;
  world.fill();
  const SegmentId id(1);
  const std::string path = std::string(kWorldLog) + "/" + segment_file_name(id);
  std::vector<std::byte> file = world.disk().contents(path);
  const std::span<std::byte> bytes = std::span(file).subspan(kFramesStart);
  const auto frame = decode_frame(bytes, id, kFramesStart);
  ASSERT_TRUE(frame.has_value());
  Entry entry;
  entry.header = std::get<EntryHeader>(frame->body);
  entry.header.append_time += 1;
  const Bytes payload = Bytes(bytes).subspan(frame->payload_at(), entry.header.payload_bytes);
  entry.payload = Payload(std::vector<std::byte>(payload.begin(), payload.end()));
  encode_entry(frame->envelope, entry, bytes);
  world.disk().put(path, file);
  Seen seen;
  ASSERT_GE(world.scrub(seen).count(FindingKind::kDamage), 1U);
  EXPECT_EQ(seen.findings.front().byte, kFramesStart + frame->bytes);
  EXPECT_THAT(seen.findings.front().what, HasSubstr("entry 2 does not continue the log"));
}

TEST(Scrub, AFooterOfOtherEntriesIsFound) {
  ScrubWorld world;
  world.fill();
  Seen whole;
  world.scrub(whole);
  const std::string path = std::string(kWorldLog) + "/" + segment_file_name(SegmentId(1));
  const ByteRange range = range_of(whole, path, ByteUse::kFooter);
  std::vector<std::byte> file = world.disk().contents(path);
  const auto footer = std::span(file).subspan(range.begin, range.end - range.begin);
  // The last append time, and the checksum over it.
  footer.back() ^= std::byte{1};
  store_le<std::uint32_t>(footer, 4, crc32c(Bytes(footer).subspan(8)));
  world.disk().put(path, file);
  Seen seen;
  ASSERT_EQ(world.scrub(seen).count(FindingKind::kDamage), 1U);
  EXPECT_THAT(seen.findings.front().what, HasSubstr("tells of other entries"));
}

TEST(Scrub, MissingFilesAreNamed) {
  for (const std::string path :
       {"identity", "hard-state", "groups/3/manifest", "groups/3/0000000000000002.seg"}) {
    ScrubWorld world;
    world.fill();
    world.disk().erase(path);
    Seen seen;
    const ScrubTotals totals = world.scrub(seen);
    ASSERT_NE(seen.naming(path), nullptr) << path;
    EXPECT_EQ(seen.naming(path)->kind, FindingKind::kDamage);
    EXPECT_THAT(seen.naming(path)->what, HasSubstr("missing"));
    EXPECT_GT(totals.count(FindingKind::kDamage), 0U);
    expect_covered(world.disk(), seen);
  }
}

TEST(Scrub, AMissingGroupIsNamed) {
  for (const std::uint32_t number : {1U, kWorldGroup}) {
    ScrubWorld world;
    world.write_image(Index(0));
    const std::string path = "groups/" + std::to_string(number);
    for (const auto& file : world.disk().files()) {
      if (file.path.starts_with(path + "/")) world.disk().erase(file.path);
    }
    ASSERT_TRUE((*world.disk().root()->open_directory("groups"))
                    ->remove(std::to_string(number))
                    .has_value());
    Seen seen;
    ASSERT_EQ(world.scrub(seen).count(FindingKind::kDamage), 1U);
    ASSERT_EQ(seen.findings.size(), 1U);
    EXPECT_THAT(seen.findings.front().path, StartsWith("groups"));
    expect_covered(world.disk(), seen);
  }
}

TEST(Scrub, AFileCutShortIsNamedWhereItEnds) {
  ScrubWorld world;
  world.fill();
  const std::string path = "groups/3/0000000000000001.seg";
  for (const std::uint64_t length : {std::uint64_t{0}, std::uint64_t{100}, std::uint64_t{50000}}) {
    const auto hurt = world.disk().clone();
    hurt->truncate(path, length);
    Seen seen;
    ScrubWorld::scrub(*hurt, seen);
    ASSERT_NE(seen.naming(path), nullptr);
    EXPECT_EQ(seen.naming(path)->byte, length);
    expect_covered(*hurt, seen);
  }
}

TEST(Scrub, ADirectoryInUseIsRefused) {
  ScrubWorld world;
  const auto root = world.disk().root();
  const auto lock = root->lock();
  ASSERT_TRUE(lock.has_value());
  Seen seen;
  const auto totals = scrub_directory(*world.disk().root(), {}, seen);
  ASSERT_FALSE(totals.has_value());
  EXPECT_EQ(totals.error().code(), Errc::kLocked);
  EXPECT_THAT(seen.maps, IsEmpty());
}

TEST(Scrub, WhatIsNoDataDirectoryIsRefused) {
  SimDisk disk;
  Seen seen;
  const auto totals = scrub_directory(*disk.root(), {}, seen);
  ASSERT_FALSE(totals.has_value());
  EXPECT_EQ(totals.error().code(), Errc::kNotFound);
}

TEST(Scrub, LeftoversAndUnknownNamesAreNoDamage) {
  ScrubWorld world;
  world.fill();
  const std::vector<std::byte> some(5000, std::byte{7});
  const std::vector<std::string> left = {"groups/3/00000000000000ff.seg", "groups/3/notes.txt",
                                         "identity.tmp", "shopping-list"};
  for (const std::string& path : left) world.disk().put(path, some);
  Seen seen;
  const ScrubTotals totals = world.scrub(seen);
  EXPECT_EQ(totals.count(FindingKind::kDamage), 0U);
  EXPECT_EQ(totals.count(FindingKind::kLeftover), left.size());
  for (const std::string& path : left) EXPECT_NE(seen.naming(path), nullptr) << path;
  EXPECT_EQ(totals.unread_bytes(), some.size() * left.size());
  expect_covered(world.disk(), seen);
}

// After the switch to a snapshot it may be the only state that the log goes on from.
TEST(Scrub, AnImageWithoutItsNameYetIsNotToBeRemoved) {
  ScrubWorld world;
  world.fill();
  world.write_image(Index(5));
  const auto files = world.disk().files();
  const auto image = std::ranges::find_if(files, [](const SimDisk::FileInfo& file) {
    return file.path.starts_with("images/3/image-");
  });
  ASSERT_NE(image, files.end());
  world.disk().put("images/3/image.part", world.disk().contents(image->path));
  Seen seen;
  EXPECT_EQ(world.scrub(seen).count(FindingKind::kLeftover), 1U);
  const Finding* const finding = seen.naming("images/3/image.part");
  ASSERT_NE(finding, nullptr);
  EXPECT_THAT(finding->what, HasSubstr("without its name yet"));
  EXPECT_THAT(finding->meaning, HasSubstr("do not remove"));
}

TEST(Scrub, ALogWhoseFilesWerePutBackIsFoundByItsImage) {
  ScrubWorld world;
  world.fill();
  world.write_image(Index(1000));
  Seen seen;
  world.scrub(seen);
  ASSERT_NE(seen.naming("images/3"), nullptr);
  EXPECT_THAT(seen.naming("images/3")->what, HasSubstr("entries are missing"));
}

TEST(Scrub, AnotherGroupsLogIsNotTakenForThisOne) {
  ScrubWorld world;
  world.fill();
  for (const auto& file : world.disk().files()) {
    if (!file.path.starts_with("groups/2/")) continue;
    world.disk().put("groups/1/" + file.path.substr(9), world.disk().contents(file.path));
  }
  Seen seen;
  world.scrub(seen);
  ASSERT_NE(seen.naming("groups/1/manifest"), nullptr);
  EXPECT_THAT(seen.naming("groups/1/manifest")->what, StartsWith("it belongs to group 2"));
}

TEST(Scrub, AnotherSegmentIsNotTakenForThisOne) {
  ScrubWorld world;
  world.fill();
  const std::string path = "groups/3/0000000000000001.seg";
  world.disk().put(path, world.disk().contents("groups/3/0000000000000002.seg"));
  Seen seen;
  world.scrub(seen);
  ASSERT_NE(seen.naming(path), nullptr);
  EXPECT_THAT(seen.naming(path)->what, StartsWith("this is segment 0000000000000002 of group 3"));
  expect_covered(world.disk(), seen);
}

TEST(Scrub, BlocksThatTheDiskRefusesAreNamedAndTheRestIsRead) {
  ScrubWorld world;
  world.fill();
  const std::string path = "groups/3/0000000000000001.seg";
  world.disk().fail({.op = jepsen::DiskOp::kRead,
                     .nth = 1,
                     .error = Errc::kIo,
                     .span = jepsen::FaultSpan::kUntilCleared,
                     .path_part = path});
  Seen seen;
  world.scrub(seen);
  ASSERT_NE(seen.naming(path), nullptr);
  EXPECT_EQ(seen.naming(path)->byte, 0U);
  EXPECT_THAT(seen.naming(path)->what, StartsWith("the disk does not read it"));
  expect_covered(world.disk(), seen);
}

TEST(Scrub, TheDatabaseIsJudgedByItsOwnChecker) {
  ScrubWorld world;
  ASSERT_TRUE(world.disk().root()->open_directory("state").has_value());
  world.disk().put("state/000005.ldb", std::vector<std::byte>(10));
  for (const Errc code : {Errc::kCorrupt, Errc::kTooLarge}) {
    Seen seen;
    const ScrubOptions options{
        .check_database = [code](Directory&) -> Result<void> { return fail(code, "as told"); }};
    const auto totals = scrub_directory(*world.disk().root(), options, seen);
    ASSERT_TRUE(totals.has_value());
    ASSERT_NE(seen.naming("state"), nullptr);
    EXPECT_EQ(seen.naming("state")->kind,
              code == Errc::kCorrupt ? FindingKind::kDamage : FindingKind::kUnchecked);
    EXPECT_EQ(seen.use_of("state/000005.ldb", 3), ByteUse::kDatabase);
  }
}

}  // namespace
}  // namespace lignum::storage
