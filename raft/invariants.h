#pragma once

// Truths about a core that hold between any two calls; CHECKed after each of them. They cost a few
// comparisons, so they stay on in release builds.

#include "raft/core.h"

namespace lignum::raft {

void check_invariants(const Core& core);

}  // namespace lignum::raft
