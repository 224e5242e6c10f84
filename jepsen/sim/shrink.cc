#include "jepsen/sim/shrink.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include "jepsen/sim/faults.h"
#include "jepsen/sim/link.h"
#include "jepsen/sim/run.h"
#include "jepsen/sim/run_plan.h"
#include "jepsen/sim/world.h"
#include "net/moment.h"
#include "raft/check.h"

namespace lignum::jepsen {

namespace {

class Shrinker {
 public:
  Shrinker(const RunPlan& plan, const RunReport& report)
      : best_{.plan = plan, .report = report, .runs = 0}, verdict_(report.verdict) {
    CHECK(verdict_ != Verdict::kClean);
  }

  Shrunk run() {
    shorten();
    leave_out_strikes();
    leave_out_weather();
    leave_out_work();
    return std::move(best_);
  }

 private:
  // True where the run still fails in the same way; then it is the best one.
  bool attempt(const RunPlan& plan) {
    ++best_.runs;
    RunReport report = run_plan(plan, nullptr);
    if (report.verdict != verdict_) return false;
    best_.plan = plan;
    best_.report = std::move(report);
    return true;
  }

  // What struck after the end did no harm.
  void shorten() {
    RunPlan plan = best_.plan;
    std::set<StrikeId> only;
    for (const StrikeRecord& strike : best_.report.struck) {
      if (strike.at <= best_.report.ended) only.insert(strike.id);
    }
    plan.faults.only = std::move(only);
    attempt(plan);
  }

  void leave_out_strikes() {
    if (!best_.plan.faults.only) return;
    std::size_t parts = 2;
    while (!best_.plan.faults.only->empty()) {
      const std::vector<StrikeId> all(best_.plan.faults.only->begin(),
                                      best_.plan.faults.only->end());
      parts = std::min(parts, all.size());
      if (leave_out_one_of(all, parts)) {
        parts = std::max<std::size_t>(2, parts - 1);
      } else if (parts == all.size()) {
        return;
      } else {
        parts *= 2;
      }
    }
  }

  bool leave_out_one_of(const std::vector<StrikeId>& all, std::size_t parts) {
    for (std::size_t part = 0; part < parts; ++part) {
      RunPlan plan = best_.plan;
      for (std::size_t i = part * all.size() / parts; i < (part + 1) * all.size() / parts; ++i) {
        if (plan.faults.only) plan.faults.only->erase(all[i]);
      }
      if (attempt(plan)) return true;
    }
    return false;
  }

  void leave_out_weather() {
    constexpr std::array kRates = {&LinkWeather::tail_rate,      &LinkWeather::loss_rate,
                                   &LinkWeather::duplicate_rate, &LinkWeather::replay_rate,
                                   &LinkWeather::corrupt_rate,   &LinkWeather::reset_rate,
                                   &LinkWeather::reorder_rate};
    RunPlan usual = best_.plan;
    usual.rare = {};
    attempt(usual);
    for (std::uint32_t& rare : usual.rare = best_.plan.rare) {
      if (rare == 0) continue;
      const std::uint32_t before = std::exchange(rare, 0);
      if (!attempt(usual)) rare = before;
    }
    for (const auto rate : kRates) {
      RunPlan plan = best_.plan;
      if (std::exchange(plan.weather.*rate, 0) != 0) attempt(plan);
    }
  }

  void leave_out_work() {
    RunPlan plan = best_.plan;
    plan.workload.tails = 0;
    attempt(plan);
    plan = best_.plan;
    plan.workload.kill_rate = 0;
    attempt(plan);
    plan = best_.plan;
    plan.workload.mix = {.conditional = 0, .read = 0, .trim = 0};
    attempt(plan);
    plan = best_.plan;
    plan.workload.users = 1;
    attempt(plan);
    plan = best_.plan;
    plan.faults.lose_state_rate = 0;
    plan.faults.crash_in_recovery_rate = 0;
    attempt(plan);
    plan = best_.plan;
    plan.node.pace.stall_rate = 0;
    plan.node.pace.refuse_rate = 0;
    attempt(plan);
  }

  Shrunk best_;
  const Verdict verdict_;
};

}  // namespace

std::string Shrunk::describe() const {
  std::string text =
      plan.describe() +
      fmt::format(
          "\n  links: delay {}..{} us, of a million: tail {}, loss {}, double {}, replay {}, "
          "corrupt {}, reset {}",
          plan.weather.delay_least, plan.weather.delay_most, plan.weather.tail_rate,
          plan.weather.loss_rate, plan.weather.duplicate_rate, plan.weather.replay_rate,
          plan.weather.corrupt_rate, plan.weather.reset_rate);
  for (const StrikeRecord& strike : report.struck) {
    text += fmt::format("\n  {:.6f} s: {}, node {}", static_cast<double>(strike.at) / net::kSecond,
                        strike.what, strike.node);
  }
  return text + fmt::format("\n  after {} runs; trace {:016x}", runs, report.trace_hash);
}

Shrunk shrink(const RunPlan& plan, const RunReport& report) { return Shrinker(plan, report).run(); }

}  // namespace lignum::jepsen
