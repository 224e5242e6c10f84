// The simulator as a whole: same seed, same run; and what it is there for, it notices.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <string_view>

#include "jepsen/sim/run.h"
#include "jepsen/sim/run_plan.h"
#include "jepsen/sim/sim_node.h"
#include "jepsen/sim/world.h"
#include "net/moment.h"
#include "raft/buggify.h"

namespace lignum::jepsen {
namespace {

// A short run without faults but those a test adds.
RunPlan quiet_plan(std::uint64_t seed, std::uint32_t nodes) {
  RunPlan plan = draw_plan(seed);
  plan.nodes = nodes;
  plan.node.members = nodes;
  plan.node.pace = {};
  plan.faults = {};
  plan.weather = {};
  plan.workload.mix = {};
  plan.workload.kill_rate = 0;
  plan.fire = 5 * net::kSecond;
  return plan;
}

TEST(Simulator, TheSameSeedIsTheSameRun) {
  for (const std::uint64_t seed : {3U, 4U}) {
    RunPlan plan = draw_plan(seed);
    plan.fire = 10 * net::kSecond;
    const RunReport first = run_plan(plan, nullptr);
    const RunReport second = run_plan(plan, nullptr);
    EXPECT_EQ(first.trace_hash, second.trace_hash);
    EXPECT_EQ(first.counts.acked, second.counts.acked);
    EXPECT_EQ(first.steps, second.steps);
    EXPECT_EQ(first.verdict, Verdict::kClean) << first.what;
    plan.seed += 100;
    EXPECT_NE(run_plan(plan, nullptr).trace_hash, first.trace_hash);
  }
}

TEST(Simulator, AClusterWithoutFaultsServesEverybody) {
  for (const std::uint32_t nodes : {1U, 3U}) {
    const RunReport report = run_plan(quiet_plan(7, nodes), nullptr);
    EXPECT_EQ(report.verdict, Verdict::kClean) << report.what;
    EXPECT_GT(report.counts.acked, 20U);
    EXPECT_EQ(report.counts.unknown, 0U);
  }
}

TEST(Simulator, ADiskThatLiesIsNoticed) {
  RunPlan plan = quiet_plan(7, 3);
  plan.node.disk.lies = true;
  const RunReport report = run_plan(plan, nullptr);
  EXPECT_EQ(report.verdict, Verdict::kSafety);
  EXPECT_THAT(report.what, ::testing::HasSubstr("disk"));
}

TEST(Simulator, AClusterThatDoesNotComeRightInTimeIsNoticed) {
  RunPlan plan = quiet_plan(7, 1);
  plan.calm_max = 10;
  const RunReport report = run_plan(plan, nullptr);
  EXPECT_EQ(report.verdict, Verdict::kLiveness);
}

TEST(Simulator, PowerCutsLoseNothingThatWasAcknowledged) {
  RunPlan plan = quiet_plan(7, 1);
  plan.fire = 20 * net::kSecond;
  plan.faults.power_cut = 2 * net::kSecond;
  plan.faults.power_cut_in_call = 2 * net::kSecond;
  const RunReport report = run_plan(plan, nullptr);
  EXPECT_EQ(report.verdict, Verdict::kClean) << report.what;
  EXPECT_GT(report.faults.at("power cut"), 2U);
}

// Disks are lost, and members change, while nodes die.
RunPlan wiping_plan(std::uint64_t seed, std::uint32_t nodes) {
  RunPlan plan = quiet_plan(seed, nodes);
  plan.held_down = 0;
  plan.fire = 20 * net::kSecond;
  plan.faults.wipe = net::kSecond;
  plan.faults.members = 5 * net::kSecond;
  plan.faults.kill = 5 * net::kSecond;
  plan.faults.lasts_most = net::kSecond;
  return plan;
}

TEST(Simulator, WhoLosesItsDiskComesBackAsAnotherMemberAndNothingIsLost) {
  for (const std::uint32_t nodes : {3U, 5U}) {
    const RunReport report = run_plan(wiping_plan(7, nodes), nullptr);
    EXPECT_EQ(report.verdict, Verdict::kClean) << report.what;
    EXPECT_GT(report.faults.at("disk wiped"), 2U);
    EXPECT_GT(report.faults.at("lost member replaced"), 2U);
    EXPECT_GT(report.counts.acked, 20U);
  }
}

// Its vote may count twice, and what it has acknowledged is gone.
TEST(Simulator, ANodeThatForgetsAndComesBackAsWhoItWasIsNoticed) {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    RunPlan plan = wiping_plan(seed, 3);
    plan.faults.comeback = SimNode::Comeback::kSameMember;
    const RunReport report = run_plan(plan, nullptr);
    EXPECT_EQ(report.verdict, Verdict::kSafety) << "seed " << seed << ": " << report.what;
  }
}

TEST(Simulator, EveryRarePathIsTakenAndHarmsNobody) {
  std::map<std::string_view, std::uint64_t> fired;
  for (const std::uint32_t nodes : {1U, 3U}) {
    RunPlan plan = quiet_plan(11, nodes);
    plan.fire = 30 * net::kSecond;
    plan.workload.pause_most = 30 * net::kMillisecond;
    plan.workload.tails = 1;
    plan.workload.mix = {.conditional = 5, .read = 20, .trim = 5};
    plan.faults.kill = 5 * net::kSecond;
    plan.rare.fill(50'000);
    // What is asked for once or twice in a run; and limits that leave a choice.
    for (const Buggify seldom : {Buggify::kServerProducerBlock, Buggify::kStorageSmallStateFile,
                                 Buggify::kServerFreshImage}) {
      plan.rare.at(static_cast<std::size_t>(seldom)) = 1'000'000;
    }
    plan.node.raft = {.inflight_messages_max = 8};
    plan.node.raft.heartbeat_ticks = 2;
    plan.node.segments.early_flush_bytes = 4096;
    const RunReport report = run_plan(plan, nullptr);
    EXPECT_EQ(report.verdict, Verdict::kClean) << report.what;
    for (const auto& [name, count] : report.rare) fired[name] += count;
  }
  for (const BuggifyPoint& point : kBuggifyPoints) {
    EXPECT_GT(fired[point.name], 0U) << point.name << ": " << point.what;
  }
}

}  // namespace
}  // namespace lignum::jepsen
