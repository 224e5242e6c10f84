// Random lives of three nodes: kills, stops, cut links, disks that stand still, while a producer
// appends. In some the shard is trimmed, so that who was away needs a snapshot, and messages are
// lost, doubled and late. At the end the links are whole: every node must come to hold the same
// bytes, everything that was acked among them, at the offsets that were acked. The same seed gives
// the same life.

#include <gtest/gtest.h>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "net/proto/client.pb.h"
#include "raft/output.h"
#include "raft/payload.h"
#include "raft/random.h"
#include "raft/types.h"
#include "server/group/replica.h"
#include "server/service/call.h"
#include "tests/server/batches.h"
#include "tests/server/sim_cluster.h"
#include "tests/server/sim_node.h"

namespace lignum::server {
namespace {

using testing::append_request;
using testing::create_request;
using testing::make_batch;
using testing::Pending;
using testing::read_request;
using testing::SimCluster;

constexpr GroupId kData{1};

enum class Kind : std::uint8_t { kWhole, kTrimmed };

class Life {
 public:
  Life(std::uint64_t seed, Kind kind) : random_(seed, "life"), kind_(kind) {
    if (kind_ == Kind::kWhole) return;
    for (std::size_t i = 0; i < cluster_.size(); ++i) {
      cluster_.cell(i).snapshot_piece_bytes = 1 + random_.below(40'000);
    }
    cluster_.set_weather({.lost = random_.below(30), .doubled = random_.below(100), .late = 50});
  }

  // Installed by a follower.
  [[nodiscard]] std::uint64_t snapshots() const { return snapshots_; }

  void run() {
    ASSERT_TRUE(cluster_.start_all());
    ASSERT_TRUE(make_stream());
    for (int step = 0; step < 120 && !::testing::Test::HasFailure(); ++step) {
      disturb();
      append();
      if (kind_ == Kind::kTrimmed) {
        for (int i = 0; i < 4; ++i) append();
        trim();
      }
      const std::uint64_t most = kind_ == Kind::kTrimmed ? 1'500'000 : 40'000;
      cluster_.advance(1'000 + static_cast<std::int64_t>(random_.below(most)));
      harvest();
    }
    recover();
  }

 private:
  struct Sent {
    Pending answer;
    std::string text;
  };

  bool make_stream() {
    return cluster_.wait([&] {
      const auto leader = cluster_.leader(kMetaGroup);
      if (!leader) return false;
      const auto created = cluster_.call(*leader, create_request("app"));
      if (!created || !created->response.has_create_stream()) return false;
      stream_ = created->response.create_stream().stream().id();
      return true;
    });
  }

  void disturb() {
    const std::size_t i = random_.below(cluster_.size());
    switch (random_.below(14)) {
      case 0:
        count_snapshots(i);
        if (cluster_.up(i)) cluster_.kill(i);
        return;
      case 1:
        if (!cluster_.up(i)) return;
        count_snapshots(i);
        cluster_.node(i).world.hold_flushes(false);
        EXPECT_TRUE(cluster_.stop(i));
        return;
      case 2:
      case 3:
      case 4:
        if (!cluster_.up(i)) EXPECT_TRUE(cluster_.start(i)) << cluster_.node(i).error;
        return;
      case 5:
        return cluster_.cut(i, random_.below(cluster_.size()));
      case 6:
        return cluster_.cut_off(i);
      case 7:
      case 8:
        return cluster_.heal();
      case 9:
        if (cluster_.up(i)) cluster_.node(i).world.hold_flushes(true);
        return;
      case 10:
      case 11:
        if (cluster_.up(i)) cluster_.node(i).world.hold_flushes(false);
        return;
      default:
        return;
    }
  }

  void append() {
    // To whoever believes to lead, sometimes to anybody.
    for (std::size_t i = 0; i < cluster_.size(); ++i) {
      if (!cluster_.up(i)) continue;
      const bool leads = cluster_.status_of(i, kData).role == raft::Role::kLeader;
      if (!leads && random_.below(10) != 0) continue;
      std::string text = "value " + std::to_string(++values_) + " ";
      if (kind_ == Kind::kTrimmed) text += std::string(random_.below(9000), '.');
      sent_.push_back({.answer = cluster_.node(i).send(append_request(stream_, 0),
                                                       make_batch(1, std::nullopt, text)),
                       .text = text});
    }
  }

  void trim() {
    if (acked_.empty() || random_.below(4) != 0) return;
    for (std::size_t i = 0; i < cluster_.size(); ++i) {
      if (!cluster_.up(i) || cluster_.status_of(i, kData).role != raft::Role::kLeader) continue;
      wire::Request request;
      request.mutable_trim()->set_stream(stream_);
      request.mutable_trim()->set_before_offset(acked_.rbegin()->first - random_.below(3));
      request.set_deadline_ms(5000);
      cluster_.node(i).send(request);
    }
  }

  void count_snapshots(std::size_t i) {
    if (!cluster_.up(i)) return;
    for (const Replica* each : cluster_.node(i).host().replicas()) {
      snapshots_ += each->snapshots_sent();
    }
  }

  void harvest() {
    for (Sent& each : sent_) {
      if (!each.answer->has_value() || !(*each.answer)->response.has_append()) continue;
      const std::uint64_t at = (*each.answer)->response.append().base_offset();
      EXPECT_TRUE(acked_.emplace(at, each.text).second) << "offset " << at << " was acked twice";
    }
    std::erase_if(sent_, [](const Sent& each) { return each.answer->has_value(); });
  }

  void recover() {
    cluster_.heal();
    cluster_.set_weather({});
    for (std::size_t i = 0; i < cluster_.size(); ++i) {
      if (!cluster_.up(i)) ASSERT_TRUE(cluster_.start(i)) << cluster_.node(i).error;
      cluster_.node(i).world.hold_flushes(false);
    }
    ASSERT_TRUE(cluster_.wait([&] {
      const auto leader = cluster_.leader(kData);
      if (!leader) return false;
      const auto answer =
          cluster_.call(*leader, append_request(stream_, 0), make_batch(1, std::nullopt, "end"));
      return answer && answer->response.has_append();
    })) << "nobody leads";
    harvest();
    for (const GroupId group : {kMetaGroup, kData}) {
      ASSERT_TRUE(cluster_.wait([&] { return converged(group); }))
          << "somebody lags behind in group " << group.value();
    }
    for (std::size_t i = 0; i < cluster_.size(); ++i) count_snapshots(i);
    std::optional<std::map<std::uint64_t, std::string>> first;
    for (std::size_t i = 0; i < cluster_.size(); ++i) {
      const auto batches = read(i);
      if (!first) first = batches;
      EXPECT_TRUE(batches == *first) << "node " << i + 1 << " differs";
      for (const auto& [offset, text] : acked_) {
        if (offset < start_) continue;
        const auto found = batches.find(offset);
        ASSERT_NE(found, batches.end()) << "acked offset " << offset << " is gone";
        EXPECT_NE(found->second.find(text), std::string::npos) << "offset " << offset;
      }
    }
  }

  bool converged(GroupId group) {
    const auto leader = cluster_.leader(group);
    if (!leader) return false;
    const Index commit = cluster_.status_of(*leader, group).commit;
    for (std::size_t i = 0; i < cluster_.size(); ++i) {
      EXPECT_EQ(cluster_.status_of(i, group).damage, "");
      if (cluster_.status_of(i, group).applied != commit) return false;
    }
    return true;
  }

  std::map<std::uint64_t, std::string> read(std::size_t i) {
    std::map<std::uint64_t, std::string> batches;
    std::uint64_t from = 0;
    while (true) {
      const auto answer = cluster_.call(i, read_request(stream_, 0, from));
      if (answer && answer->response.has_failure() && from == 0 &&
          answer->response.failure().has_start_offset()) {
        from = answer->response.failure().start_offset();
        start_ = from;
        continue;
      }
      if (!answer || !answer->response.has_read()) return batches;
      const wire::ReadReply& reply = answer->response.read();
      for (int n = 0; n < reply.batches_size(); ++n) {
        const Bytes bytes = answer->payload[static_cast<std::size_t>(n)].bytes();
        batches[reply.batches(n).base_offset()] =
            std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
      }
      from = reply.next_offset();
      if (from == reply.watermark()) return batches;
    }
  }

  Random random_;
  const Kind kind_;
  // First offset kept, as read at the end.
  std::uint64_t start_ = 0;
  std::uint64_t snapshots_ = 0;
  SimCluster cluster_{3, {.segment_bytes_min = 64 << 10, .segment_bytes_max = 64 << 10}};
  std::uint64_t stream_ = 0;
  std::uint64_t values_ = 0;
  std::vector<Sent> sent_;
  std::map<std::uint64_t, std::string> acked_;
};

TEST(ClusterRandomTest, NothingAckedIsLostAndEveryNodeHoldsTheSame) {
  const std::uint64_t seeds = std::getenv("LIGNUM_PROOF") == nullptr ? 30 : 3000;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Life(seed, Kind::kWhole).run();
    if (::testing::Test::HasFailure()) return;
  }
}

TEST(ClusterRandomTest, AndSoWhereFollowersAreSentSnapshots) {
  const std::uint64_t seeds = std::getenv("LIGNUM_PROOF") == nullptr ? 20 : 2000;
  std::uint64_t snapshots = 0;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Life life(seed, Kind::kTrimmed);
    life.run();
    snapshots += life.snapshots();
    if (::testing::Test::HasFailure()) return;
  }
  EXPECT_GE(snapshots, seeds / 4);
}

}  // namespace
}  // namespace lignum::server
