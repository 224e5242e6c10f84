#pragma once

#include <optional>

#include "raft/types.h"

namespace lignum::raft {

// What a replica must never forget (Raft thesis, figure 3.1). Term and vote are one record.
struct HardState {
  Term term;
  std::optional<ReplicaId> vote;
  friend bool operator==(const HardState&, const HardState&) = default;
};

}  // namespace lignum::raft
