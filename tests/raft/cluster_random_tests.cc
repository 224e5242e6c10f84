// Random lives of a cluster of bare cores (model_cluster.h judges), then a quiet time in which it
// has to agree. LIGNUM_PROOF=full runs many more seeds; LIGNUM_SEED=n runs that one alone.

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "raft/options.h"
#include "raft/random.h"
#include "raft/types.h"
#include "tests/raft/model_cluster.h"

namespace lignum::raft {
namespace {

using testing::ModelCluster;

Options draw_options(Random& random) {
  Options options;
  options.election_ticks = static_cast<Ticks>(3 + random.below(8));
  options.heartbeat_ticks = 1;
  options.check_quorum = options.pre_vote = random.chance(3, 4);
  options.append_bytes_max = random.chance(1, 2) ? 1 : 2000;
  options.inflight_messages_max = 1 + random.below(4);
  options.inflight_bytes_max = random.chance(1, 2) ? 1 : 4000;
  options.uncommitted_bytes_max = 4000;
  options.promotion_lag_max = random.below(20);
  return options;
}

ModelCluster make_cluster(std::uint64_t seed) {
  Random random(seed, "swarm");
  std::vector<ReplicaId> voters;
  const std::uint64_t count = 1 + random.below(5);
  for (std::uint32_t node = 0; node < count; ++node) voters.push_back(testing::replica(node));
  return {seed, voters, draw_options(random)};
}

struct Seeds {
  std::uint64_t first = 1;
  std::uint64_t last = 300;
};

Seeds seeds() {
  if (const char* one = std::getenv("LIGNUM_SEED")) {
    const std::uint64_t seed = std::stoull(one);
    return {.first = seed, .last = seed};
  }
  const char* proof = std::getenv("LIGNUM_PROOF");
  if (proof != nullptr && std::string_view(proof) == "full") return {.first = 1, .last = 50'000};
  return {};
}

constexpr int kSteps = 3000;

TEST(Cluster, IsSafeUnderAnyOrderOfEventsAndAgreesInTheEnd) {
  std::size_t committed = 0;
  std::size_t memberships = 0;
  std::size_t snapshots = 0;
  std::size_t reads = 0;
  std::size_t leaderships = 0;
  const auto [first, last] = seeds();
  for (std::uint64_t seed = first; seed <= last; ++seed) {
    SCOPED_TRACE(seed);
    ModelCluster cluster = make_cluster(seed);
    for (int step = 0; step < kSteps && !HasFailure(); ++step) cluster.act();
    ASSERT_FALSE(HasFailure()) << "seed " << seed;
    ASSERT_TRUE(cluster.heal(400)) << "seed " << seed << ": no agreement after healing\n"
                                   << cluster.describe();
    ASSERT_FALSE(HasFailure()) << "seed " << seed;
    committed += cluster.committed();
    memberships += cluster.memberships();
    snapshots += cluster.snapshots();
    reads += cluster.reads();
    leaderships += cluster.leaderships();
  }
  RecordProperty("committed", std::to_string(committed));
  RecordProperty("memberships", std::to_string(memberships));
  if (first == last) return;
  // The lives are worth something.
  const std::uint64_t count = last - first + 1;
  EXPECT_GT(committed / count, 30U);
  EXPECT_GT(memberships / count, 0U);
  EXPECT_GT(snapshots, count / 4);
  EXPECT_GT(reads / count, 1U);
  EXPECT_GT(leaderships / count, 2U);
}

TEST(Cluster, IsDeterministic) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    ModelCluster first = make_cluster(seed);
    ModelCluster second = make_cluster(seed);
    for (int step = 0; step < kSteps; ++step) {
      first.act();
      second.act();
    }
    EXPECT_EQ(first.trace(), second.trace());
    EXPECT_EQ(first.committed(), second.committed());
  }
}

}  // namespace
}  // namespace lignum::raft
