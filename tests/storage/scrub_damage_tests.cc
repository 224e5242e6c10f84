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
#include "storage/scrub_report.h"
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

class ScrubDamage : public ::testing::TestWithParam<Ending> {};

TEST_P(ScrubDamage, EveryFlippedByteIsNamedOrUnread) {
  const auto disk = make_directory(GetParam());
  Seen whole;
  const ScrubTotals totals = ScrubWorld::scrub(*disk, whole);
  EXPECT_EQ(totals.count(FindingKind::kDamage), 0U);
  EXPECT_LE(totals.unread_bytes() * 100, totals.bytes - totals.bytes_of(ByteUse::kZeroTail));
  std::set<std::string> wrong;
  std::uint64_t flips = 0;
  std::uint64_t unread = 0;
  for (const SimDisk::FileInfo& file : disk->files()) {
    const bool of_log = file.path.starts_with(kWorldLog);
    // The votes of 64 groups that are all alike.
    const std::uint64_t step = full_proof() ? (of_log ? 1 : 13) : (of_log ? 397 : 1999);
    for (std::uint64_t byte = 0; byte < file.bytes; byte += step) {
      ++flips;
      const auto hurt = disk->clone();
      hurt->flip(file.path, byte, static_cast<std::uint8_t>(1U << (byte % 8)));
      Seen seen;
      ScrubWorld::scrub(*hurt, seen);
      if (seen.naming(file.path, byte) == nullptr) {
        ++unread;
        if (!nobody_reads(whole.use_of(file.path, byte))) {
          wrong.insert(file.path + " byte " + std::to_string(byte) + ": not found");
        }
      }
      if (!of_log) continue;
      const std::string difference = disagreement(*hurt, seen, file.path);
      if (!difference.empty()) {
        wrong.insert(file.path + " byte " + std::to_string(byte) + ": " + difference);
      }
    }
  }
  std::cout << flips << " flips, " << unread << " in bytes that nobody reads\n";
  EXPECT_THAT(wrong, ::testing::IsEmpty());
  EXPECT_GT(flips, 500U);
}

TEST_P(ScrubDamage, EveryCutFileIsNamed) {
  const auto disk = make_directory(GetParam());
  std::set<std::string> wrong;
  for (const SimDisk::FileInfo& file : disk->files()) {
    if (!file.path.starts_with(kWorldLog)) continue;
    const std::uint64_t step = full_proof() ? 61 : 16001;
    for (std::uint64_t length = 0; length < file.bytes; length += step) {
      const auto hurt = disk->clone();
      hurt->truncate(file.path, length);
      Seen seen;
      ScrubWorld::scrub(*hurt, seen);
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
