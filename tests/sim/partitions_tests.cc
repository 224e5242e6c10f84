#include "jepsen/sim/partitions.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <set>
#include <vector>

#include "jepsen/sim/sim_network.h"
#include "raft/random.h"

namespace lignum::jepsen {
namespace {

bool cut(const std::vector<CutLink>& cuts, HostNumber from, HostNumber to) {
  return std::ranges::find(cuts, CutLink{.from = from, .to = to}) != cuts.end();
}

// The nodes with which a node talks both ways, itself included.
std::set<HostNumber> seen_by(const std::vector<CutLink>& cuts, HostNumber node, HostNumber nodes) {
  std::set<HostNumber> seen{node};
  for (HostNumber other = 0; other < nodes; ++other) {
    if (other != node && !cut(cuts, node, other) && !cut(cuts, other, node)) seen.insert(other);
  }
  return seen;
}

TEST(Partitions, InAMajoritiesRingEachSeesAMajorityAndNoTwoTheSame) {
  for (const HostNumber nodes : {4U, 5U, 7U}) {
    Random random(nodes);
    const auto cuts = make_partition(PartitionShape::kMajoritiesRing, random, 0, nodes, nodes);
    std::set<std::set<HostNumber>> views;
    for (HostNumber node = 0; node < nodes; ++node) {
      const auto seen = seen_by(cuts, node, nodes);
      EXPECT_GT(2 * seen.size(), nodes);
      EXPECT_LT(seen.size(), nodes);
      views.insert(seen);
    }
    EXPECT_EQ(views.size(), nodes);
  }
}

TEST(Partitions, ABridgeMeetsBothSidesWhichDoNotMeet) {
  Random random(1);
  const auto cuts = make_partition(PartitionShape::kBridge, random, 3, 5, 5);
  EXPECT_EQ(seen_by(cuts, 3, 5).size(), 5U);
  for (const HostNumber node : {0U, 1U, 2U, 4U}) EXPECT_EQ(seen_by(cuts, node, 5).size(), 3U);
}

TEST(Partitions, OneAloneHearsAndIsHeardAsItsShapeSays) {
  Random random(1);
  const auto deaf = make_partition(PartitionShape::kDeaf, random, 1, 3, 3);
  EXPECT_TRUE(cut(deaf, 0, 1) && cut(deaf, 2, 1));
  EXPECT_FALSE(cut(deaf, 1, 0) || cut(deaf, 1, 2) || cut(deaf, 0, 2));
  const auto mute = make_partition(PartitionShape::kMute, random, 1, 3, 3);
  EXPECT_TRUE(cut(mute, 1, 0) && cut(mute, 1, 2));
  EXPECT_FALSE(cut(mute, 0, 1) || cut(mute, 2, 1));
  const auto clients = make_partition(PartitionShape::kClients, random, 1, 3, 5);
  EXPECT_TRUE(cut(clients, 1, 3) && cut(clients, 4, 1));
  EXPECT_EQ(seen_by(clients, 1, 3).size(), 3U);
}

TEST(Partitions, HalvesLeaveAMajorityOnOneSide) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    Random random(seed);
    const auto cuts = make_partition(PartitionShape::kHalves, random, 2, 5, 5);
    std::size_t largest = 0;
    for (HostNumber node = 0; node < 5; ++node) {
      largest = std::max(largest, seen_by(cuts, node, 5).size());
    }
    EXPECT_EQ(largest, 3U);
  }
}

}  // namespace
}  // namespace lignum::jepsen
