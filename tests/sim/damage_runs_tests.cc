// Runs whose disks are damaged: within what is promised they come right, beyond it nobody is lied
// to; and what no node could notice the judge does.

#include <gtest/gtest.h>

#include <cstdint>

#include "jepsen/sim/run.h"
#include "jepsen/sim/run_plan.h"
#include "jepsen/sim/world.h"
#include "net/moment.h"

namespace lignum::jepsen {
namespace {

RunPlan damaged_plan(std::uint64_t seed) {
  RunPlan plan = draw_plan(seed);
  plan.nodes = 3;
  plan.node.members = 3;
  plan.node.pace = {};
  plan.node.scrub = {.piece_every_us = 200 * net::kMillisecond, .pass_every_us = 2 * net::kSecond};
  plan.faults = {
      .power_cut = 2 * net::kSecond, .damage = 500 * net::kMillisecond, .lasts_most = net::kSecond};
  plan.workload.unreadable = true;
  plan.held_down = 0;
  plan.weather = {};
  plan.fire = 10 * net::kSecond;
  return plan;
}

std::uint64_t damages(const RunReport& report) {
  std::uint64_t count = 0;
  for (const auto& [name, struck] : report.faults) {
    if (name == "bit rotten" || name == "write lost" || name == "write misdirected" ||
        name == "segment lost") {
      count += struck;
    }
  }
  return count;
}

TEST(DamageRuns, WithinWhatIsPromisedEverythingComesRight) {
  std::uint64_t struck = 0;
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    const RunReport report = run_plan(damaged_plan(seed), nullptr);
    EXPECT_EQ(report.verdict, Verdict::kClean) << "seed " << seed << ": " << report.what;
    struck += damages(report);
  }
  EXPECT_GT(struck, 20U);
}

TEST(DamageRuns, BeyondItGroupsAreLostAndNobodyIsLiedTo) {
  std::uint64_t lost = 0;
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    RunPlan plan = damaged_plan(seed);
    plan.faults.beyond = true;
    plan.faults.damage = 150 * net::kMillisecond;
    const RunReport report = run_plan(plan, nullptr);
    EXPECT_EQ(report.verdict, Verdict::kClean) << "seed " << seed << ": " << report.what;
    if (report.faults.contains("shard given up")) ++lost;
  }
  EXPECT_GT(lost, 2U);
}

// Nothing can tell it from a write that a crash tore: on all copies at once it takes with it what
// was acknowledged.
TEST(DamageRuns, WhatLooksLikeATornWriteIsNoticedByTheJudge) {
  std::uint64_t noticed = 0;
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    RunPlan plan = damaged_plan(seed);
    plan.faults.beyond = true;
    plan.faults.unproven = true;
    plan.faults.damage = 100 * net::kMillisecond;
    if (run_plan(plan, nullptr).verdict == Verdict::kSafety) ++noticed;
  }
  EXPECT_GT(noticed, 0U);
}

}  // namespace
}  // namespace lignum::jepsen
