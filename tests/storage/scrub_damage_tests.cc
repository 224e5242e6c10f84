// The proof that no flipped byte goes unnoticed: the offline checker names it, or it lies where
// nobody reads; and what the checker says of a log is what recovery does with it.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <iostream>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "jepsen/sim/sim_disk.h"
#include "raft/error.h"
#include "raft/types.h"
#include "storage/scrub_group.h"
#include "storage/scrub_report.h"
#include "storage/scrub_segment.h"
#include "tests/storage/log_world.h"
#include "tests/storage/proof.h"
#include "tests/storage/scrub_world.h"

namespace lignum::storage {
namespace {

using jepsen::SimDisk;

enum class Ending : std::uint8_t { kClosed, kIdle, kKilled };

std::unique_ptr<SimDisk> make_directory(Ending ending) {
  ScrubWorld world;
  world.fill();
  if (ending != Ending::kKilled) {
    // Frames that are no longer of the log, and a footer behind them.
    EXPECT_TRUE(world.log().truncate(2).has_value());
    world.log().append(700);
    EXPECT_TRUE(world.log().flush().has_value());
  }
  world.write_image(Index(20));
  world.write_image(Index(40));
  if (ending == Ending::kKilled) {
    world.log().append(500);
    return world.disk().crash(3, {});
  }
  if (ending == Ending::kClosed) world.mark();
  return world.disk().clone();
}

// Empty where recovery does what the checker foretold.
std::string disagreement(SimDisk& disk, const Seen& seen, const std::string& path) {
  auto directory = (*disk.root()->open_directory("groups"))->open_directory("3");
  LogWorld world(std::move(*directory), 1);
  const auto opened = world.open();
  const Finding* finding = seen.naming(path);
  if (!opened) {
    const bool told = finding != nullptr && finding->kind == FindingKind::kDamage;
    return told ? "" : "recovery refuses, the checker does not: " + opened.error().describe();
  }
  if (!world.report().torn) return "";
  const bool told = finding != nullptr && finding->byte == world.report().torn->position;
  return told ? "" : "recovery cuts a tail of which the checker does not tell";
}

// As scrub_directory(), of the file's group alone where it is one of the log: that is the most.
void scrub_around(SimDisk& disk, const std::string& path, Seen& seen) {
  if (!path.starts_with(kWorldLog)) {
    ScrubWorld::scrub(disk, seen);
    return;
  }
  auto directory = (*disk.root()->open_directory("groups"))->open_directory("3");
  ScrubLedger ledger(seen);
  ScrubbedGroup group{.group = GroupId(kWorldGroup), .incarnation = kLogIncarnation};
  EXPECT_TRUE(scrub_log(ledger, **directory, kWorldLog, group).has_value());
}

struct Tally {
  std::set<std::string> wrong;
  std::uint64_t flips = 0;
  std::uint64_t unread = 0;
};

void flip_and_judge(const SimDisk& disk, const Seen& whole, const std::string& path,
                    std::uint64_t byte, Tally& tally) {
  ++tally.flips;
  const std::string name = path + " byte " + std::to_string(byte) + ": ";
  const auto hurt = disk.clone();
  hurt->flip(path, byte, static_cast<std::uint8_t>(1U << (byte % 8)));
  Seen seen;
  scrub_around(*hurt, path, seen);
  if (seen.naming(path, byte) == nullptr) {
    ++tally.unread;
    if (!nobody_reads(whole.use_of(path, byte))) tally.wrong.insert(name + "not found");
  }
  if (!path.starts_with(kWorldLog)) return;
  const std::string difference = disagreement(*hurt, seen, path);
  if (!difference.empty()) tally.wrong.insert(name + difference);
}

class ScrubDamage : public ::testing::TestWithParam<Ending> {};

TEST_P(ScrubDamage, EveryFlippedByteIsNamedOrUnread) {
  const auto disk = make_directory(GetParam());
  Seen whole;
  const ScrubTotals totals = ScrubWorld::scrub(*disk, whole);
  EXPECT_EQ(totals.count(FindingKind::kDamage), 0U);
  EXPECT_LE(totals.unread_bytes() * 100, totals.bytes - totals.bytes_of(ByteUse::kZeroTail));
  Tally tally;
  for (const SimDisk::FileInfo& file : disk->files()) {
    // The others are mostly the votes of 64 groups, all alike.
    const bool of_log = file.path.starts_with(kWorldLog);
    const std::uint64_t log_step = full_proof() ? 1 : 197;
    const std::uint64_t step = of_log ? log_step : 7 * log_step;
    for (std::uint64_t byte = 0; byte < file.bytes; byte += step) {
      flip_and_judge(*disk, whole, file.path, byte, tally);
    }
  }
  std::cout << tally.flips << " flips, " << tally.unread << " in bytes that nobody reads\n";
  EXPECT_THAT(tally.wrong, ::testing::IsEmpty());
  EXPECT_GT(tally.flips, 500U);
}

TEST_P(ScrubDamage, EveryCutFileIsNamed) {
  const auto disk = make_directory(GetParam());
  std::set<std::string> wrong;
  for (const SimDisk::FileInfo& file : disk->files()) {
    if (!file.path.starts_with(kWorldLog)) continue;
    const std::uint64_t step = full_proof() ? 1 : 16001;
    for (std::uint64_t length = 0; length < file.bytes; length += step) {
      const auto hurt = disk->clone();
      hurt->truncate(file.path, length);
      Seen seen;
      scrub_around(*hurt, file.path, seen);
      const std::string difference = disagreement(*hurt, seen, file.path);
      if (!difference.empty()) {
        wrong.insert(file.path + " cut to " + std::to_string(length) + ": " + difference);
      }
    }
  }
  EXPECT_THAT(wrong, ::testing::IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(Endings, ScrubDamage,
                         ::testing::Values(Ending::kClosed, Ending::kIdle, Ending::kKilled));

}  // namespace
}  // namespace lignum::storage
