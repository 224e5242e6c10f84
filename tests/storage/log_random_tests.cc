// Random lives of a log against a model: whatever comes after whatever, the log holds what it must.

#include <gtest/gtest.h>

#include <cstdint>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "jepsen/sim/sim_disk.h"
#include "raft/entry.h"
#include "raft/error.h"
#include "raft/random.h"
#include "raft/types.h"
#include "storage/segmented_log.h"
#include "tests/storage/log_world.h"
#include "tests/storage/proof.h"

namespace lignum::storage {
namespace {

using jepsen::SimDisk;
using jepsen::Survival;

// Of the entry at every index that the log holds, and of the one before them.
std::string difference_of_ids(SegmentedLog& log, const LogModel& model) {
  for (Index at(log.first_index().value() - 1); at <= log.last().index; at = at.next()) {
    if (at == Index(0)) continue;
    if (log.id_at(at) != model.entries.at(at).header.id()) {
      return "another id at " + std::to_string(at.value());
    }
  }
  if (log.id_at(log.last().index.next())) return "an id above the end";
  return "";
}

// A seek never lands behind the first live batch stamped at or after `time`.
std::string difference_of_seek(const SegmentedLog& log, const LogModel& model, ShardKey shard,
                               TimeUs time) {
  const auto start = model.starts.find(shard);
  std::optional<Offset> first;
  std::optional<Offset> alive;
  for (const auto& [index, entry] : model.entries) {
    const EntryHeader& header = entry.header;
    if (header.kind != EntryKind::kBatch || header.shard != shard || header.append_time < time) {
      continue;
    }
    if (!first) first = header.base_offset;
    const bool trimmed =
        start != model.starts.end() && header.base_offset + header.record_count <= start->second;
    if (!trimmed && !alive) alive = header.base_offset;
  }
  const auto found = log.find_time(shard, time);
  if (alive && !found) return "a seek found nothing";
  if (alive && *found > *alive) return "a seek landed too late";
  if (found && (!first || *found < *first)) return "a seek landed too early";
  return "";
}

class Life {
 public:
  explicit Life(std::uint64_t seed) : seed_(seed), choices_(seed) {}

  // Empty, or what went wrong and when.
  std::string run(int steps) {
    disk_ = std::make_unique<SimDisk>();
    world_ = std::make_unique<LogWorld>(disk_->root(), seed_);
    if (!world_->create() || !world_->open()) return "an empty disk does not do";
    for (int step = 0; step < steps; ++step) {
      const char* what = "";
      if (auto done = act(what); !done) return told(step, what, done.error().describe());
      if (std::string wrong = check(); !wrong.empty()) return told(step, what, wrong);
    }
    return "";
  }
  [[nodiscard]] std::uint64_t deep_cuts() const { return deep_cuts_; }
  [[nodiscard]] std::uint64_t crashes() const { return crashes_; }

 private:
  [[nodiscard]] std::string told(int step, const char* what, const std::string& wrong) const {
    return "seed " + std::to_string(seed_) + ", step " + std::to_string(step) + " (" + what +
           "): " + wrong;
  }

  Result<void> act(const char*& what) {
    const std::uint64_t choice = choices_.below(100);
    if (choice < 60) return what = "append", append();
    if (choice < 75) return what = "flush", world_->flush();
    if (choice < 80) return what = "two flushes", world_->flush_two(choices_.below(6000));
    if (choice < 84) return what = "marker", mark();
    if (choice < 88) return what = "truncate", truncate();
    if (choice < 92) return what = "trim and clean", trim_and_clean();
    if (choice < 94) return what = "give the spare back", world_->log().release_spare(), success();
    if (choice < 97) return what = "reopen", reopen();
    return what = "crash", crash();
  }
  static Result<void> success() { return {}; }

  Result<void> append() {
    for (std::uint64_t n = 1 + choices_.below(6); n > 0; --n) {
      const std::uint64_t bytes = choices_.below(choices_.below(10) == 0 ? 60'000 : 6000);
      if (!world_->append(bytes)) return fail(Errc::kNoSpace, "no room");
    }
    return {};
  }
  Result<void> mark() {
    if (world_->log().stage_marker()) TRY(world_->flush());
    return {};
  }
  Result<void> truncate() {
    TRY(world_->flush());
    const Index active = world_->log().active_first_index();
    const std::uint64_t count = choices_.below(choices_.below(2) == 0 ? 5 : 90);
    const Index before = world_->log().last().index;
    TRY(world_->truncate(count));
    if (world_->log().last().index < before && before.value() - count < active.value()) {
      ++deep_cuts_;
    }
    return {};
  }
  Result<void> trim_and_clean() {
    TRY(world_->flush());
    return world_->trim_and_clean();
  }
  Result<void> reopen() {
    TRY(world_->flush());
    return world_->open();
  }
  Result<void> crash() {
    ++crashes_;
    auto after = disk_->crash(choices_.below(1U << 30), {.data = any(), .names = any()});
    auto next = std::make_unique<LogWorld>(after->root(), choices_.below(1U << 30));
    next->model = world_->model;
    next->set_term(world_->term() + 1);
    TRY(next->open());
    if (std::string wrong = difference(next->log(), next->model); !wrong.empty()) {
      return fail(Errc::kCorrupt, "after the crash: " + wrong);
    }
    TRY(next->adopt_found());
    world_ = std::move(next);
    disk_ = std::move(after);
    return {};
  }
  Survival any() {
    constexpr Survival kAll[] = {Survival::kNone, Survival::kAll, Survival::kRandom};
    return kAll[choices_.below(3)];
  }

  std::string check() {
    if (std::string wrong = difference_of_ids(world_->log(), world_->model); !wrong.empty()) {
      return wrong;
    }
    const ShardKey shard = shard_key(static_cast<std::uint32_t>(choices_.below(LogWorld::kShards)));
    const auto last = static_cast<std::uint64_t>(world_->log().last_append_time());
    const auto time = static_cast<TimeUs>(choices_.below(last + 20));
    if (std::string wrong = difference_of_seek(world_->log(), world_->model, shard, time);
        !wrong.empty()) {
      return wrong;
    }
    // Reading everything takes longest.
    if (choices_.below(8) != 0 || world_->log().durable() != world_->log().last().index) return "";
    return difference(world_->log(), world_->model);
  }

  const std::uint64_t seed_;
  Random choices_;
  std::unique_ptr<SimDisk> disk_;
  std::unique_ptr<LogWorld> world_;
  std::uint64_t deep_cuts_ = 0;
  std::uint64_t crashes_ = 0;
};

TEST(LogRandom, AnyOrderOfEverything) {
  std::uint64_t deep_cuts = 0;
  std::uint64_t crashes = 0;
  const std::uint64_t lives = full_proof() ? 500 : 12;
  for (std::uint64_t seed = 1; seed <= lives; ++seed) {
    Life life(seed);
    ASSERT_EQ(life.run(300), "");
    deep_cuts += life.deep_cuts();
    crashes += life.crashes();
  }
  EXPECT_GT(deep_cuts, lives);
  EXPECT_GT(crashes, lives);
  std::cout << lives << " lives of 300 steps: " << crashes << " crashes, " << deep_cuts
            << " truncations into sealed segments\n";
}

}  // namespace
}  // namespace lignum::storage
