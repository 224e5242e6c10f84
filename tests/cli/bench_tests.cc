#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

#include "cli/bench.h"
#include "cli/bench/ack_ledger.h"
#include "cli/bench/append_load.h"
#include "cli/bench/bench_streams.h"
#include "cli/bench/histogram.h"
#include "cli/bench/limit_rig.h"
#include "cli/bench/read_load.h"
#include "cli/bench/tally.h"
#include "cli/bench/value_text.h"
#include "cli/bench/workload.h"
#include "cli/bench_report.h"
#include "net/client.h"
#include "raft/error.h"
#include "raft/random.h"
#include "raft/types.h"
#include "storage/compression.h"
#include "tests/cli/fake_client.h"

namespace lignum::cli {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using testing::HasSubstr;

constexpr Workload kShort{.record_bytes = 100,
                          .in_flight = 64,
                          .groups = 1,
                          .duration = milliseconds(60),
                          .warmup = milliseconds(20),
                          .rate = std::nullopt,
                          .compression = Codec::kNone};

TEST(Histogram, SmallValuesAreExact) {
  Histogram histogram;
  for (std::int64_t value = 1; value <= 100; ++value) histogram.record(value);
  EXPECT_EQ(histogram.quantile(0.5), 50);
  EXPECT_EQ(histogram.quantile(0.99), 99);
  EXPECT_EQ(histogram.quantile(1), 100);
  EXPECT_EQ(histogram.quantile(0), 1);
  EXPECT_EQ(Histogram{}.quantile(0.5), 0);
}

TEST(Histogram, LargeValuesAreKnownToWithinTwoPercentAndNeverAboveTheMaximum) {
  Random random(7);
  for (int round = 0; round < 1000; ++round) {
    const auto value =
        static_cast<std::int64_t>(random.next() >> (22 + random.below(40))) % Histogram::kValueMax;
    Histogram histogram;
    histogram.record(value);
    histogram.record(Histogram::kValueMax);
    const std::int64_t found = histogram.quantile(0.5);
    EXPECT_GE(found, value);
    EXPECT_LE(static_cast<double>(found), static_cast<double>(value) * 1.016 + 1);
  }
  Histogram one;
  one.record(1'000'003);
  EXPECT_EQ(one.quantile(0.5), 1'000'003);
  EXPECT_EQ(one.quantile(0.999), one.max());
}

TEST(Histogram, ClampsAndMerges) {
  Histogram left;
  left.record(-5);
  left.record(INT64_MAX, 2);
  Histogram right;
  right.record(10, 7);
  left.merge(right);
  EXPECT_EQ(left.count(), 10U);
  EXPECT_EQ(left.max(), Histogram::kValueMax);
  EXPECT_EQ(left.quantile(0.1), 0);
  EXPECT_EQ(left.quantile(0.8), 10);
}

TEST(Medians, AreOfRunsNotOfRecords) {
  EXPECT_EQ(median_of({}), 0);
  EXPECT_EQ(median_of({3, 1, 2}), 2);
  EXPECT_EQ(median_of({4, 1, 2, 3}), 2.5);
  std::vector<RunResult> runs(3);
  for (std::uint64_t run = 0; run < 3; ++run) {
    runs[run].records = 100 * (run + 1);
    runs[run].bytes = 1'000'000 * (run + 1);
    runs[run].seconds = 1;
    runs[run].server_cpu_seconds = 0.001;
  }
  const Medians medians = medians_of(runs);
  EXPECT_EQ(medians.records_per_second, 200);
  EXPECT_EQ(medians.megabytes_per_second, 2);
  EXPECT_EQ(medians.cpu_per_million, 5);
  runs[1].server_cpu_seconds.reset();
  EXPECT_EQ(medians_of(runs).cpu_per_million, std::nullopt);
}

TEST(Tally, CountsOnlyWhatIsAcknowledgedWhileItMeasures) {
  const BenchClock::time_point start{};
  Tally tally(kShort, start);
  tally.acknowledged(start, start + milliseconds(19));
  tally.acknowledged(start + milliseconds(19), start + milliseconds(20));
  tally.acknowledged(start + milliseconds(70), start + milliseconds(79));
  tally.acknowledged(start + milliseconds(70), start + milliseconds(80));
  const RunResult result = tally.result();
  EXPECT_EQ(result.records, 2U);
  EXPECT_EQ(result.bytes, 200U);
  EXPECT_DOUBLE_EQ(result.seconds, 0.06);
  EXPECT_EQ(result.latency.max(), 9'000'000);
}

// Coordinated omission: a stall of a second must show in the latency of everything that should
// have started during it, not in one record.
TEST(Schedule, AStallCountsForEveryRecordThatWasDueMeanwhile) {
  const BenchClock::time_point start{};
  Schedule schedule(1000, start);
  Tally tally({.record_bytes = 8, .duration = milliseconds(5000), .warmup = milliseconds(0)},
              start);
  const auto stalled_until = start + milliseconds(1000);
  std::uint64_t taken = 0;
  while (true) {
    const auto due = schedule.due(schedule.next());
    if (!schedule.take(stalled_until)) break;
    tally.acknowledged(due, stalled_until);
    ++taken;
  }
  EXPECT_EQ(taken, 1001U);
  const RunResult result = tally.result();
  EXPECT_NEAR(static_cast<double>(result.latency.quantile(0.5)), 500e6, 10e6);
  EXPECT_EQ(result.latency.max(), 1'000'000'000);
}

TEST(BenchValue, CarriesANumber) {
  BenchValue value(100);
  EXPECT_EQ(value.with(12345).size(), 100U);
  EXPECT_EQ(BenchValue::number_in(value.with(77)), 77U);
  EXPECT_EQ(BenchValue::number_in({}), std::nullopt);
}

TEST(AckLedger, KnowsABrokenPromise) {
  AckLedger ledger(2);
  ledger.acknowledged(0, 0, 10);
  ledger.acknowledged(0, 1, 11);
  ledger.acknowledged(1, 0, 12);
  ledger.found(0, 0, 10);
  ledger.found(0, 1, 99);  // another record stands there
  ledger.found(1, 5, 12);  // not where it was acknowledged
  const auto result = ledger.result();
  EXPECT_EQ(result.acknowledged, 3U);
  EXPECT_EQ(result.kept, 1U);
  EXPECT_EQ(result.broken, 2U);
}

TEST(AppendLoad, ClosedLoopKeepsTheWindowFullAndReadsBack) {
  FakeClient client;
  client.make("a");
  client.make("b");
  AckLedger ledger(2);
  Workload workload = kShort;
  workload.in_flight = 4;
  AppendLoad load(client, {"a", "b"}, workload, &ledger);
  const std::atomic<bool> interrupted{false};
  const auto result = load.run([] { return std::optional<double>(1.0); }, interrupted);
  ASSERT_TRUE(result) << result.error().describe();
  EXPECT_GT(result->records, 0U);
  EXPECT_EQ(result->bytes, result->records * 100);
  EXPECT_EQ(result->latency.count(), result->records);
  EXPECT_GT(client.streams.at("a").records.size(), 0U);
  EXPECT_GT(client.streams.at("b").records.size(), 0U);
  ASSERT_TRUE(read_back(client, {"a", "b"}, ledger, interrupted));
  EXPECT_EQ(ledger.result().broken, 0U);
  EXPECT_GE(ledger.result().kept, result->records);
}

TEST(AppendLoad, OnScheduleStartsNoMoreThanTheRate) {
  FakeClient client;
  client.make("a");
  Workload workload = kShort;
  workload.rate = 1000;
  AppendLoad load(client, {"a"}, workload, nullptr);
  const auto result = load.run([] { return std::nullopt; }, std::atomic<bool>{false});
  ASSERT_TRUE(result) << result.error().describe();
  // What was due during warm-up and measurement, 80 ms at 1000 a second.
  EXPECT_LE(result->records, 81U);
  EXPECT_GT(result->records, 0U);
  EXPECT_EQ(result->server_cpu_seconds, std::nullopt);
}

TEST(AppendLoad, TheFirstFailureEndsTheRun) {
  FakeClient client;
  AppendLoad load(client, {"missing"}, kShort, nullptr);
  const auto result = load.run([] { return std::nullopt; }, std::atomic<bool>{false});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code(), Errc::kNotFound);
}

TEST(BenchStreams, PinnedStreamsLieInDifferentGroupsAndAreRemoved) {
  FakeClient client;
  for (std::uint32_t group = 0; group <= 8; ++group) {
    client.node.groups.push_back({.group = GroupId(group)});
  }
  auto streams = BenchStreams::pinned(client, "bench", 3);
  ASSERT_TRUE(streams) << streams.error().describe();
  EXPECT_EQ(streams->names().size(), 3U);
  ASSERT_TRUE(streams->remove(client));
  EXPECT_TRUE(client.streams.empty());
  const auto many = BenchStreams::pinned(client, "bench", 9);
  ASSERT_FALSE(many);
  EXPECT_EQ(many.error().code(), Errc::kInvalidArgument);
  EXPECT_THAT(many.error().message(), HasSubstr("at most 8"));
}

class LimitTest : public testing::Test {
 protected:
  LimitTest() {
    std::string pattern = testing::TempDir() + "lignum-limit-XXXXXX";
    directory_ = ::mkdtemp(pattern.data());
  }
  ~LimitTest() override {
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
  }
  // A busy machine may get nothing done in a short run: ever longer ones, until there is something.
  static Result<RunResult> run_until_measured(LimitRig& rig, Workload& workload) {
    constexpr std::chrono::seconds kLongest(20);
    while (true) {
      auto result = rig.run(workload, std::atomic<bool>{false});
      if (!result || result->records > 0 || workload.duration > kLongest) return result;
      workload.duration *= 2;
    }
  }
  std::string directory_;
};

TEST_F(LimitTest, RunsWithMajoritiesAndLeavesNothingBehind) {
  {
    auto rig = LimitRig::make(
        {.directory = directory_, .files = 2, .replicas = 3, .kind = LimitRig::Files::kFresh});
    ASSERT_TRUE(rig) << rig.error().describe();
    Workload workload = kShort;
    workload.groups = 2;
    const auto result = run_until_measured(**rig, workload);
    ASSERT_TRUE(result) << result.error().describe();
    EXPECT_GT(result->records, 0U);
    EXPECT_EQ(result->latency.count(), result->records);
    EXPECT_GT(result->server_cpu_seconds, 0);
    EXPECT_EQ(result->note, "growing files");
  }
  EXPECT_TRUE(std::filesystem::is_empty(directory_));
}

TEST_F(LimitTest, PreWrittenFilesAndLargeRecordsOnSchedule) {
  auto rig = LimitRig::make(
      {.directory = directory_, .files = 1, .replicas = 1, .kind = LimitRig::Files::kRecycled});
  ASSERT_TRUE(rig) << rig.error().describe();
  Workload workload = kShort;
  workload.record_bytes = 16384;
  constexpr int kRate = 500;
  workload.rate = kRate;
  const auto result = run_until_measured(**rig, workload);
  ASSERT_TRUE(result) << result.error().describe();
  EXPECT_GT(result->records, 0U);
  // What was due.
  const auto due = kRate * (workload.warmup + workload.duration) / std::chrono::seconds(1);
  EXPECT_LE(result->records, static_cast<std::uint64_t>(due) + 1);
  EXPECT_THAT(result->note, HasSubstr("pre-written"));
}

TEST_F(LimitTest, AnInterruptionEndsIt) {
  auto rig = LimitRig::make(
      {.directory = directory_, .files = 1, .replicas = 1, .kind = LimitRig::Files::kFresh});
  ASSERT_TRUE(rig);
  Workload workload = kShort;
  workload.duration = std::chrono::hours(1);
  const auto result = (*rig)->run(workload, std::atomic<bool>{true});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code(), Errc::kCancelled);
}

TEST(BenchMatrix, RefusesWhatCannotBeMeasured) {
  EXPECT_TRUE(check_matrix({}));
  EXPECT_FALSE(check_matrix({.record_bytes = {7}}));
  EXPECT_FALSE(check_matrix({.record_bytes = {100, std::size_t{1} << 20}}));
  EXPECT_FALSE(check_matrix({.in_flight = {0}}));
  EXPECT_FALSE(check_matrix({.groups = {0}}));
  EXPECT_FALSE(check_matrix({.repeat = 0}));
  EXPECT_FALSE(check_matrix({.rate = 0.0}));
}

TEST(BenchReport, PutsTheRatioUnderTheTwoSides) {
  const Medians append{.runs = 5,
                       .records_per_second = 60'000,
                       .megabytes_per_second = 6,
                       .p50 = 150,
                       .p90 = 200,
                       .p99 = 300,
                       .p999 = 400,
                       .max = 500,
                       .cpu_per_million = 3.0,
                       .note = ""};
  Medians limit = append;
  limit.records_per_second = 80'000;
  limit.p50 = 100;
  limit.cpu_per_million = 1.5;
  limit.note = "O_DIRECT, pre-written";
  const BenchCell cell{.workload = kShort,
                       .append = append,
                       .limit = limit,
                       .verified = AckLedger::Result{.acknowledged = 1000, .kept = 1000}};
  EXPECT_EQ(
      bench_table(cell),
      "100 B records, 64 in flight, 1 group\n"
      "            records/s     MB/s   p50 us   p90 us   p99 us  p99.9 us   max us  CPU s/1M\n"
      "  append       60,000      6.0      150      200      300       400      500      3.00\n"
      "  limit        80,000      6.0      100      200      300       400      500      1.50"
      "  O_DIRECT, pre-written\n"
      "  ratio          0.75     1.00     1.50     1.00     1.00      1.00     1.00      2.00\n"
      "  verified: 1,000 acknowledged, 1,000 read back in place, 0 not\n");
  EXPECT_THAT(bench_json(cell), HasSubstr("\"ratio\":{\"records_per_second\":7.5E-1"));
}

TEST(BenchReport, GroupsDigits) {
  EXPECT_EQ(grouped(0), "0");
  EXPECT_EQ(grouped(999), "999");
  EXPECT_EQ(grouped(1000), "1,000");
  EXPECT_EQ(grouped(1234567), "1,234,567");
}

TEST(LimitDirectory, LiesBesideTheDataOfANodeOfThisMachineOnly) {
  const std::string temporary = std::filesystem::temp_directory_path();
  NodeStat stat;
  stat.data_directory = testing::TempDir() + "data";
  const std::string beside = std::filesystem::path(stat.data_directory).parent_path();
  EXPECT_EQ(limit_directory("127.0.0.1:7400", stat), beside);
  EXPECT_EQ(limit_directory("10.0.0.1:7400", stat), temporary);
  stat.data_directory = "relative/data";
  EXPECT_EQ(limit_directory("localhost:7400", stat), temporary);
}

}  // namespace
}  // namespace lignum::cli
