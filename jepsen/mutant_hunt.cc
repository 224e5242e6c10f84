#include "jepsen/mutant_hunt.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include <fmt/format.h>
#include "jepsen/seed_farm.h"
#include "jepsen/seed_report.h"
#include "jepsen/sim/world.h"
#include "raft/mutant_list.h"

namespace lignum::jepsen {

namespace {

constexpr std::size_t kWhatColumns = 90;

// Without the time, which comes first: "at 1.5 s: ".
std::string told_by(const FailedSeed& failed) {
  std::string what = failed.what;
  const std::size_t time = what.find(" s: ");
  if (what.starts_with("at ") && time != std::string::npos) what.erase(0, time + 4);
  if (what.size() > kWhatColumns) what.resize(kWhatColumns);
  return fmt::format("{}: {}", verdict_name(failed.verdict), what);
}

}  // namespace

int hunt_mutants(const std::vector<std::uint64_t>& seeds, unsigned jobs, double seconds_each) {
  std::size_t shown = 0;
  std::size_t survived = 0;
  std::size_t used = 0;
  fmt::print("{:<33} {:>7} {:>6} {:>8}  {}\n", "bug", "seeds", "s", "at seed", "noticed by");
  for (const MutantLine& line : kMutantList) {
    const FarmReport report = run_seeds(seeds, {.jobs = jobs,
                                                .mutant = line.mutant,
                                                .stop_at_failure = true,
                                                .seconds_max = seconds_each,
                                                .quiet = true});
    if (report.failed.empty()) {
      fmt::print("{:<33} {:>7} {:>6.1f} {:>8}  SURVIVES; expected: {}\n", line.name, report.seeds,
                 report.seconds, "", line.killer);
      ++survived;
    } else {
      fmt::print("{:<33} {:>7} {:>6.1f} {:>8}  {}\n", line.name, report.seeds, report.seconds,
                 report.failed.front().seed, told_by(report.failed.front()));
      ++shown;
      used = std::max(used, static_cast<std::size_t>(report.seeds));
    }
    std::fflush(stdout);
  }
  const std::vector<std::uint64_t> same(seeds.begin(),
                                        seeds.begin() + static_cast<std::ptrdiff_t>(used));
  const FarmReport control = run_seeds(same, {.jobs = jobs});
  fmt::print("{} of {} bugs shown, {} survive; without a bug {} of {} seeds fail\n", shown,
             kMutantList.size(), survived, control.failed.size(), control.seeds);
  return static_cast<int>(survived > 0 ? Verdict::kSafety : control.worst());
}

}  // namespace lignum::jepsen
