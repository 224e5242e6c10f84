#pragma once

#include <cstdint>
#include <optional>

#include "raft/types.h"

namespace lignum::raft {

// What a replica must never forget (Raft thesis, figure 3.1). One record.
struct HardState {
  Term term;
  std::optional<ReplicaId> vote;
  // The newest recovery from a lost quorum (recovery.h) that this replica has heard of; not below
  // that of its configuration. What is said from before it counts nothing, for ever.
  std::uint64_t recovery = 0;
  friend bool operator==(const HardState&, const HardState&) = default;
};

}  // namespace lignum::raft
