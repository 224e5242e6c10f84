// What has to go, by age and by size.

#include "server/shard/retention.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include "raft/random.h"
#include "raft/types.h"
#include "server/shard/shard_state.h"

namespace lignum::server {
namespace {

struct Batch {
  std::uint64_t base = 0;
  std::uint64_t records = 0;
  TimeUs time = 0;
  std::uint64_t bytes = 0;
};

// Batches of one shard as a log would answer for them.
class Batches {
 public:
  explicit Batches(std::vector<Batch> batches) : batches_(std::move(batches)) {
    shard.start = Offset(batches_.front().base);
    shard.next = Offset(batches_.back().base + batches_.back().records);
  }

  [[nodiscard]] std::optional<Offset> decide(TimeUs now) const {
    RetentionView view;
    for (const Batch& batch : batches_) view.bytes += batch.bytes;
    view.find_time = [this](TimeUs time) -> std::optional<Offset> {
      for (const Batch& batch : batches_) {
        if (batch.time >= time) return Offset(batch.base);
      }
      return std::nullopt;
    };
    view.bytes_below = [this](Offset offset) {
      std::uint64_t bytes = 0;
      for (const Batch& batch : batches_) {
        if (batch.base + batch.records <= offset.value()) bytes += batch.bytes;
      }
      return bytes;
    };
    return retention_start(shard, now, view);
  }

  Shard shard;

 private:
  std::vector<Batch> batches_;
};

constexpr TimeUs kMs = 1000;

Batches three() {
  return Batches({{.base = 10, .records = 5, .time = 1'000 * kMs, .bytes = 100},
                  {.base = 15, .records = 5, .time = 2'000 * kMs, .bytes = 200},
                  {.base = 20, .records = 5, .time = 3'000 * kMs, .bytes = 300}});
}

TEST(Retention, KeepsEverythingUnlessToldOtherwise) {
  EXPECT_EQ(three().decide(1'000'000'000'000), std::nullopt);
}

TEST(Retention, DropsWhatIsTooOld) {
  Batches batches = three();
  batches.shard.retention_ms = 1'500;
  EXPECT_EQ(batches.decide(2'500 * kMs), std::nullopt);
  EXPECT_EQ(batches.decide(2'501 * kMs), Offset(15));
  EXPECT_EQ(batches.decide(3'501 * kMs), Offset(20));
  EXPECT_EQ(batches.decide(9'000 * kMs), Offset(25)) << "all of it";
}

TEST(Retention, AnAgeBeyondTheClockKeepsEverything) {
  Batches batches = three();
  batches.shard.retention_ms = std::numeric_limits<std::int64_t>::max();
  EXPECT_EQ(batches.decide(4'000 * kMs), std::nullopt);
}

TEST(Retention, DropsWholeBatchesUntilItFits) {
  Batches batches = three();
  batches.shard.retention_bytes = 600;
  EXPECT_EQ(batches.decide(0), std::nullopt);
  batches.shard.retention_bytes = 599;
  EXPECT_EQ(batches.decide(0), Offset(15));
  batches.shard.retention_bytes = 500;
  EXPECT_EQ(batches.decide(0), Offset(15));
  batches.shard.retention_bytes = 299;
  EXPECT_EQ(batches.decide(0), Offset(25));
  batches.shard.retention_bytes = 0;
  EXPECT_EQ(batches.decide(0), Offset(25));
}

TEST(Retention, TheStricterOfBothWins) {
  Batches batches = three();
  batches.shard.retention_ms = 1'500;
  batches.shard.retention_bytes = 300;
  EXPECT_EQ(batches.decide(2'501 * kMs), Offset(20));
  EXPECT_EQ(batches.decide(3'600 * kMs), Offset(20));
}

TEST(Retention, AnEmptyShardHasNothingToLose) {
  Batches batches = three();
  batches.shard.start = batches.shard.next;
  batches.shard.retention_ms = 0;
  batches.shard.retention_bytes = 0;
  EXPECT_EQ(batches.decide(9'000 * kMs), std::nullopt);
}

TEST(Retention, NeverGoesBackwardsNorBeyondTheEnd) {
  Random random(1, "retention");
  for (int round = 0; round < 2000; ++round) {
    std::vector<Batch> all;
    std::uint64_t base = random.below(100);
    TimeUs time = 1'000'000;
    const std::uint64_t count = 1 + random.below(12);
    for (std::uint64_t i = 0; i < count; ++i) {
      all.push_back({.base = base,
                     .records = 1 + random.below(9),
                     .time = time,
                     .bytes = 61 + random.below(500)});
      base += all.back().records;
      time += static_cast<TimeUs>(1 + random.below(50'000));
    }
    Batches batches(all);
    batches.shard.start = Offset(all.front().base + random.below(all.front().records));
    const bool by_age = random.chance(1, 2);
    batches.shard.retention_ms = by_age ? static_cast<std::int64_t>(random.below(400)) : -1;
    batches.shard.retention_bytes =
        random.chance(1, 2) ? static_cast<std::int64_t>(random.below(4000)) : -1;
    const TimeUs now = time + static_cast<TimeUs>(random.below(400'000));
    const auto start = batches.decide(now);
    if (start) {
      EXPECT_GT(*start, batches.shard.start);
      EXPECT_LE(*start, batches.shard.next);
    }
    // What stays is young enough, and only whole batches above the limit's reach went.
    const Offset kept = start.value_or(batches.shard.start);
    for (const Batch& batch : all) {
      const bool stays = batch.base + batch.records > kept.value();
      const bool old = by_age && batch.time < now - batches.shard.retention_ms * kMs;
      EXPECT_FALSE(stays && old);
    }
  }
}

}  // namespace
}  // namespace lignum::server
