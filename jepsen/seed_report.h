#pragma once

// What came of simulated runs: the sum over many, and how one or all are told to a person.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "jepsen/sim/run.h"
#include "jepsen/sim/workload.h"
#include "jepsen/sim/world.h"

namespace lignum::jepsen {

// A run that did not end clean.
struct FailedSeed {
  std::uint64_t seed = 0;
  Verdict verdict = Verdict::kSafety;
  std::string what;
};

struct FarmReport {
  std::uint64_t seeds = 0;
  std::vector<FailedSeed> failed;
  Moment simulated = 0;
  std::uint64_t steps = 0;
  WorkloadCounts counts;
  // Seeds in which at least one node crashed or was cut off while there was load, and what was
  // acknowledged in those.
  std::uint64_t shaken_seeds = 0;
  std::uint64_t acked_in_shaken = 0;
  std::uint64_t snapshots = 0;
  std::map<std::string, std::uint64_t> faults;
  // Rare paths that were taken on purpose (raft/buggify.h), by name.
  std::map<std::string, std::uint64_t> rare;
  // Of all seeds in their order: what two runs of the same seeds must agree on.
  std::uint64_t hash = 0;
  double seconds = 0;
  // Of all processors together.
  double processor_seconds = 0;
  unsigned jobs = 1;

  // Safety before crash before liveness.
  [[nodiscard]] Verdict worst() const;
};

void print_report(const RunReport& report);
void print_summary(const FarmReport& report);

}  // namespace lignum::jepsen
