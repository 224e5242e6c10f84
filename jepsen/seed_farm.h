#pragma once

// Many simulated runs in a few processes.
//
// Each worker is a fork of this process and takes every n-th seed, so that a CHECK or a signal in
// a run costs only that worker: the seed counts as crashed and another worker goes on behind it.

#include <cstdint>
#include <vector>

#include "jepsen/seed_report.h"
#include "raft/mutant.h"

namespace lignum::jepsen {

inline constexpr unsigned kJobsMax = 64;
inline constexpr std::uint64_t kSeedsMax = 10'000'000;

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

// Shows a line of progress on a terminal, and prints every seed that fails.
[[nodiscard]] FarmReport run_seeds(const std::vector<std::uint64_t>& seeds,
                                   const FarmOptions& options);

}  // namespace lignum::jepsen
