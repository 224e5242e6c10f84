#pragma once

// One recorded (state, message) -> (state, reply): puts a core into the state, steps the message,
// says what differs. One thread.

#include <string>

#include "tests/conformance/golden.h"

namespace lignum::conformance {

struct StepOutcome {
  // Why the state could not be made or the vector does not apply; else empty.
  std::string skipped;
  // What differs; empty where all is equal.
  std::string difference;
};

StepOutcome run_step(const GoldenStep& step);

}  // namespace lignum::conformance
