#pragma once

// Everything that a seed decides before a simulated run begins.

#include <cstddef>
#include <cstdint>
#include <string>

#include "jepsen/sim/faults.h"
#include "jepsen/sim/link.h"
#include "jepsen/sim/rare_paths.h"
#include "jepsen/sim/sim_node.h"
#include "jepsen/sim/workload.h"
#include "net/moment.h"

namespace lignum::jepsen {

struct RunPlan {
  std::uint64_t seed = 0;
  std::uint32_t nodes = 1;
  NodePlan node;
  WorkloadPlan workload;
  FaultPlan faults;
  // Of every link while things go wrong.
  LinkWeather weather;
  RareRates rare{};
  // How long things go wrong.
  Moment fire = 60 * net::kSecond;
  // Afterwards everything is healed, but for so many nodes, a minority, which stay down; within
  // this, every shard must take appends again.
  std::uint32_t held_down = 0;
  Moment calm_max = 60 * net::kSecond;

  // One line, for a person.
  [[nodiscard]] std::string describe() const;
};

// Swarm testing: each seed draws a cluster, limits, and a random subset of the faults with random
// rates, so that a fault that hides others is missing in half of all runs.
[[nodiscard]] RunPlan draw_plan(std::uint64_t seed);

}  // namespace lignum::jepsen
