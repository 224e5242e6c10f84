#pragma once

// The shapes in which a network falls apart.

#include <cstdint>
#include <string_view>
#include <vector>

#include "jepsen/sim/sim_network.h"
#include "raft/random.h"

namespace lignum::jepsen {

struct CutLink {
  HostNumber from = 0;
  HostNumber to = 0;
  friend bool operator==(const CutLink&, const CutLink&) = default;
};

enum class PartitionShape : std::uint8_t {
  kOne,             // one node alone, both ways
  kDeaf,            // one node hears nothing, and is heard
  kMute,            // one node is heard by nobody, and hears
  kHalves,          // two sides; one has a majority
  kMajoritiesRing,  // every node sees a majority, no two the same one
  kBridge,          // two sides that meet in one node only
  kClients,         // one node is cut off from the clients
  kOneWay,          // a random set of directed links
};
inline constexpr std::uint64_t kPartitionShapes = 8;

[[nodiscard]] std::string_view partition_name(PartitionShape shape);

// Nodes are hosts 0 .. nodes - 1, clients nodes .. hosts - 1. `node` is the one the shape turns
// around. Clients of a node that is alone (kOne) are cut off from it, or not, by chance.
[[nodiscard]] std::vector<CutLink> make_partition(PartitionShape shape, Random& random,
                                                  HostNumber node, HostNumber nodes,
                                                  HostNumber hosts);
// Any shape.
[[nodiscard]] std::vector<CutLink> draw_partition(Random& random, HostNumber node, HostNumber nodes,
                                                  HostNumber hosts);

}  // namespace lignum::jepsen
