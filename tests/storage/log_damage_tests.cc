// The proof that no damage is served and none goes unnoticed: every byte of every file flipped,
// every file cut and deleted; and that errors of the disk are neither acknowledged nor fatal where
// they need not be.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <iostream>
#include <memory>
#include <set>
#include <string>

#include "jepsen/sim/sim_disk.h"
#include "raft/error.h"
#include "raft/types.h"
#include "storage/log.h"
#include "storage/manifest.h"
#include "tests/storage/log_world.h"
#include "tests/storage/proof.h"
#include "tests/storage/repair_world.h"

namespace lignum::storage {
namespace {

using jepsen::DiskFault;
using jepsen::DiskOp;
using jepsen::FaultSpan;
using jepsen::SimDisk;

enum class Ending : std::uint8_t { kClosed, kIdle, kKilled };

struct Directories {
  std::unique_ptr<SimDisk> disk = std::make_unique<SimDisk>();
  LogModel model;
};

// At least two sealed segments, then an end as asked for.
Directories make_directory(Ending ending) {
  Directories made;
  LogWorld world(made.disk->root(), 5);
  EXPECT_TRUE(world.create() && world.open());
  for (int i = 0; i < 70; ++i) {
    world.append(world.random().below(9000));
    if (i % 3 == 0) EXPECT_TRUE(world.flush().has_value());
  }
  EXPECT_TRUE(world.flush().has_value());
  EXPECT_GE(world.log().usage().segments, 3U);
  if (ending != Ending::kKilled) {
    EXPECT_TRUE(world.log().stage_marker());
    EXPECT_TRUE(world.flush().has_value());
  } else {
    // Staged and never flushed.
    world.append(500);
  }
  made.model = world.model;
  if (ending == Ending::kClosed) made.disk = made.disk->clone();
  if (ending == Ending::kKilled) made.disk = made.disk->crash(3, {});
  return made;
}

enum class Finding : std::uint8_t { kHarmless, kRefused, kReadError, kCutNamed };

struct Verdict {
  std::string wrong;  // empty when the rules were kept
  Finding finding = Finding::kHarmless;
};

// The damage is harmless, or it is named: never wrong bytes, never silence.
Verdict judge(SimDisk& disk, const LogModel& model) {
  LogWorld world(disk.root(), 1);
  if (auto opened = world.open(); !opened) {
    const bool named =
        opened.error().code() == Errc::kCorrupt && (opened.error().message().contains(".seg") ||
                                                    opened.error().message().contains("manifest"));
    return {.wrong = named ? "" : "refused without a name: " + opened.error().describe(),
            .finding = Finding::kRefused};
  }
  const std::string difference_found = difference(world.log(), model);
  if (difference_found.empty()) return {};
  if (difference_found.starts_with("corrupt:")) return {.finding = Finding::kReadError};
  if (!world.report().torn) return {.wrong = difference_found};
  // A tail was cut and the cut is named: everything before it must be there.
  LogModel before = model;
  before.acked = Index(world.report().torn->index.value() - 1);
  return {.wrong = difference(world.log(), before), .finding = Finding::kCutNamed};
}

struct Tally {
  std::uint64_t cases = 0;
  std::uint64_t harmless = 0;
  std::uint64_t cut = 0;
  std::set<std::string> wrong;

  void add(const Verdict& verdict, const std::string& what) {
    ++cases;
    if (verdict.finding == Finding::kHarmless) ++harmless;
    if (verdict.finding == Finding::kCutNamed) ++cut;
    if (!verdict.wrong.empty()) wrong.insert(what + ": " + verdict.wrong);
  }
};

class LogDamage : public ::testing::TestWithParam<Ending> {};

TEST_P(LogDamage, EveryByteFlipped) {
  const Directories made = make_directory(GetParam());
  const std::uint64_t step = full_proof() ? 1 : 211;
  Tally tally;
  std::uint64_t zeros_and_unused = 0;
  for (const SimDisk::FileInfo& file : made.disk->files()) {
    for (std::uint64_t byte = 0; byte < file.bytes; byte += step) {
      auto hurt = made.disk->clone();
      hurt->flip(file.path, byte, static_cast<std::uint8_t>(1U << (byte % 8)));
      const Verdict verdict = judge(*hurt, made.model);
      if (verdict.finding == Finding::kHarmless) ++zeros_and_unused;
      tally.add(verdict, file.path + " byte " + std::to_string(byte));
    }
  }
  std::cout << tally.cases << " flips, " << zeros_and_unused << " in bytes nobody needs, "
            << tally.cut << " cut and named\n";
  EXPECT_THAT(tally.wrong, ::testing::IsEmpty());
  EXPECT_GT(tally.cases, 1000U);
  // Behind a marker nothing that was acknowledged can pass for a torn write.
  if (GetParam() != Ending::kKilled) EXPECT_EQ(tally.cut, 0U);
}

TEST_P(LogDamage, EveryFileCutAndDeleted) {
  const Directories made = make_directory(GetParam());
  Tally tally;
  for (const SimDisk::FileInfo& file : made.disk->files()) {
    const std::uint64_t step = full_proof() ? 61 : 4003;
    for (std::uint64_t length = 0; length < file.bytes; length += step) {
      auto hurt = made.disk->clone();
      hurt->truncate(file.path, length);
      tally.add(judge(*hurt, made.model), file.path + " cut to " + std::to_string(length));
    }
    auto hurt = made.disk->clone();
    hurt->erase(file.path);
    tally.add(judge(*hurt, made.model), file.path + " deleted");
  }
  std::cout << tally.cases << " cuts and deletions\n";
  EXPECT_THAT(tally.wrong, ::testing::IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(Endings, LogDamage,
                         ::testing::Values(Ending::kClosed, Ending::kIdle, Ending::kKilled));

// Appends and flushes under a fault; what was acknowledged must be there after a power cut.
std::string run_with_fault(const DiskFault& fault, std::uint64_t& struck) {
  SimDisk disk;
  LogWorld world(disk.root(), 8);
  if (!world.create() || !world.open()) return "cannot begin";
  disk.fail(fault);
  bool stopped = false;
  for (int i = 0; i < 60 && !stopped; ++i) {
    world.append(world.random().below(9000));
    // A failed flush stops the process: nothing of it is acknowledged, nothing is tried again.
    if (i % 2 == 0) stopped = !world.flush();
    if (i % 20 == 19 && !stopped) (void)world.trim_and_clean();
  }
  struck = disk.faults_struck();
  disk.clear_faults();
  auto after = disk.crash(4, {.data = jepsen::Survival::kNone, .names = jepsen::Survival::kNone});
  LogWorld next(after->root(), 1);
  next.model.starts = world.model.starts;
  if (auto opened = next.open(); !opened) return opened.error().describe();
  return difference(next.log(), world.model);
}

TEST(LogFaults, AnErrorAtEveryCallIsNeverAcknowledged) {
  for (const Errc error : {Errc::kIo, Errc::kNoSpace}) {
    std::uint64_t struck = 1;
    std::uint64_t points = 0;
    for (std::uint64_t nth = 1; struck != 0; nth += full_proof() ? 1 : 2) {
      for (const FaultSpan span : {FaultSpan::kOnce, FaultSpan::kUntilCleared}) {
        const std::string wrong = run_with_fault(
            {.op = DiskOp::kAnyChange, .nth = nth, .error = error, .span = span}, struck);
        ASSERT_EQ(wrong, "") << errc_name(error) << " at call " << nth;
        ++points;
      }
    }
    EXPECT_GT(points, 50U);
  }
}

TEST(LogFaults, AFullDiskRefusesAppendsAndHeals) {
  SimDisk disk;
  LogWorld world(disk.root(), 8);
  ASSERT_TRUE(world.create() && world.open());
  disk.set_capacity(disk.used_bytes() + (std::uint64_t{64} << 10));
  while (world.append(5000)) ASSERT_TRUE(world.flush().has_value());
  EXPECT_EQ(world.log().room(5000), Room::kNoSpace);
  EXPECT_EQ(difference(world.log(), world.model), "");
  // Entries of the node's own, trims among them, still find room.
  const Index before = world.log().last().index;
  disk.set_capacity(std::uint64_t{1} << 40);
  EXPECT_TRUE(world.append(5000) || world.append(5000));
  ASSERT_TRUE(world.flush().has_value());
  EXPECT_GT(world.log().last().index, before);
  EXPECT_EQ(difference(world.log(), world.model), "");
}

TEST(LogDamage, AManifestWithOneCopyOpensOnAFullDiskToo) {
  const SampleLog log;
  auto hurt = log.disk->clone();
  hurt->flip(kManifestName, 20, 1);
  hurt->set_capacity(hurt->used_bytes());
  EXPECT_EQ(difference_of(*hurt, log), "");
  EXPECT_EQ(read_manifest(*hurt->root())->good.size(), 1U);
}

}  // namespace
}  // namespace lignum::storage
