#pragma once

// One simulated run: a seed in, a report out.
//
//     setup --> fire (faults, load) --> calm (all healed, every shard must take appends again)
//           --> audit (power cut everywhere, logs read from disk)
//
// The checks of safety watch every step; a breach ends the run. Deterministic: equal plans give
// equal reports, trace hash included.

#include <cstdint>
#include <cstdio>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "jepsen/sim/faults.h"
#include "jepsen/sim/run_plan.h"
#include "jepsen/sim/workload.h"
#include "jepsen/sim/world.h"

namespace lignum::jepsen {

struct RunReport {
  std::uint64_t seed = 0;
  Verdict verdict = Verdict::kClean;
  // Of a breach: one sentence, with the simulated time.
  std::string what;
  std::uint64_t trace_hash = 0;
  Moment simulated = 0;
  std::uint64_t steps = 0;
  WorkloadCounts counts;
  // Sent by a leader and installed by a follower.
  std::uint64_t snapshots = 0;
  // By kind.
  std::map<std::string_view, std::uint64_t> faults;
  // Points of raft/buggify.h that fired, by name.
  std::map<std::string_view, std::uint64_t> rare;
  // Faults that struck, in their order.
  std::vector<StrikeRecord> struck;
  // When it was broken off; the end of a clean run.
  Moment ended = 0;
};

// `story` gets the trace; null: nobody reads it.
[[nodiscard]] RunReport run_plan(const RunPlan& plan, std::FILE* story);

}  // namespace lignum::jepsen
