#pragma once

// From a seed that fails to the little of it that is needed to fail.
//
// Leaves out faults, weather, users and time as long as the run still ends with the same verdict.
// Every attempt is a whole run; what is left is found by halving (delta debugging, Zeller 2002), so
// the answer cannot be made smaller by leaving out any single strike.

#include <cstdint>
#include <string>

#include "jepsen/sim/run.h"
#include "jepsen/sim/run_plan.h"

namespace lignum::jepsen {

struct Shrunk {
  RunPlan plan;
  RunReport report;
  std::uint64_t runs = 0;

  // The plan, and a line for each strike.
  [[nodiscard]] std::string describe() const;
};

// `report` is what run_plan(plan) gave, with a verdict that is not clean.
[[nodiscard]] Shrunk shrink(const RunPlan& plan, const RunReport& report);

}  // namespace lignum::jepsen
