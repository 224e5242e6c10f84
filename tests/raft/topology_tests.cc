// Every network of 3 replicas (64 directed ones) and of 5 (1,024 undirected ones).
//
// Progress is owed where some replica has links in both directions to a majority, itself included:
// then a leader commits within ten election timeouts, whoever led before. Elsewhere nothing is
// acknowledged. (A large service was down for six hours in 2020 for want of this: a leader that a
// majority could not hear was elected over and over.)
//
// With logs that differ, such a replica has to hold the longest log of a majority that it reaches:
// a shorter one cannot be elected by them. That is when progress is owed; nothing wrong may be
// committed in any case (the model cluster judges).

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "raft/options.h"
#include "raft/output.h"
#include "raft/types.h"
#include "tests/raft/model_cluster.h"

namespace lignum::raft {
namespace {

using testing::ModelCluster;

constexpr Ticks kElectionTicks = 10;
// Ten timeouts at their longest.
constexpr int kPatience = 10 * 2 * static_cast<int>(kElectionTicks);
constexpr int kRounds = 6;

// links[a][b]: a's messages reach b.
using Links = std::vector<std::vector<bool>>;

Links directed(std::size_t size, std::uint32_t bits) {
  Links links(size, std::vector<bool>(size, false));
  for (std::size_t a = 0; a < size; ++a) {
    for (std::size_t b = 0; b < size; ++b) {
      if (a == b) continue;
      links[a][b] = (bits & 1U) != 0;
      bits >>= 1U;
    }
  }
  return links;
}

Links undirected(std::size_t size, std::uint32_t bits) {
  Links links(size, std::vector<bool>(size, false));
  for (std::size_t a = 0; a < size; ++a) {
    for (std::size_t b = a + 1; b < size; ++b) {
      links[a][b] = links[b][a] = (bits & 1U) != 0;
      bits >>= 1U;
    }
  }
  return links;
}

ReplicaId replica(std::size_t number) {
  return testing::replica(static_cast<std::uint32_t>(number));
}

std::vector<ReplicaId> replicas(std::size_t size) {
  std::vector<ReplicaId> ids;
  for (std::size_t i = 0; i < size; ++i) ids.push_back(replica(i));
  return ids;
}

void impose(ModelCluster& cluster, const Links& links) {
  cluster.connect([links](const ReplicaId& from, const ReplicaId& to) {
    return links[from.node.value()][to.node.value()];
  });
}

// Some replica reaches, both ways, a majority of replicas whose logs are not longer than its own.
bool owes_progress(ModelCluster& cluster, const Links& links) {
  const std::size_t size = links.size();
  for (std::size_t a = 0; a < size; ++a) {
    const LogId own = cluster.core(replica(a)).last();
    std::size_t reached = 1;
    for (std::size_t b = 0; b < size; ++b) {
      if (a == b || !links[a][b] || !links[b][a]) continue;
      if (cluster.core(replica(b)).last() <= own) ++reached;
    }
    if (reached >= size / 2 + 1) return true;
  }
  return false;
}

bool reaches_a_majority(const Links& links, std::size_t from) {
  std::size_t reached = 1;
  for (std::size_t to = 0; to < links.size(); ++to) {
    if (from != to && links[from][to] && links[to][from]) ++reached;
  }
  return reached >= links.size() / 2 + 1;
}

bool someone_reaches_a_majority(const Links& links) {
  for (std::size_t from = 0; from < links.size(); ++from) {
    if (reaches_a_majority(links, from)) return true;
  }
  return false;
}

// Leaders are given entries. True once something new is committed. Where somebody reaches a
// majority, a leader that does not is given none: an old leader's entries that reach only part of a
// majority make the logs unequal, and may leave nobody who can be elected.
bool commits_something(ModelCluster& cluster, const Links& links) {
  const std::size_t before = cluster.committed();
  const bool everybody = !someone_reaches_a_majority(links);
  for (int tick = 0; tick < kPatience; ++tick) {
    for (std::size_t i = 0; i < links.size(); ++i) {
      if (cluster.core(replica(i)).role() != Role::kLeader) continue;
      if (everybody || reaches_a_majority(links, i)) cluster.propose_on(replica(i));
    }
    cluster.pass_tick(kRounds);
    if (cluster.committed() > before) return true;
  }
  return false;
}

void run_with_equal_logs(const Links& links, std::uint64_t seed) {
  const std::size_t size = links.size();
  // Whoever leads, the outcome has to be the same.
  for (std::size_t leader = 0; leader < size; ++leader) {
    ModelCluster cluster(seed, replicas(size), {.election_ticks = kElectionTicks});
    cluster.core(replica(leader)).campaign();
    ASSERT_TRUE(cluster.heal(kPatience));
    ASSERT_EQ(cluster.leader(), replica(leader));
    impose(cluster, links);
    EXPECT_EQ(commits_something(cluster, links), someone_reaches_a_majority(links))
        << "led by " << leader << "\n"
        << cluster.describe();
  }
}

void run_with_unequal_logs(const Links& links, std::uint64_t seed) {
  const std::size_t size = links.size();
  ModelCluster cluster(seed, replicas(size), {.election_ticks = kElectionTicks});
  for (int step = 0; step < 400; ++step) cluster.act(ModelCluster::Scope::kFixedMembers);
  cluster.connect([](const ReplicaId&, const ReplicaId&) { return false; });
  cluster.settle(kRounds);
  impose(cluster, links);
  const bool owed = owes_progress(cluster, links);
  const bool committed = commits_something(cluster, links);
  if (owed) EXPECT_TRUE(committed) << cluster.describe();
  if (committed) EXPECT_TRUE(someone_reaches_a_majority(links));
}

TEST(Topology, EveryDirectedNetworkOfThreeWithEqualLogs) {
  for (std::uint32_t bits = 0; bits < 64; ++bits) {
    SCOPED_TRACE(bits);
    run_with_equal_logs(directed(3, bits), bits + 1);
    if (HasFailure()) return;
  }
}

TEST(Topology, EveryUndirectedNetworkOfFiveWithEqualLogs) {
  for (std::uint32_t bits = 0; bits < 1024; ++bits) {
    SCOPED_TRACE(bits);
    run_with_equal_logs(undirected(5, bits), bits + 1);
    if (HasFailure()) return;
  }
}

TEST(Topology, EveryDirectedNetworkOfThreeWithUnequalLogs) {
  for (std::uint32_t bits = 0; bits < 64; ++bits) {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
      SCOPED_TRACE(std::uint64_t{bits} * 1000 + seed);
      run_with_unequal_logs(directed(3, bits), seed);
      if (HasFailure()) return;
    }
  }
}

TEST(Topology, EveryUndirectedNetworkOfFiveWithUnequalLogs) {
  for (std::uint32_t bits = 0; bits < 1024; ++bits) {
    for (std::uint64_t seed = 1; seed <= 3; ++seed) {
      SCOPED_TRACE(std::uint64_t{bits} * 1000 + seed);
      run_with_unequal_logs(undirected(5, bits), seed);
      if (HasFailure()) return;
    }
  }
}

}  // namespace
}  // namespace lignum::raft
