#pragma once

// Who leads a group, as its replica here last heard: for answers that are made on other lanes.
//
// Written by the group's lane, read by any thread. A hint: it may be old, never torn.

#include <atomic>
#include <cstdint>
#include <optional>

#include "raft/types.h"

namespace lignum::server {

class LeaderHint {
 public:
  void set(const std::optional<ReplicaId>& leader) {
    packed_ = leader ? kKnown | leader->node.value() : 0;
  }
  [[nodiscard]] std::optional<NodeId> get() const {
    const std::uint64_t packed = packed_;
    if ((packed & kKnown) == 0) return std::nullopt;
    return NodeId(static_cast<std::uint32_t>(packed));
  }

 private:
  static constexpr std::uint64_t kKnown = std::uint64_t{1} << 32;
  std::atomic<std::uint64_t> packed_ = 0;
};

}  // namespace lignum::server
