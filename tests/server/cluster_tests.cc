// Groups of three voters over whole nodes: who leads, what is acked, what every replica holds.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "jepsen/sim/sim_disk.h"
#include "net/peer_message.h"
#include "net/proto/client.pb.h"
#include "raft/error.h"
#include "raft/output.h"
#include "raft/payload.h"
#include "raft/types.h"
#include "server/group/replica.h"
#include "server/service/call.h"
#include "storage/memory_state_store.h"
#include "tests/server/batches.h"
#include "tests/server/sim_cluster.h"
#include "tests/server/sim_node.h"

namespace lignum::server {
namespace {

using testing::append_request;
using testing::code_of;
using testing::create_request;
using ::testing::HasSubstr;
using testing::make_batch;
using testing::Pending;
using testing::read_request;
using testing::SimCluster;

constexpr GroupId kData{1};

class ClusterTest : public ::testing::Test {
 protected:
  // Everything up, a leader in each group, and a stream whose shards are open.
  void serve() {
    ASSERT_TRUE(cluster.start_all());
    ASSERT_TRUE(elect());
    const auto created = cluster.call(*cluster.leader(kMetaGroup), create_request("app"));
    ASSERT_TRUE(created && created->response.has_create_stream()) << message_of(created);
    stream = created->response.create_stream().stream().id();
    ASSERT_TRUE(append(1));
  }
  bool elect() {
    return cluster.wait([&] {
      return cluster.leader(kMetaGroup).has_value() && cluster.leader(kData).has_value();
    });
  }
  static std::string message_of(const std::optional<Answer>& answer) {
    return answer ? answer->response.failure().message() : "no answer";
  }
  // Retries as a client would, until a leader took it.
  bool append(std::uint32_t records, std::uint32_t shard = 0) {
    for (int i = 0; i < 200; ++i) {
      const auto leader = cluster.leader(kData);
      if (leader) {
        const auto answer =
            cluster.call(*leader, append_request(stream, shard), make_batch(records, std::nullopt));
        if (answer && answer->response.has_append()) return true;
      }
      cluster.advance(50'000);
    }
    return false;
  }
  // The bytes of a shard as node `i` has applied them.
  std::vector<std::byte> bytes_of(std::size_t i, std::uint32_t shard = 0) {
    std::vector<std::byte> bytes;
    std::uint64_t from = 0;
    while (true) {
      const auto answer = cluster.call(i, read_request(stream, shard, from));
      if (!answer || !answer->response.has_read()) return bytes;
      for (const Payload& piece : answer->payload) {
        bytes.insert(bytes.end(), piece.bytes().begin(), piece.bytes().end());
      }
      from = answer->response.read().next_offset();
      if (from == answer->response.read().watermark()) return bytes;
    }
  }
  // All that are up have applied the same.
  bool settle() {
    return cluster.wait([&] {
      std::optional<Index> applied;
      for (std::size_t i = 0; i < cluster.size(); ++i) {
        if (!cluster.up(i)) continue;
        const ReplicaStatus status = cluster.status_of(i, kData);
        if (status.applied != status.commit || (applied && *applied != status.applied)) {
          return false;
        }
        applied = status.applied;
      }
      return true;
    });
  }
  void expect_same_bytes() {
    ASSERT_TRUE(settle());
    std::optional<std::vector<std::byte>> first;
    for (std::size_t i = 0; i < cluster.size(); ++i) {
      if (!cluster.up(i)) continue;
      EXPECT_EQ(cluster.status_of(i, kData).damage, "") << "node " << i + 1;
      const auto bytes = bytes_of(i);
      EXPECT_FALSE(bytes.empty()) << "node " << i + 1;
      if (!first) first = bytes;
      EXPECT_EQ(bytes, *first) << "node " << i + 1;
    }
  }

  SimCluster cluster{3, {.segment_bytes_min = 64 << 10, .segment_bytes_max = 256 << 10}};
  std::uint64_t stream = 0;
};

TEST_F(ClusterTest, OneLeaderIsElectedInEveryGroup) {
  ASSERT_TRUE(cluster.start_all());
  ASSERT_TRUE(elect());
  for (const GroupId group : {kMetaGroup, kData}) {
    int leaders = 0;
    for (std::size_t i = 0; i < 3; ++i) {
      leaders += cluster.status_of(i, group).role == raft::Role::kLeader ? 1 : 0;
    }
    EXPECT_EQ(leaders, 1);
  }
}

TEST_F(ClusterTest, WhatIsAppendedIsTheSameEverywhere) {
  serve();
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(append(3));
  expect_same_bytes();
}

TEST_F(ClusterTest, ANodeOnANewDiskSaysNothingForTheMemberThatItWas) {
  serve();
  const std::size_t wiped = (*cluster.leader(kData) + 1) % 3;
  const ReplicaId was = cluster.cell(wiped).self;
  cluster.kill(wiped);
  cluster.cell(wiped).disk = std::make_shared<jepsen::SimDisk>();
  cluster.cell(wiped).store = std::make_shared<storage::MemoryStateStore>();
  cluster.cell(wiped).self.incarnation = NodeIncarnation(200);
  std::size_t asked = 0;
  std::size_t said = 0;
  cluster.on_deliver([&](const net::PeerMessage& message) {
    asked += message.to() == was ? 1 : 0;
    said += message.from().node == was.node ? 1 : 0;
    return true;
  });
  ASSERT_TRUE(cluster.start(wiped));
  ASSERT_TRUE(append(1));
  // Nobody leads any more, and candidates ask for its vote.
  cluster.kill(*cluster.leader(kData));
  cluster.advance(10'000'000);
  EXPECT_FALSE(cluster.leader(kData));
  EXPECT_GT(asked, 0U);
  EXPECT_EQ(said, 0U);
}

TEST_F(ClusterTest, AFollowerSaysWhoLeads) {
  serve();
  const std::size_t leader = *cluster.leader(kData);
  const std::size_t follower = (leader + 1) % 3;
  const auto answer =
      cluster.call(follower, append_request(stream, 0), make_batch(1, std::nullopt));
  EXPECT_EQ(code_of(answer), Errc::kNotLeader);
  EXPECT_EQ(answer->response.failure().leader(), "sim:" + std::to_string(leader + 1));
}

TEST_F(ClusterTest, NothingIsAckedBeforeAMajorityHasFlushed) {
  serve();
  ASSERT_TRUE(settle());
  const std::size_t leader = *cluster.leader(kData);
  for (std::size_t i = 0; i < 3; ++i) cluster.node(i).world.hold_flushes(i != leader);
  const Pending pending =
      cluster.node(leader).send(append_request(stream, 0), make_batch(1, std::nullopt));
  cluster.advance(200'000);
  EXPECT_FALSE(pending->has_value());
  cluster.node((leader + 1) % 3).world.hold_flushes(false);
  cluster.advance(200'000);
  ASSERT_TRUE(pending->has_value());
  EXPECT_TRUE((*pending)->response.has_append());
}

TEST_F(ClusterTest, TheLeadersOwnDiskIsNotWaitedFor) {
  serve();
  ASSERT_TRUE(settle());
  const std::size_t leader = *cluster.leader(kData);
  cluster.node(leader).world.hold_flushes(true);
  const Pending pending =
      cluster.node(leader).send(append_request(stream, 0), make_batch(1, std::nullopt));
  cluster.advance(200'000);
  // Committed by the two others; but only what is durable here is applied here.
  EXPECT_FALSE(pending->has_value());
  EXPECT_GT(cluster.status_of(leader, kData).commit, cluster.status_of(leader, kData).durable);
  cluster.node(leader).world.hold_flushes(false);
  cluster.advance(200'000);
  EXPECT_TRUE(pending->has_value() && (*pending)->response.has_append());
}

TEST_F(ClusterTest, TheOthersGoOnWithoutTheLeader) {
  serve();
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(append(2));
  const std::size_t first = *cluster.leader(kData);
  cluster.kill(first);
  ASSERT_TRUE(append(2));
  EXPECT_NE(*cluster.leader(kData), first);
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(append(2));
  expect_same_bytes();
  ASSERT_TRUE(cluster.start(first));
  expect_same_bytes();
}

TEST_F(ClusterTest, ARestartOfAllLosesNothing) {
  serve();
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(append(2));
  ASSERT_TRUE(settle());
  const auto before = bytes_of(0);
  for (std::size_t i = 0; i < 3; ++i) {
    if (i == 1) {
      cluster.kill(i);
    } else {
      ASSERT_TRUE(cluster.stop(i));
    }
  }
  ASSERT_TRUE(cluster.start_all());
  ASSERT_TRUE(elect());
  ASSERT_TRUE(settle());
  for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(bytes_of(i), before);
  ASSERT_TRUE(append(1));
  expect_same_bytes();
}

TEST_F(ClusterTest, ALateFollowerIsServedFromTheDisk) {
  serve();
  ASSERT_TRUE(settle());
  const std::size_t late = (*cluster.leader(kData) + 1) % 3;
  cluster.kill(late);
  // More than the replicas keep in memory.
  const std::size_t batch = 64 << 10;
  for (std::size_t sent = 0; sent < 2 * Replica::kRecentBytes; sent += batch) {
    ASSERT_TRUE(append(batch / 32));
  }
  ASSERT_TRUE(cluster.start(late));
  expect_same_bytes();
}

TEST_F(ClusterTest, ATailThatNobodyElseHasIsCut) {
  serve();
  ASSERT_TRUE(settle());
  const std::size_t old = *cluster.leader(kData);
  cluster.cut_off(old);
  std::vector<Pending> lost;
  for (int i = 0; i < 5; ++i) {
    lost.push_back(cluster.node(old).send(append_request(stream, 0), make_batch(4, std::nullopt)));
  }
  cluster.node(old).world.run();
  EXPECT_GT(cluster.status_of(old, kData).durable, cluster.status_of(old, kData).commit);
  ASSERT_TRUE(cluster.wait([&] {
    const auto leader = cluster.leader(kData);
    return leader && *leader != old;
  }));
  for (std::size_t i = 0; i < lost.size(); ++i) ASSERT_TRUE(append(1));
  cluster.heal();
  expect_same_bytes();
  // They were replaced, and provably never happened.
  for (const Pending& pending : lost) {
    ASSERT_TRUE(pending->has_value());
    EXPECT_EQ(code_of(*pending), Errc::kNotLeader);
  }
}

TEST_F(ClusterTest, ALeaderThatIsCutOffAnswersNoLinearizableRead) {
  serve();
  ASSERT_TRUE(settle());
  const std::size_t old = *cluster.leader(kData);
  wire::Request request = read_request(stream, 0, 0);
  request.mutable_read()->set_linearizable(true);
  for (std::size_t i = 0; i < 3; ++i) {
    const auto answer = cluster.call(i, request);
    EXPECT_TRUE(answer && answer->response.has_read()) << message_of(answer);
  }
  cluster.cut_off(old);
  request.set_deadline_ms(400);
  const auto refused = cluster.call(old, request);
  EXPECT_THAT(code_of(refused), ::testing::AnyOf(Errc::kTimeout, Errc::kNotLeader));
}

TEST_F(ClusterTest, EveryNodeHasTheRoutingTable) {
  serve();
  ASSERT_TRUE(cluster.call(*cluster.leader(kMetaGroup), create_request("other")));
  cluster.advance(1'000'000);
  for (std::size_t i = 0; i < 3; ++i) {
    wire::Request request;
    request.mutable_routing();
    const auto routing = cluster.call(i, request);
    ASSERT_TRUE(routing);
    EXPECT_EQ(routing->response.routing().groups(0).leader(),
              "sim:" + std::to_string(*cluster.leader(kData) + 1));
    wire::Request resolve;
    resolve.mutable_resolve()->add_names("other");
    EXPECT_EQ(cluster.call(i, resolve)->response.resolve().streams_size(), 1);
  }
}

// Long before an election timeout, and what was asked for is answered.
TEST_F(ClusterTest, ALeaderThatStopsGivesItsGroupAwayFirst) {
  serve();
  ASSERT_TRUE(settle());
  const std::size_t old = *cluster.leader(kData);
  std::vector<Pending> asked;
  for (int i = 0; i < 5; ++i) {
    asked.push_back(cluster.node(old).send(append_request(stream, 0), make_batch(4, std::nullopt)));
  }
  const auto stopped = cluster.node(old).begin_stop();
  constexpr int kMost = 100;
  int milliseconds = 0;
  for (; milliseconds < 5'000 && cluster.leader(kData) == old; ++milliseconds) {
    cluster.advance(1'000);
  }
  EXPECT_LT(milliseconds, kMost);
  for (; milliseconds < 5'000 && !*stopped; ++milliseconds) cluster.advance(1'000);
  EXPECT_TRUE(*stopped);
  EXPECT_LT(milliseconds, kMost);
  for (const Pending& pending : asked) {
    EXPECT_TRUE(pending->has_value() && (*pending)->response.has_append());
  }
  cluster.kill(old);
  ASSERT_TRUE(append(1));
  ASSERT_TRUE(cluster.start(old));
  expect_same_bytes();
}

// Whoever is asked first does not answer: the next one is.
TEST_F(ClusterTest, ALeaderThatStopsAsksAnotherWhereOneIsSilent) {
  serve();
  ASSERT_TRUE(settle());
  const std::size_t old = *cluster.leader(kData);
  cluster.cut_off((old + 1) % 3);
  const auto stopped = cluster.node(old).begin_stop();
  ASSERT_TRUE(cluster.wait([&] { return *stopped; }));
  EXPECT_EQ(cluster.leader(kData), (old + 2) % 3);
}

// Nobody is there to lead: the stop does not wait for long.
TEST_F(ClusterTest, ALeaderThatNobodyCanFollowStopsAllTheSame) {
  serve();
  const std::size_t old = *cluster.leader(kData);
  cluster.cut_off(old);
  const auto stopped = cluster.node(old).begin_stop();
  cluster.advance(2 * Replica::kHandOverUs);
  EXPECT_TRUE(*stopped);
}

// What is left of a block when a later one has been taken would be refused by shards that have
// forgotten ids of that one. The leader hears that it has its block when others have theirs.
TEST_F(ClusterTest, ProducerIdsRiseWhoeverLeadsAgain) {
  serve();
  const auto ask = [&](std::size_t node) -> std::int64_t {
    wire::Request init;
    init.mutable_init_producer();
    const auto answer = cluster.call(node, init);
    if (!answer || !answer->response.has_init_producer()) return 0;
    return answer->response.init_producer().producer_id();
  };
  const auto replace = [&](std::size_t leads) {
    return cluster.wait([&] {
      const auto next = cluster.leader(kMetaGroup);
      return next && *next != leads;
    });
  };
  ASSERT_TRUE(elect());
  const std::size_t first = *cluster.leader(kMetaGroup);
  for (std::size_t i = 0; i < cluster.size(); ++i) {
    if (i != first) cluster.cut(i, first);
  }
  EXPECT_EQ(ask(first), 0);
  ASSERT_TRUE(replace(first));
  cluster.heal();
  std::int64_t last = 0;
  int again = 0;
  for (int round = 0; round < 12 && again < 2; ++round) {
    ASSERT_TRUE(elect());
    const std::size_t leads = *cluster.leader(kMetaGroup);
    again += leads == first ? 1 : 0;
    const std::int64_t id = ask(leads);
    EXPECT_GT(id, last);
    last = id;
    cluster.cut_off(leads);
    ASSERT_TRUE(replace(leads));
    cluster.heal();
  }
  EXPECT_EQ(again, 2);
}

}  // namespace
}  // namespace lignum::server
