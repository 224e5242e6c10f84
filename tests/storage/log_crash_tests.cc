// The proof that a log survives a crash at every call that changes the disk, and the same again
// during recovery; and that the proof sees a log that does not.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <iostream>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "jepsen/sim/sim_disk.h"
#include "raft/error.h"
#include "raft/payload.h"
#include "storage/file.h"
#include "tests/storage/log_world.h"
#include "tests/storage/proof.h"

namespace lignum::storage {
namespace {

using jepsen::SimDisk;
using jepsen::Survival;

enum class Sabotage : std::uint8_t {
  kNone,
  kAckBeforeFlush,  // data files are never synced
  kNoManifestSync,  // the manifest is renamed into place unsynced
  kNoDirectorySync,
};

// Swallows the syncs that a broken log would forget.
class LaxFile final : public File {
 public:
  LaxFile(std::unique_ptr<File> file, bool lax) : file_(std::move(file)), lax_(lax) {}
  Result<std::size_t> read_at(std::uint64_t position, std::span<std::byte> out) const override {
    return file_->read_at(position, out);
  }
  Result<void> write_at(std::uint64_t position, Bytes data) override {
    return file_->write_at(position, data);
  }
  Result<void> sync() override { return lax_ ? Result<void>() : file_->sync(); }
  Result<std::uint64_t> size() const override { return file_->size(); }
  Result<void> resize(std::uint64_t bytes) override { return file_->resize(bytes); }
  [[nodiscard]] bool direct() const override { return file_->direct(); }

 private:
  std::unique_ptr<File> file_;
  bool lax_;
};

class LaxDirectory final : public Directory {
 public:
  LaxDirectory(std::unique_ptr<Directory> directory, Sabotage sabotage)
      : directory_(std::move(directory)), sabotage_(sabotage) {}
  Result<std::unique_ptr<File>> open(std::string_view name, OpenMode mode) override {
    TRY_ASSIGN(file, directory_->open(name, mode));
    const bool manifest = name.starts_with("manifest");
    const bool lax = (sabotage_ == Sabotage::kNoManifestSync && manifest) ||
                     (sabotage_ == Sabotage::kAckBeforeFlush && !manifest);
    return std::unique_ptr<File>(std::make_unique<LaxFile>(std::move(file), lax));
  }
  Result<void> rename(std::string_view from, std::string_view to) override {
    return directory_->rename(from, to);
  }
  Result<void> remove(std::string_view name) override { return directory_->remove(name); }
  [[nodiscard]] Result<bool> exists(std::string_view name) const override {
    return directory_->exists(name);
  }
  [[nodiscard]] Result<std::vector<std::string>> list() const override {
    return directory_->list();
  }
  Result<std::unique_ptr<Directory>> open_directory(std::string_view name) override {
    return directory_->open_directory(name);
  }
  Result<std::unique_ptr<DirectoryLock>> lock() override { return directory_->lock(); }
  [[nodiscard]] Result<void> check_place() const override { return directory_->check_place(); }
  [[nodiscard]] Result<std::uint64_t> free_bytes() const override {
    return directory_->free_bytes();
  }
  [[nodiscard]] std::string path() const override { return directory_->path(); }

 private:
  Result<void> sync_names() override {
    return sabotage_ == Sabotage::kNoDirectorySync ? Result<void>() : directory_->sync();
  }

  std::unique_ptr<Directory> directory_;
  Sabotage sabotage_;
};

std::unique_ptr<Directory> directory_of(SimDisk& disk, Sabotage sabotage) {
  return std::make_unique<LaxDirectory>(disk.root(), sabotage);
}

Result<void> append_and_flush(LogWorld& world, SimDisk& disk) {
  for (std::uint64_t n = 1 + world.random().below(4); n > 0; --n) {
    world.append(world.random().below(6000));
    if (disk.crashed()) return fail(Errc::kIo, "crashed while a segment was prepared");
  }
  if (world.random().below(2) == 0) return world.flush();
  return world.flush_two(world.random().below(6000));
}

// Appends, rolls, seals, marks, trims, cleans, truncates, reopens; ends at the first failure.
Result<void> run_script(LogWorld& world, SimDisk& disk) {
  for (int round = 0; round < 12; ++round) {
    for (int i = 0; i < 4; ++i) TRY(append_and_flush(world, disk));
    if (world.random().below(3) == 0 && world.log().stage_marker()) TRY(world.flush());
    // Once within the active segment, once over the end of a sealed one.
    if (round % 4 == 2) TRY(world.truncate(round == 6 ? 30 : 2));
    if (round % 4 == 3) TRY(world.trim_and_clean());
    if (round % 5 == 4) {
      TRY(world.flush());
      TRY(world.open());
    }
  }
  return world.flush();
}

struct ScriptRun {
  std::unique_ptr<SimDisk> disk = std::make_unique<SimDisk>();
  LogModel model;
  std::uint64_t term = 1;
  std::uint64_t made_at = 0;  // operations until the log existed
};

ScriptRun run_until(std::uint64_t crash_at, Sabotage sabotage) {
  ScriptRun run;
  LogWorld world(directory_of(*run.disk, sabotage), 42);
  EXPECT_TRUE(world.create().has_value());
  run.made_at = run.disk->operations();
  if (crash_at != 0) run.disk->crash_at(run.made_at + crash_at);
  // The outcome of a crash is an error; what counts is what was acknowledged before.
  if (world.open()) (void)run_script(world, *run.disk);
  run.model = world.model;
  run.term = world.term();
  return run;
}

// Empty when the log on `disk` opens, holds what it must, and goes on.
std::string verdict(SimDisk& disk, const ScriptRun& run) {
  LogWorld world(directory_of(disk, Sabotage::kNone), 7);
  world.model.starts = run.model.starts;
  if (auto opened = world.open(); !opened) return "does not open: " + opened.error().describe();
  if (std::string wrong = difference(world.log(), run.model); !wrong.empty()) return wrong;
  world.set_term(run.term + 1);
  world.append(100);
  auto flushed = world.flush();
  return flushed ? "" : "does not go on: " + flushed.error().describe();
}

std::vector<jepsen::CrashImage> images() {
  std::vector<jepsen::CrashImage> all;
  for (const Survival data : {Survival::kNone, Survival::kAll}) {
    for (const Survival names : {Survival::kNone, Survival::kAll}) {
      all.push_back({.data = data, .names = names});
    }
  }
  for (int i = 0; i < (full_proof() ? 20 : 3); ++i) {
    all.push_back({.tear_last_sector = i % 2 == 0});
  }
  return all;
}

struct Tally {
  std::uint64_t points = 0;
  std::uint64_t restarts = 0;
  std::set<std::string> wrong;
};

void judge_images(const SimDisk& disk, const ScriptRun& run, Tally& tally, std::string_view where) {
  std::uint64_t seed = 1;
  for (const jepsen::CrashImage& image : images()) {
    auto after = disk.crash(seed++, image);
    ++tally.restarts;
    if (std::string wrong = verdict(*after, run); !wrong.empty()) {
      tally.wrong.insert(std::string(where) + ": " + wrong);
    }
  }
}

Tally crash_everywhere(Sabotage sabotage, std::uint64_t step) {
  const ScriptRun whole = run_until(0, sabotage);
  const std::uint64_t calls = whole.disk->operations() - whole.made_at;
  Tally tally;
  for (std::uint64_t at = 1; at <= calls; at += step) {
    const ScriptRun run = run_until(at, sabotage);
    ++tally.points;
    judge_images(*run.disk, run, tally, "call " + std::to_string(at));
  }
  return tally;
}

TEST(LogCrash, EveryCallOfTheScript) {
  const Tally tally = crash_everywhere(Sabotage::kNone, full_proof() ? 1 : 3);
  EXPECT_THAT(tally.wrong, ::testing::IsEmpty());
  EXPECT_GT(tally.points, full_proof() ? 200U : 60U);
  RecordProperty("points", static_cast<int>(tally.points));
  RecordProperty("restarts", static_cast<int>(tally.restarts));
  std::cout << tally.points << " crash points, " << tally.restarts << " restarts\n";
}

TEST(LogCrash, AgainDuringRecovery) {
  const ScriptRun whole = run_until(0, Sabotage::kNone);
  const std::uint64_t calls = whole.disk->operations() - whole.made_at;
  Tally tally;
  for (std::uint64_t at = 1; at <= calls; at += full_proof() ? 3 : 17) {
    const ScriptRun run = run_until(at, Sabotage::kNone);
    // The first recovery dies at each of its own calls.
    for (std::uint64_t inner = 1; inner <= 8; ++inner) {
      auto after = run.disk->crash(at, {});
      after->crash_at(inner);
      // Only the recovery: what it would append later is not in the model.
      LogWorld dying(directory_of(*after, Sabotage::kNone), 7);
      (void)dying.open();
      if (!after->crashed()) break;
      ++tally.points;
      judge_images(*after, run, tally, "call " + std::to_string(at));
    }
  }
  EXPECT_THAT(tally.wrong, ::testing::IsEmpty());
  EXPECT_GT(tally.points, 10U);
}

// kill -9 leaves the page cache; the next process builds on what it reads there, then the power
// goes.
TEST(LogCrash, PowerLossAfterAKilledProcess) {
  const ScriptRun whole = run_until(0, Sabotage::kNone);
  const std::uint64_t calls = whole.disk->operations() - whole.made_at;
  Tally tally;
  for (std::uint64_t at = 1; at <= calls; at += full_proof() ? 1 : 5) {
    ScriptRun run = run_until(at, Sabotage::kNone);
    run.disk->restart();
    LogWorld next(directory_of(*run.disk, Sabotage::kNone), 11);
    next.model = run.model;
    ASSERT_TRUE(next.open().has_value());
    ASSERT_EQ(difference(next.log(), run.model), "");
    // Everything found is committed by the next leader's first entry.
    next.set_term(run.term + 1);
    ASSERT_TRUE(next.adopt_found().has_value());
    ASSERT_TRUE(next.append(300));
    ASSERT_TRUE(next.flush().has_value());
    run.model = next.model;
    run.term = next.term();
    ++tally.points;
    judge_images(*run.disk, run, tally, "call " + std::to_string(at));
  }
  EXPECT_THAT(tally.wrong, ::testing::IsEmpty());
}

// A sync fails and the process dies of it. The kernel has marked the pages clean, so the next
// process reads bytes there that no later sync will save; it builds on them, and the power goes.
TEST(LogCrash, PowerLossAfterAProcessThatDiedOfAFailedSync) {
  Tally tally;
  for (std::uint64_t nth = 1; nth <= 60; ++nth) {
    ScriptRun run;
    LogWorld world(directory_of(*run.disk, Sabotage::kNone), 42);
    ASSERT_TRUE(world.create().has_value());
    run.disk->fail({.op = jepsen::DiskOp::kSync, .nth = nth, .path_part = ".seg"});
    if (world.open()) (void)run_script(world, *run.disk);
    if (run.disk->faults_struck() == 0) break;
    run.disk->restart();
    LogWorld next(directory_of(*run.disk, Sabotage::kNone), 11);
    next.model = world.model;
    ASSERT_TRUE(next.open().has_value());
    next.set_term(world.term() + 1);
    ASSERT_TRUE(next.adopt_found().has_value());
    next.append(300);
    ASSERT_TRUE(next.flush().has_value());
    run.model = next.model;
    run.term = next.term();
    ++tally.points;
    judge_images(*run.disk, run, tally, "sync " + std::to_string(nth));
  }
  EXPECT_THAT(tally.wrong, ::testing::IsEmpty());
  EXPECT_GT(tally.points, 20U);
}

TEST(LogCrash, TheProofSeesAnAckBeforeTheFlush) {
  EXPECT_THAT(crash_everywhere(Sabotage::kAckBeforeFlush, 9).wrong,
              ::testing::Not(::testing::IsEmpty()));
}

TEST(LogCrash, TheProofSeesAManifestThatIsNotSynced) {
  EXPECT_THAT(crash_everywhere(Sabotage::kNoManifestSync, 5).wrong,
              ::testing::Not(::testing::IsEmpty()));
}

TEST(LogCrash, TheProofSeesADirectoryThatIsNotSynced) {
  EXPECT_THAT(crash_everywhere(Sabotage::kNoDirectorySync, 5).wrong,
              ::testing::Not(::testing::IsEmpty()));
}

}  // namespace
}  // namespace lignum::storage
