#include "jepsen/seed_report.h"

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include "jepsen/sim/run.h"
#include "jepsen/sim/workload.h"
#include "jepsen/sim/world.h"

namespace lignum::jepsen {

namespace {

void print_counts(const WorkloadCounts& counts, std::uint64_t snapshots) {
  fmt::print(
      "  acked appends {}, records {}, unknown {}, refused {}, mismatches {}, reads {}, "
      "tailed records {}, clients killed {}, snapshots sent {}\n",
      counts.acked, counts.records, counts.unknown, counts.failed, counts.mismatches, counts.reads,
      counts.tailed, counts.killed, snapshots);
}

template <class Counts>
void print_by_name(const char* title, const Counts& counts) {
  fmt::print("  {}:", title);
  std::string_view between = " ";
  for (const auto& [name, count] : counts) {
    fmt::print("{}{} {}", std::exchange(between, ", "), name, count);
  }
  fmt::print("{}\n", counts.empty() ? " none" : "");
}

}  // namespace

Verdict FarmReport::worst() const {
  for (const Verdict verdict : {Verdict::kSafety, Verdict::kCrash, Verdict::kLiveness}) {
    if (std::ranges::find(failed, verdict, &FailedSeed::verdict) != failed.end()) return verdict;
  }
  return Verdict::kClean;
}

void print_report(const RunReport& report) {
  fmt::print("  {}{}{}\n", verdict_name(report.verdict), report.what.empty() ? "" : ": ",
             report.what);
  fmt::print("  simulated {:.3f} s in {} events, trace {:016x}\n",
             static_cast<double>(report.simulated) / 1e6, report.steps, report.trace_hash);
  print_counts(report.counts, report.snapshots);
  print_by_name("faults", report.faults);
  print_by_name("rare paths", report.rare);
}

void print_summary(const FarmReport& report) {
  const double simulated = static_cast<double>(report.simulated) / 1e6;
  fmt::print("{} seeds, {} failed, {:.0f} s simulated in {:.1f} s by {} processes: ", report.seeds,
             report.failed.size(), simulated, report.seconds, report.jobs);
  fmt::print("{:.0f} simulated seconds a second and process, {:.0f} a second of a processor\n",
             simulated / report.seconds / report.jobs, simulated / report.processor_seconds);
  fmt::print("  {} of the seeds with a crash or a partition, {} appends acknowledged in those\n",
             report.shaken_seeds, report.acked_in_shaken);
  fmt::print("  {} events, traces {:016x}\n", report.steps, report.hash);
  print_counts(report.counts, report.snapshots);
  print_by_name("faults", report.faults);
  print_by_name("rare paths", report.rare);
}

}  // namespace lignum::jepsen
