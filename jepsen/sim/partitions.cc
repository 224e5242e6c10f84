#include "jepsen/sim/partitions.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <numeric>
#include <string_view>
#include <utility>
#include <vector>

#include "jepsen/sim/sim_network.h"
#include "raft/random.h"

namespace lignum::jepsen {

namespace {

// The nodes in a random order, `first` in front.
std::vector<HostNumber> shuffled(Random& random, HostNumber first, HostNumber nodes) {
  std::vector<HostNumber> order(nodes);
  std::iota(order.begin(), order.end(), HostNumber{0});
  for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random.below(i)]);
  std::iter_swap(order.begin(), std::ranges::find(order, first));
  return order;
}

void cut_both(std::vector<CutLink>& cuts, HostNumber a, HostNumber b) {
  cuts.push_back({.from = a, .to = b});
  cuts.push_back({.from = b, .to = a});
}

std::vector<CutLink> cut_alone(PartitionShape shape, HostNumber node, HostNumber from,
                               HostNumber until) {
  std::vector<CutLink> cuts;
  for (HostNumber other = from; other < until; ++other) {
    if (other == node) continue;
    if (shape != PartitionShape::kMute) cuts.push_back({.from = other, .to = node});
    if (shape != PartitionShape::kDeaf) cuts.push_back({.from = node, .to = other});
  }
  return cuts;
}

// Around a ring, a node sees those within a quarter of it on either side: a majority with itself.
std::vector<CutLink> cut_ring(const std::vector<HostNumber>& order) {
  std::vector<CutLink> cuts;
  const std::size_t count = order.size();
  const std::size_t reach = (count / 2 + 1) / 2;
  for (std::size_t a = 0; a < count; ++a) {
    for (std::size_t b = a + 1; b < count; ++b) {
      const std::size_t distance = std::min(b - a, count - (b - a));
      if (distance > reach) cut_both(cuts, order[a], order[b]);
    }
  }
  return cuts;
}

std::vector<CutLink> cut_sides(const std::vector<HostNumber>& order, std::size_t bridges) {
  std::vector<CutLink> cuts;
  const std::size_t middle = bridges + (order.size() - bridges) / 2;
  for (std::size_t a = bridges; a < middle; ++a) {
    for (std::size_t b = middle; b < order.size(); ++b) cut_both(cuts, order[a], order[b]);
  }
  return cuts;
}

}  // namespace

std::string_view partition_name(PartitionShape shape) {
  constexpr std::array<std::string_view, kPartitionShapes> kNames = {
      "one", "deaf", "mute", "halves", "majorities-ring", "bridge", "clients", "one-way"};
  return kNames.at(static_cast<std::size_t>(shape));
}

std::vector<CutLink> make_partition(PartitionShape shape, Random& random, HostNumber node,
                                    HostNumber nodes, HostNumber hosts) {
  switch (shape) {
    case PartitionShape::kOne:
    case PartitionShape::kDeaf:
    case PartitionShape::kMute:
      return cut_alone(shape, node, 0, random.chance(1, 2) ? hosts : nodes);
    case PartitionShape::kClients:
      return cut_alone(PartitionShape::kOne, node, nodes, hosts);
    case PartitionShape::kMajoritiesRing:
      return cut_ring(shuffled(random, node, nodes));
    case PartitionShape::kHalves:
      return cut_sides(shuffled(random, node, nodes), 0);
    case PartitionShape::kBridge:
      return cut_sides(shuffled(random, node, nodes), 1);
    case PartitionShape::kOneWay:
      break;
  }
  std::vector<CutLink> cuts;
  for (HostNumber from = 0; from < nodes; ++from) {
    for (HostNumber to = 0; to < nodes; ++to) {
      if (from != to && random.chance(1, 3)) cuts.push_back({.from = from, .to = to});
    }
  }
  return cuts;
}

std::vector<CutLink> draw_partition(Random& random, HostNumber node, HostNumber nodes,
                                    HostNumber hosts) {
  // A single node can only lose its clients.
  const auto shape = nodes == 1
                         ? (random.chance(1, 2) ? PartitionShape::kOne : PartitionShape::kClients)
                         : static_cast<PartitionShape>(random.below(kPartitionShapes));
  return make_partition(shape, random, node, nodes, hosts);
}

}  // namespace lignum::jepsen
