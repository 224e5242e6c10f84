#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "jepsen/sim/sim_disk.h"
#include "raft/error.h"
#include "raft/payload.h"
#include "storage/aligned_buffer.h"
#include "storage/file.h"
#include "tests/storage/errc_of.h"

namespace lignum::jepsen {
namespace {

using storage::OpenMode;

std::vector<std::byte> filled(std::size_t count, char with) {
  return std::vector<std::byte>(count, static_cast<std::byte>(with));
}

std::string text_of(const std::vector<std::byte>& bytes) {
  std::string text;
  for (const std::byte byte : bytes) {
    text.push_back(static_cast<char>(byte));
  }
  return text;
}

std::unique_ptr<storage::File> made(storage::Directory& directory, std::string_view name) {
  auto file = directory.open(name, OpenMode::kCreate);
  EXPECT_TRUE(file) << file.error().describe();
  return std::move(*file);
}

std::vector<std::string> names(const SimDisk& disk) {
  std::vector<std::string> result;
  for (const auto& file : disk.files()) {
    result.push_back(file.path);
  }
  return result;
}

TEST(SimDisk, SyncedBytesAndNamesSurviveEveryCrash) {
  SimDisk disk;
  const auto root = disk.root();
  const auto file = made(*root, "a");
  ASSERT_TRUE(file->write_at(0, filled(1500, 'x')));
  ASSERT_TRUE(file->sync());
  ASSERT_TRUE(root->sync());
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    const auto after = disk.crash(seed, {.tear_last_sector = true});
    ASSERT_EQ(after->contents("a"), filled(1500, 'x'));
  }
}

TEST(SimDisk, UnsyncedBytesAreLostKeptOrMixedBySector) {
  SimDisk disk;
  const auto root = disk.root();
  const auto file = made(*root, "a");
  ASSERT_TRUE(file->write_at(0, filled(2048, 'o')));
  ASSERT_TRUE(file->sync());
  ASSERT_TRUE(root->sync());
  ASSERT_TRUE(file->write_at(0, filled(2048, 'n')));

  EXPECT_EQ(disk.crash(1, {.data = Survival::kNone})->contents("a"), filled(2048, 'o'));
  EXPECT_EQ(disk.crash(1, {.data = Survival::kAll})->contents("a"), filled(2048, 'n'));
  std::set<std::string> patterns;
  for (std::uint64_t seed = 0; seed < 500; ++seed) {
    const auto bytes = disk.crash(seed, {.data = Survival::kRandom})->contents("a");
    std::string pattern;
    for (std::size_t at = 0; at < bytes.size(); at += kSectorBytes) {
      for (std::size_t i = 0; i < kSectorBytes; ++i) {
        ASSERT_EQ(bytes[at + i], bytes[at]) << "a sector is old or new as a whole";
      }
      pattern.push_back(static_cast<char>(bytes[at]));
    }
    patterns.insert(pattern);
  }
  EXPECT_EQ(patterns.size(), 16U) << "every subset of four sectors occurs";
}

TEST(SimDisk, AnEarlierWriteOfASectorCanSurviveALaterOne) {
  SimDisk disk;
  const auto root = disk.root();
  const auto file = made(*root, "a");
  ASSERT_TRUE(root->sync());
  ASSERT_TRUE(file->write_at(0, filled(512, '1')));
  ASSERT_TRUE(file->write_at(0, filled(512, '2')));
  std::set<std::string> seen;
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    const auto bytes = disk.crash(seed, {})->contents("a");
    seen.insert(bytes.empty() ? "none" : std::string(1, static_cast<char>(bytes[0])));
  }
  EXPECT_EQ(seen, (std::set<std::string>{"none", "1", "2"}));
}

TEST(SimDisk, SizeComesWithTheBytesThatExtended) {
  SimDisk disk;
  const auto root = disk.root();
  const auto file = made(*root, "a");
  ASSERT_TRUE(root->sync());
  ASSERT_TRUE(file->write_at(0, filled(1024, 'x')));
  std::set<std::string> seen;
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    const auto bytes = disk.crash(seed, {})->contents("a");
    std::string shape = std::to_string(bytes.size());
    if (bytes.size() == 1024) {
      shape += bytes[0] == std::byte{0} ? " hole" : " full";
    }
    seen.insert(shape);
  }
  EXPECT_EQ(seen, (std::set<std::string>{"0", "512", "1024 hole", "1024 full"}));
}

TEST(SimDisk, TearsTheLastSectorInside) {
  SimDisk disk;
  const auto root = disk.root();
  const auto file = made(*root, "a");
  ASSERT_TRUE(file->write_at(0, filled(512, 'o')));
  ASSERT_TRUE(file->sync());
  ASSERT_TRUE(root->sync());
  ASSERT_TRUE(file->write_at(0, filled(512, 'n')));
  std::set<std::ptrdiff_t> cuts;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    const auto text = text_of(
        disk.crash(seed, {.data = Survival::kNone, .tear_last_sector = true})->contents("a"));
    const auto fresh = std::count(text.begin(), text.end(), 'n');
    ASSERT_EQ(text, std::string(static_cast<std::size_t>(fresh), 'n') +
                        std::string(512 - static_cast<std::size_t>(fresh), 'o'));
    cuts.insert(fresh);
  }
  EXPECT_GT(cuts.size(), 50U);
}

TEST(SimDisk, UnsyncedNamesAreLostOrKept) {
  SimDisk disk;
  const auto root = disk.root();
  made(*root, "old");
  made(*root, "gone");
  ASSERT_TRUE(root->sync());
  made(*root, "new");
  ASSERT_TRUE(root->rename("old", "renamed"));
  ASSERT_TRUE(root->remove("gone"));

  EXPECT_THAT(names(*disk.crash(1, {.names = Survival::kNone})),
              testing::ElementsAre("gone", "old"));
  EXPECT_THAT(names(*disk.crash(1, {.names = Survival::kAll})),
              testing::ElementsAre("new", "renamed"));
  std::set<std::vector<std::string>> seen;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    const auto after = names(*disk.crash(seed, {}));
    seen.insert(after);
    const auto count = [&](std::string_view name) {
      return std::count(after.begin(), after.end(), name);
    };
    ASSERT_EQ(count("old") + count("renamed"), 1) << "a rename is never half done";
  }
  EXPECT_EQ(seen.size(), 8U);
}

TEST(SimDisk, ARenameReplacesWholeFiles) {
  SimDisk disk;
  const auto root = disk.root();
  ASSERT_TRUE(made(*root, "m")->write_at(0, filled(10, '1')));
  auto first = root->open("m", OpenMode::kReadWrite);
  ASSERT_TRUE((*first)->sync());
  ASSERT_TRUE(root->sync());
  const auto tmp = made(*root, "m.tmp");
  ASSERT_TRUE(tmp->write_at(0, filled(10, '2')));
  ASSERT_TRUE(tmp->sync());
  ASSERT_TRUE(root->rename("m.tmp", "m"));
  std::set<std::string> seen;
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    seen.insert(text_of(disk.crash(seed, {})->contents("m")));
  }
  EXPECT_EQ(seen, (std::set<std::string>{"1111111111", "2222222222"}));
}

TEST(SimDisk, DiesAtTheChosenCallAndStaysDead) {
  for (std::uint64_t at = 1; at <= 6; ++at) {
    SimDisk disk;
    disk.crash_at(at);
    const auto root = disk.root();
    const auto run = [&]() -> Result<void> {
      TRY_ASSIGN(file, root->open("a", OpenMode::kCreate));
      TRY(file->write_at(0, filled(600, 'x')));
      TRY(file->sync());
      TRY(root->sync());
      TRY(root->rename("a", "b"));
      TRY(root->remove("b"));
      return {};
    };
    const auto result = run();
    ASSERT_FALSE(result);
    EXPECT_EQ(errc_of(result), Errc::kIo);
    EXPECT_TRUE(disk.crashed());
    EXPECT_EQ(disk.operations(), at);
    EXPECT_FALSE(root->list());
    const auto kept = disk.crash(1, {.data = Survival::kNone, .names = Survival::kNone});
    EXPECT_EQ(kept->files().size(), at <= 4 ? 0U : 1U) << "dying in the sync syncs nothing";
    const auto all = disk.crash(1, {.data = Survival::kAll, .names = Survival::kAll});
    EXPECT_EQ(all->files().size(), at == 6 ? 0U : 1U) << "the last act may reach the disk";
  }
}

TEST(SimDisk, ARestartKeepsThePageCacheAndNoMore) {
  SimDisk disk;
  auto root = disk.root();
  auto lock = root->lock();
  disk.crash_at(3);
  {
    const auto file = made(*root, "a");
    ASSERT_TRUE(file->write_at(0, filled(600, 'x')));
    ASSERT_FALSE(file->sync());
  }
  disk.restart();
  root = disk.root();
  EXPECT_TRUE(root->lock()) << "locks die with their process";
  EXPECT_EQ(disk.contents("a"), filled(600, 'x'));
  EXPECT_TRUE(disk.crash(1, {.data = Survival::kNone, .names = Survival::kNone})->files().empty());
  ASSERT_TRUE((*root->open("a", OpenMode::kReadWrite))->sync());
  ASSERT_TRUE(root->sync());
  EXPECT_EQ(disk.crash(1, {.data = Survival::kNone, .names = Survival::kNone})->contents("a"),
            filled(600, 'x'));
}

TEST(SimDisk, NothingSavesBytesWhoseSyncFailed) {
  SimDisk disk;
  const auto root = disk.root();
  const auto file = made(*root, "a");
  ASSERT_TRUE(root->sync());
  ASSERT_TRUE(file->write_at(0, filled(1024, 'x')));
  disk.fail({.op = DiskOp::kSync});
  EXPECT_EQ(errc_of(file->sync()), Errc::kIo);
  EXPECT_EQ(disk.faults_struck(), 1U);
  ASSERT_TRUE(file->sync()) << "the second sync says ok, as Linux does";
  EXPECT_TRUE(disk.crash(1, {.data = Survival::kNone})->contents("a").empty());
  ASSERT_TRUE(file->write_at(0, filled(512, 'y')));
  ASSERT_TRUE(file->sync());
  EXPECT_EQ(disk.crash(1, {.data = Survival::kNone})->contents("a"), filled(512, 'y'));
}

TEST(SimDisk, FaultsStrikeTheNthMatchingCall) {
  SimDisk disk;
  const auto root = disk.root();
  const auto a = made(*root, "a");
  const auto b = made(*root, "b");
  disk.fail({.op = DiskOp::kWrite, .nth = 2, .error = Errc::kNoSpace, .path_part = "b"});
  disk.fail({.op = DiskOp::kRead, .span = FaultSpan::kUntilCleared, .path_part = "a"});
  EXPECT_TRUE(a->write_at(0, filled(2, 'x')));
  EXPECT_TRUE(b->write_at(0, filled(2, 'x')));
  EXPECT_EQ(errc_of(b->write_at(0, filled(2, 'y'))), Errc::kNoSpace);
  EXPECT_EQ(text_of(disk.contents("b")), "yx") << "a failed write leaves a part";
  EXPECT_TRUE(b->write_at(0, filled(2, 'z')));
  std::array<std::byte, 2> out{};
  EXPECT_FALSE(a->read_at(0, out));
  EXPECT_FALSE(a->read_at(0, out));
  EXPECT_TRUE(b->read_at(0, out));
  disk.clear_faults();
  EXPECT_TRUE(a->read_at(0, out));
}

TEST(SimDisk, AFullDiskHealsWhenSpaceReturns) {
  SimDisk disk({.capacity_bytes = 1000});
  const auto root = disk.root();
  auto a = made(*root, "a");
  const auto b = made(*root, "b");
  ASSERT_TRUE(a->write_at(0, filled(600, 'x')));
  EXPECT_EQ(errc_of(b->write_at(0, filled(600, 'y'))), Errc::kNoSpace);
  EXPECT_EQ(b->size(), 400U);
  EXPECT_TRUE(b->write_at(0, filled(400, 'z'))) << "written blocks can be overwritten";
  EXPECT_EQ(errc_of(b->resize(500)), Errc::kNoSpace);
  EXPECT_EQ(root->free_bytes(), 0U);
  ASSERT_TRUE(root->remove("a"));
  EXPECT_EQ(root->free_bytes(), 0U) << "an open file keeps its space";
  a.reset();
  EXPECT_EQ(root->free_bytes(), 600U);
  EXPECT_TRUE(b->write_at(0, filled(600, 'y')));
  disk.set_capacity(2000);
  EXPECT_EQ(root->free_bytes(), 1400U);
}

TEST(SimDisk, DirectHandlesWantAlignment) {
  SimDisk disk;
  const auto root = disk.root();
  made(*root, "a");
  const auto file = *root->open("a", OpenMode::kWriteDirect);
  ASSERT_TRUE(file->direct());
  storage::AlignedBuffer block(1);
  EXPECT_TRUE(file->write_at(4096, block.bytes()));
  EXPECT_DEATH(EXPECT_TRUE(file->write_at(512, block.bytes())), "CHECK");
  EXPECT_DEATH(EXPECT_TRUE(file->write_at(0, block.bytes().first(512))), "CHECK");
  EXPECT_DEATH(EXPECT_TRUE(file->write_at(0, block.bytes().subspan(1, 0))), "CHECK");
  SimDisk buffered({.direct = false});
  made(*buffered.root(), "a");
  EXPECT_FALSE((*buffered.root()->open("a", OpenMode::kWriteDirect))->direct());
}

TEST(SimDisk, DamageAndClones) {
  SimDisk disk;
  const auto root = disk.root();
  const auto sub = *root->open_directory("groups");
  const auto file = made(*sub, "7");
  ASSERT_TRUE(file->write_at(0, filled(5000, 'a')));
  const auto copy = disk.clone();
  disk.flip("groups/7", 4500, 0x01);
  EXPECT_EQ(disk.contents("groups/7").at(4500), static_cast<std::byte>('a' ^ 1));
  EXPECT_EQ(copy->contents("groups/7"), filled(5000, 'a')) << "copies are independent";
  copy->truncate("groups/7", 3);
  EXPECT_EQ(text_of(copy->contents("groups/7")), "aaa");
  copy->put("groups/8", filled(4, 'q'));
  EXPECT_THAT(names(*copy), testing::ElementsAre("groups/7", "groups/8"));
  copy->erase("groups/7");
  EXPECT_THAT(names(*copy->crash(1, {})), testing::ElementsAre("groups/8"));
  EXPECT_EQ(copy->used_bytes(), 4U);
}

TEST(SimDisk, WhatIsRemovedUnderAProcessIsNotSyncedAndNotFound) {
  SimDisk disk;
  const auto root = disk.root();
  const auto groups = *root->open_directory("groups");
  const auto one = *groups->open_directory("1");
  const auto file = made(*one, "a");
  ASSERT_TRUE(file->write_at(0, filled(10, 'x')) && file->sync() && one->check_place());
  disk.erase("groups");
  EXPECT_EQ(errc_of(file->sync()), Errc::kIo);
  EXPECT_EQ(errc_of(one->check_place()), Errc::kNotFound);
  EXPECT_EQ(errc_of(one->open("b", OpenMode::kCreate)), Errc::kNotFound);
  EXPECT_TRUE(root->check_place());
  // Another one of that name is another one.
  ASSERT_TRUE(root->open_directory("groups"));
  EXPECT_EQ(errc_of(groups->check_place()), Errc::kNotFound);
}

TEST(SimDisk, RefusesNamesThatClimbAndSecondLocks) {
  SimDisk disk;
  const auto root = disk.root();
  for (const std::string_view name : {"", ".", "..", "a/b", "/"}) {
    EXPECT_EQ(errc_of(root->open(name, OpenMode::kCreate)), Errc::kInvalidArgument);
  }
  auto lock = root->lock();
  ASSERT_TRUE(lock);
  EXPECT_EQ(errc_of(disk.root()->lock()), Errc::kLocked);
  lock->reset();
  EXPECT_TRUE(disk.root()->lock());
  EXPECT_EQ(errc_of(root->open("none", OpenMode::kRead)), Errc::kNotFound);
  made(*root, "a");
  EXPECT_EQ(errc_of(root->open("a", OpenMode::kCreate)), Errc::kAlreadyExists);
}

TEST(SimDisk, TheSameSeedGivesTheSameDisk) {
  SimDisk disk;
  const auto root = disk.root();
  for (const std::string_view name : {"a", "b", "c"}) {
    ASSERT_TRUE(made(*root, name)->write_at(100, filled(3000, 'x')));
  }
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const CrashImage image{.tear_last_sector = true};
    const auto one = disk.crash(seed, image);
    const auto two = disk.crash(seed, image);
    ASSERT_EQ(names(*one), names(*two));
    for (const auto& file : one->files()) {
      ASSERT_EQ(one->contents(file.path), two->contents(file.path));
    }
  }
}

}  // namespace
}  // namespace lignum::jepsen
