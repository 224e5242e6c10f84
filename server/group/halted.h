#pragma once

// What is said of a replica that stopped for damage, in one place: whoever is refused for it learns
// which one it is, why, and what to do.

#include <string>

#include "raft/error.h"
#include "raft/types.h"

namespace lignum::server {

struct HaltedReplica {
  NodeId node;
  GroupId group;
  std::string damage;
  // Nobody else belongs to the group.
  bool alone = true;
  // What was applied before can still be read; not where the log could not even be opened.
  bool readable = false;
};

// kHalted, or kNotLeader where another replica can take its place.
[[nodiscard]] Error halted_error(const HaltedReplica& replica);

}  // namespace lignum::server
