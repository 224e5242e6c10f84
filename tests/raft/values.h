#pragma once

// Short spellings of the core's values, for tests.

#include <cstdint>
#include <initializer_list>
#include <vector>

#include "raft/types.h"

namespace lignum::raft {

[[nodiscard]] constexpr ReplicaId member(std::uint32_t node, std::uint64_t incarnation = 1) {
  return {.node = NodeId(node), .incarnation = NodeIncarnation(incarnation)};
}

[[nodiscard]] inline std::vector<ReplicaId> members_of(std::initializer_list<std::uint32_t> nodes) {
  std::vector<ReplicaId> replicas;
  for (const std::uint32_t node : nodes) replicas.push_back(member(node));
  return replicas;
}

[[nodiscard]] constexpr LogId log_id(std::uint64_t term, std::uint64_t index) {
  return {.term = Term(term), .index = Index(index)};
}

}  // namespace lignum::raft
