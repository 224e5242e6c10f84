// Followers that need what their leader's log no longer holds: they are sent a snapshot, whatever
// happens to its pieces, its sender, or the power of its receiver.

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "jepsen/sim/sim_disk.h"
#include "net/peer_message.h"
#include "net/proto/client.pb.h"
#include "net/snapshot_messages.h"
#include "raft/payload.h"
#include "raft/types.h"
#include "server/group/replica.h"
#include "server/service/call.h"
#include "storage/log_mark.h"
#include "storage/record_batch.h"
#include "tests/server/batches.h"
#include "tests/server/sim_cluster.h"
#include "tests/server/sim_node.h"

namespace lignum::server {
namespace {

using testing::append_request;
using testing::create_request;
using testing::make_batch;
using testing::read_request;
using testing::SimCluster;

constexpr GroupId kData{1};
constexpr std::size_t kSegment = std::size_t{64} << 10;

class Trial {
 public:
  explicit Trial(std::uint64_t bytes_per_second = 0) {
    for (std::size_t i = 0; i < cluster.size(); ++i) {
      cluster.cell(i).snapshot_piece_bytes = 20'000;
      cluster.cell(i).snapshot_bytes_per_second = bytes_per_second;
    }
  }

  void serve() {
    ASSERT_TRUE(cluster.start_all());
    const auto made = cluster.make_stream(create_request("app"), kData);
    ASSERT_TRUE(made.has_value());
    stream = *made;
    // The snapshot goes to a follower; the other one may take over.
    leader = *cluster.leader(kData);
    away = (leader + 1) % 3;
  }

  std::optional<std::uint64_t> append(std::uint32_t shard, std::size_t bytes,
                                      std::optional<ProducerStamp> producer = std::nullopt) {
    for (int i = 0; i < 200; ++i) {
      const auto leads = cluster.leader(kData);
      if (leads) {
        const std::string text = std::to_string(++values) + std::string(bytes, '.');
        const auto answer =
            cluster.call(*leads, append_request(stream, shard), make_batch(1, producer, text));
        if (answer && answer->response.has_append()) {
          return answer->response.append().base_offset();
        }
      }
      cluster.advance(50'000);
    }
    return std::nullopt;
  }
  // Much in shard 0, little in shard 1.
  void fill(int rounds) {
    for (int i = 0; i < rounds; ++i) {
      ASSERT_TRUE(append(0, 9000));
      if (i % 4 == 0) ASSERT_TRUE(append(1, 3000));
    }
  }
  void trim(std::uint32_t shard, std::uint64_t before) {
    wire::Request request;
    request.mutable_trim()->set_stream(stream);
    request.mutable_trim()->set_shard(shard);
    request.mutable_trim()->set_before_offset(before);
    const auto answer = cluster.call(*cluster.leader(kData), request);
    ASSERT_TRUE(answer && answer->response.has_trim());
  }
  // Until no log begins where `away` ends: each replica cleans its own.
  void let_clean(Index had) {
    ASSERT_TRUE(cluster.wait([&] {
      for (std::size_t i = 0; i < cluster.size(); ++i) {
        if (cluster.up(i) && cluster.status_of(i, kData).log_first <= had.next()) return false;
      }
      return true;
    })) << "the log was not cleaned";
  }
  // `away` goes, and what it would need goes, too.
  void prepare() {
    serve();
    fill(20);
    const Index had = cluster.status_of(away, kData).log_last;
    cluster.kill(away);
    fill(60);
    trim(0, 70);
    let_clean(had);
  }
  std::uint64_t sent() {
    std::uint64_t count = 0;
    for (std::size_t i = 0; i < cluster.size(); ++i) {
      if (!cluster.up(i)) continue;
      for (const Replica* each : cluster.node(i).host().replicas()) count += each->snapshots_sent();
    }
    return count;
  }
  bool converged(GroupId group) {
    const auto leads = cluster.leader(group);
    if (!leads) return false;
    const Index commit = cluster.status_of(*leads, group).commit;
    for (std::size_t i = 0; i < cluster.size(); ++i) {
      if (!cluster.up(i)) return false;
      const ReplicaStatus status = cluster.status_of(i, group);
      EXPECT_EQ(status.damage, "") << "node " << i + 1;
      if (status.applied != commit) return false;
    }
    return true;
  }
  using Contents = std::map<std::uint64_t, std::vector<std::byte>>;
  Contents read(std::size_t i, std::uint32_t shard) {
    Contents batches;
    std::uint64_t from = 0;
    while (true) {
      const auto answer = cluster.call(i, read_request(stream, shard, from));
      if (answer && answer->response.has_failure() &&
          answer->response.failure().has_start_offset() && from == 0) {
        from = answer->response.failure().start_offset();
        continue;
      }
      if (!answer || !answer->response.has_read()) return {};
      const wire::ReadReply& reply = answer->response.read();
      for (int n = 0; n < reply.batches_size(); ++n) {
        const Bytes bytes = answer->payload[static_cast<std::size_t>(n)].bytes();
        batches[reply.batches(n).base_offset()] = {bytes.begin(), bytes.end()};
      }
      from = reply.next_offset();
      if (from == reply.watermark()) return batches;
    }
  }
  void expect_equal() {
    ASSERT_TRUE(cluster.wait([&] { return converged(kMetaGroup) && converged(kData); }));
    for (std::uint32_t shard = 0; shard < 2; ++shard) {
      const Contents first = read(0, shard);
      EXPECT_FALSE(first.empty());
      for (std::size_t i = 1; i < cluster.size(); ++i) {
        EXPECT_TRUE(read(i, shard) == first) << "node " << i + 1 << ", shard " << shard;
      }
    }
  }

  SimCluster cluster{3, {.segment_bytes_min = kSegment, .segment_bytes_max = kSegment}};
  std::uint64_t stream = 0;
  std::uint64_t values = 0;
  std::size_t leader = 0;
  std::size_t away = 0;
};

TEST(SnapshotTest, AFollowerThatWasAwayIsBroughtUp) {
  Trial trial;
  ASSERT_NO_FATAL_FAILURE(trial.prepare());
  ASSERT_TRUE(trial.cluster.start(trial.away));
  ASSERT_NO_FATAL_FAILURE(trial.expect_equal());
  EXPECT_EQ(trial.sent(), 1U);
  // It goes on like any other, and starts again from what it was given.
  ASSERT_NO_FATAL_FAILURE(trial.fill(10));
  ASSERT_NO_FATAL_FAILURE(trial.expect_equal());
  trial.cluster.kill(trial.away);
  ASSERT_TRUE(trial.cluster.start(trial.away));
  ASSERT_NO_FATAL_FAILURE(trial.expect_equal());
  EXPECT_EQ(trial.sent(), 1U);
}

TEST(SnapshotTest, PiecesMayBeLostDoubledAndLate) {
  Trial trial;
  ASSERT_NO_FATAL_FAILURE(trial.prepare());
  trial.cluster.set_weather({.lost = 200, .doubled = 200, .late = 300});
  ASSERT_TRUE(trial.cluster.start(trial.away));
  ASSERT_TRUE(trial.cluster.wait([&] { return trial.sent() > 0; }));
  trial.cluster.set_weather({});
  ASSERT_NO_FATAL_FAILURE(trial.expect_equal());
}

// At 50 KB a second what takes a moment otherwise takes seconds; and a group of three is not held
// up.
TEST(SnapshotTest, APaceIsKept) {
  std::map<std::uint64_t, std::int64_t> took;
  for (const std::uint64_t pace : {0U, 50'000U}) {
    Trial trial(pace);
    ASSERT_NO_FATAL_FAILURE(trial.prepare());
    ASSERT_TRUE(trial.cluster.start(trial.away));
    const std::int64_t before = trial.cluster.now();
    ASSERT_TRUE(trial.cluster.wait([&] { return trial.append(0, 100).has_value(); }));
    EXPECT_LT(trial.cluster.now() - before, 500'000);
    ASSERT_TRUE(trial.cluster.wait([&] { return trial.sent() > 0; }));
    took[pace] = trial.cluster.now() - before;
    ASSERT_NO_FATAL_FAILURE(trial.expect_equal());
  }
  EXPECT_LT(took[0], 1'000'000);
  EXPECT_GT(took[50'000], 2'000'000);
}

TEST(SnapshotTest, AnotherLeaderGoesOnWhereTheFirstOneDied) {
  Trial trial;
  ASSERT_NO_FATAL_FAILURE(trial.prepare());
  // Half of the pieces arrive, then the sender is silent.
  Index reached;
  std::optional<Index> resumed_at;
  std::size_t pieces = 0;
  trial.cluster.on_deliver([&](net::PeerMessage& message) {
    const auto* const log = std::get_if<net::SnapshotLog>(&message.body);
    if (log == nullptr || log->items.empty()) return true;
    const bool first = log->from.node.value() == trial.leader + 1;
    if (!first) {
      if (!resumed_at) resumed_at = log->after.id.index;
      return true;
    }
    if (++pieces > 3) return false;
    const storage::KeptItem& last = log->items.back();
    reached = last.skip_to ? last.skip_to->id.index : last.entry.header.index;
    return true;
  });
  ASSERT_TRUE(trial.cluster.start(trial.away));
  ASSERT_TRUE(trial.cluster.wait([&] { return pieces > 3; }));
  trial.cluster.kill(trial.leader);
  ASSERT_TRUE(trial.cluster.wait([&] { return trial.sent() > 0; }));
  EXPECT_GT(reached, Index(0));
  EXPECT_EQ(resumed_at, reached);
  ASSERT_TRUE(trial.cluster.start(trial.leader));
  ASSERT_NO_FATAL_FAILURE(trial.expect_equal());
}

TEST(SnapshotTest, WhoLeadsNextKnowsTheProducers) {
  Trial trial;
  ASSERT_NO_FATAL_FAILURE(trial.serve());
  const ProducerStamp stamp{.id = ProducerId(0), .epoch = 0, .base_sequence = 0};
  const auto first = trial.append(1, 10, stamp);
  ASSERT_TRUE(first);
  ASSERT_NO_FATAL_FAILURE(trial.fill(20));
  const Index had = trial.cluster.status_of(trial.away, kData).log_last;
  // A disk that was lost with everything that it held would be another member: it only was away.
  trial.cluster.kill(trial.away);
  const ProducerStamp later{.id = ProducerId(0), .epoch = 0, .base_sequence = 1};
  const auto second = trial.append(1, 10, later);
  ASSERT_TRUE(second);
  ASSERT_NO_FATAL_FAILURE(trial.fill(60));
  ASSERT_NO_FATAL_FAILURE(trial.trim(0, 70));
  ASSERT_NO_FATAL_FAILURE(trial.let_clean(had));
  ASSERT_TRUE(trial.cluster.start(trial.away));
  ASSERT_NO_FATAL_FAILURE(trial.expect_equal());
  ASSERT_EQ(trial.sent(), 1U);
  // It leads: the batch is known, though it never saw its entry applied.
  for (int i = 0; i < 30 && trial.cluster.leader(kData) != trial.away; ++i) {
    const std::size_t leads = *trial.cluster.leader(kData);
    trial.cluster.kill(leads);
    ASSERT_TRUE(trial.cluster.wait([&] { return trial.cluster.leader(kData).has_value(); }));
    ASSERT_TRUE(trial.cluster.start(leads));
    ASSERT_NO_FATAL_FAILURE(trial.expect_equal());
  }
  ASSERT_EQ(trial.cluster.leader(kData), trial.away);
  EXPECT_EQ(trial.append(1, 10, later), second);
}

enum class Wrong : std::uint8_t { kImage, kChain, kMembership };

// Spoils the first message that carries it. False: this is not one.
bool spoil(net::PeerMessage& message, Wrong wrong) {
  if (auto* const image = std::get_if<net::SnapshotImage>(&message.body)) {
    if (wrong != Wrong::kImage) return false;
    std::vector<std::byte> bytes(image->bytes.bytes().begin(), image->bytes.bytes().end());
    bytes[bytes.size() / 2] ^= std::byte{4};
    image->bytes = Payload(std::move(bytes));
    return true;
  }
  auto* const offer = std::get_if<net::SnapshotOffer>(&message.body);
  if (offer == nullptr || wrong == Wrong::kImage) return false;
  if (wrong == Wrong::kChain) {
    offer->last.chain.low ^= 1;
  } else {
    offer->snapshot.membership.voters.pop_back();
  }
  return true;
}

// Checksums of messages do not see what was wrong before they were made.
TEST(SnapshotTest, WhatDoesNotCheckIsNotInstalled) {
  for (const Wrong wrong : {Wrong::kImage, Wrong::kChain, Wrong::kMembership}) {
    SCOPED_TRACE(static_cast<int>(wrong));
    Trial trial;
    ASSERT_NO_FATAL_FAILURE(trial.prepare());
    bool struck = false;
    trial.cluster.on_deliver([&](net::PeerMessage& message) {
      struck = struck || spoil(message, wrong);
      return true;
    });
    ASSERT_TRUE(trial.cluster.start(trial.away));
    ASSERT_NO_FATAL_FAILURE(trial.expect_equal());
    EXPECT_TRUE(struck);
    EXPECT_EQ(trial.sent(), 1U);
    std::uint64_t refused = 0;
    for (const std::string& each : trial.cluster.node(trial.away).world.reports) {
      if (each.find("could not be taken") != std::string::npos) ++refused;
    }
    EXPECT_EQ(refused, 1U);
  }
}

// The receiver loses power in every call that changes its disk while it is brought up.
TEST(SnapshotTest, APowerCutAtAnyCallLeavesTheOldOrTheNew) {
  std::uint64_t installed_at_boot = 0;
  std::uint64_t calls = 0;
  bool done = false;
  for (std::uint64_t at = 1; !done; ++at) {
    SCOPED_TRACE("cut in call " + std::to_string(at));
    Trial trial;
    ASSERT_NO_FATAL_FAILURE(trial.prepare());
    ASSERT_TRUE(trial.cluster.start(trial.away));
    auto& disk = *trial.cluster.cell(trial.away).disk;
    disk.crash_at(disk.operations() + at);
    trial.cluster.expect_deaths(true);
    ASSERT_TRUE(trial.cluster.wait([&] { return disk.crashed() || trial.sent() > 0; }));
    done = !disk.crashed();
    calls = at;
    trial.cluster.expect_deaths(false);
    trial.cluster.kill(trial.away);
    ASSERT_TRUE(trial.cluster.start(trial.away)) << trial.cluster.node(trial.away).error;
    for (const std::string& each : trial.cluster.node(trial.away).world.reports) {
      if (each.find("had arrived; it is kept") != std::string::npos) ++installed_at_boot;
    }
    ASSERT_NO_FATAL_FAILURE(trial.expect_equal());
  }
  EXPECT_GT(calls, 20U);
  EXPECT_GT(installed_at_boot, 0U);
}

}  // namespace
}  // namespace lignum::server
