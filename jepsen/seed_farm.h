#pragma once

// Many simulated runs in a few processes.
//
// Each worker is a fork of this process and takes every n-th seed, so that a CHECK or a signal in
// a run costs only that worker: the seed counts as crashed and another worker goes on behind it.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "jepsen/sim/run.h"
#include "jepsen/sim/world.h"
#include "raft/mutant.h"

namespace lignum::jepsen {

inline constexpr unsigned kJobsMax = 64;
inline constexpr std::uint64_t kSeedsMax = 10'000'000;

// A run that did not end clean.
struct FailedSeed {
  std::uint64_t seed = 0;
  Verdict verdict = Verdict::kSafety;
  std::string what;
};

struct FarmOptions {
  unsigned jobs = 1;
  // Of a build with bugs on purpose: the one that every run has.
  Mutant mutant = Mutant::kNone;
  // No further runs after the first that does not end clean.
  bool stop_at_failure = false;
  // No further runs after so many seconds; 0: as long as it takes.
  double seconds_max = 0;
  // Failing seeds are not printed.
  bool quiet = false;
};

struct FarmReport {
  std::uint64_t seeds = 0;
  std::vector<FailedSeed> failed;
  Moment simulated = 0;
  std::uint64_t steps = 0;
  WorkloadCounts counts;
  std::uint64_t snapshots = 0;
  std::map<std::string, std::uint64_t> faults;
  // Rare paths that were taken on purpose (raft/buggify.h), by name.
  std::map<std::string, std::uint64_t> rare;
  // Of all seeds in their order: what two runs of the same seeds must agree on.
  std::uint64_t hash = 0;
  double seconds = 0;
  unsigned jobs = 1;

  // Safety before crash before liveness.
  [[nodiscard]] Verdict worst() const;
};

// Shows a line of progress on a terminal, and prints every seed that fails.
[[nodiscard]] FarmReport run_seeds(const std::vector<std::uint64_t>& seeds,
                                   const FarmOptions& options);

void print_report(const RunReport& report);
void print_summary(const FarmReport& report);

}  // namespace lignum::jepsen
