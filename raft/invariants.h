#pragma once

// Truths about a core: those that hold between any two calls, and those that hold from one call to
// the next. CHECKed after every input; they cost a few comparisons, so they stay on in release
// builds. What holds between replicas is checked by the simulator (jepsen/sim).

#include <cstdint>
#include <optional>

#include "raft/core.h"
#include "raft/types.h"

namespace lignum::raft {

// What an input may only move forward.
struct Observation {
  Role role = Role::kFollower;
  Term term;
  std::optional<ReplicaId> vote;
  LogId last;
  Index commit;
  std::optional<Index> leadership_start;
  std::uint64_t recovery = 0;
};

[[nodiscard]] Observation observe(const Core& core);

// CHECKs `core` as it is now, and against what it was before the last input.
void check_invariants(const Observation& before, const Core& core);

}  // namespace lignum::raft
