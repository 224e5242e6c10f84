// Groups that lost a majority of their voters for ever: recovered on what is left, whatever crashes
// meanwhile; and those that were lost come back.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "jepsen/sim/sim_disk.h"
#include "net/proto/client.pb.h"
#include "raft/error.h"
#include "raft/output.h"
#include "raft/payload.h"
#include "raft/recovery.h"
#include "raft/types.h"
#include "server/group/offline_node.h"
#include "server/group/ports.h"
#include "server/group/replica.h"
#include "server/group/segment_store.h"
#include "server/group/survivor_facts.h"
#include "server/service/call.h"
#include "storage/file.h"
#include "storage/memory_state_store.h"
#include "tests/server/batches.h"
#include "tests/server/sim_cluster.h"
#include "tests/server/sim_node.h"

namespace lignum::server {
namespace {

using testing::append_request;
using testing::Cell;
using testing::create_request;
using ::testing::HasSubstr;
using testing::make_batch;
using testing::Pending;
using testing::read_request;
using testing::SimCluster;

constexpr GroupId kData{1};
constexpr SegmentStoreOptions kSegments{.segment_bytes_min = 64 << 10,
                                        .segment_bytes_max = 256 << 10};

using Facts = std::map<GroupId, std::vector<raft::Survivor>>;

// A data directory that nobody serves.
class Opened {
 public:
  explicit Opened(jepsen::SimDisk& disk, storage::MemoryStateStore& store) : root_(disk.root()) {
    auto opened = OfflineNode::open({.root = *root_,
                                     .store = store,
                                     .reset_store = [&store]() -> Result<void> {
                                       store = storage::MemoryStateStore();
                                       return {};
                                     },
                                     .segments = kSegments,
                                     .now = {.wall_us = 1'800'000'000'000'000, .monotonic_us = 1},
                                     .report = [](Severity, const std::string&) {}});
    if (opened) {
      node = std::move(*opened);
    } else {
      error = opened.error().message();
    }
  }
  std::unique_ptr<OfflineNode> node;
  std::string error;

 private:
  std::unique_ptr<storage::Directory> root_;
};

class LostQuorum {
 public:
  explicit LostQuorum(std::size_t nodes) : cluster(nodes, kSegments) {}

  void serve() {
    ASSERT_TRUE(cluster.start_all());
    const auto made = cluster.make_stream(create_request("app"), kData);
    ASSERT_TRUE(made.has_value());
    stream = *made;
    ASSERT_TRUE(append(3));
  }
  bool append(std::uint32_t records) {
    for (int i = 0; i < 200; ++i) {
      const auto leads = cluster.leader(kData);
      if (leads) {
        const auto answer =
            cluster.call(*leads, append_request(stream, 0), make_batch(records, std::nullopt));
        if (answer && answer->response.has_append()) return true;
      }
      cluster.advance(50'000);
    }
    return false;
  }
  bool same_applied() {
    return cluster.wait([&] {
      std::optional<Index> applied;
      for (std::size_t i = 0; i < cluster.size(); ++i) {
        if (!cluster.up(i)) continue;
        const ReplicaStatus status = cluster.status_of(i, kData);
        if (applied && *applied != status.applied) return false;
        applied = status.applied;
      }
      return true;
    });
  }
  std::vector<std::byte> bytes_of(std::size_t i) {
    std::vector<std::byte> bytes;
    const auto answer = cluster.call(i, read_request(stream, 0, 0));
    if (!answer || !answer->response.has_read()) return bytes;
    for (const Payload& piece : answer->payload) {
      bytes.insert(bytes.end(), piece.bytes().begin(), piece.bytes().end());
    }
    return bytes;
  }

  // What the nodes that are left say, as it arrives after a way as text.
  Facts facts_of(const std::vector<std::size_t>& left) {
    Facts facts;
    for (const std::size_t i : left) {
      const Opened opened(*cluster.cell(i).disk, *cluster.cell(i).store);
      EXPECT_TRUE(opened.node) << opened.error;
      if (!opened.node) continue;
      for (const GroupSurvivor& each : opened.node->survivors()) {
        const auto read = parse_survivors(print_survivor(each), "facts");
        EXPECT_TRUE(read && read->size() == 1 && read->front() == each);
        facts[each.group].push_back(each.survivor);
      }
    }
    return facts;
  }
  // One node's part, in every group. False: it was done before.
  Result<bool> recover_on(std::size_t i, const Facts& facts) {
    return recover(*cluster.cell(i).disk, *cluster.cell(i).store, i, facts);
  }
  static Result<bool> recover(jepsen::SimDisk& disk, storage::MemoryStateStore& store,
                              std::size_t i, const Facts& facts) {
    const Opened opened(disk, store);
    if (!opened.node) return fail(Errc::kIo, opened.error);
    bool anything = false;
    for (const auto& [group, survivors] : facts) {
      TRY_ASSIGN(plan, raft::plan_recovery(survivors));
      for (const raft::Survivor& each : survivors) {
        if (each.self.node.value() != i + 1) continue;
        TRY_ASSIGN(now, opened.node->recover({.group = group, .survivor = each}, plan));
        anything = anything || now;
      }
    }
    return anything;
  }
  void kill_all() {
    for (std::size_t i = 0; i < cluster.size(); ++i) {
      if (cluster.up(i)) cluster.kill(i);
    }
  }

  SimCluster cluster;
  std::uint64_t stream = 0;
};

TEST(LostQuorum, ThreeReplicasLoseTwoAndOneGoesOn) {
  LostQuorum trial(3);
  SimCluster& cluster = trial.cluster;
  trial.serve();
  ASSERT_TRUE(trial.same_applied());
  const auto before = trial.bytes_of(0);
  trial.kill_all();

  // Alone it can do nothing.
  ASSERT_TRUE(cluster.start(0));
  cluster.advance(20'000'000);
  EXPECT_FALSE(cluster.leader(kData));
  cluster.kill(0);

  const Facts facts = trial.facts_of({0});
  ASSERT_EQ(facts.size(), 2U);
  const auto done = trial.recover_on(0, facts);
  ASSERT_TRUE(done) << done.error().message();
  EXPECT_TRUE(*done);
  const auto again = trial.recover_on(0, facts);
  ASSERT_TRUE(again) << again.error().message();
  EXPECT_FALSE(*again) << "it is done once";

  ASSERT_TRUE(cluster.start(0));
  ASSERT_TRUE(trial.append(5));
  const auto after = trial.bytes_of(0);
  ASSERT_GT(after.size(), before.size());
  EXPECT_TRUE(std::equal(before.begin(), before.end(), after.begin())) << "nothing is lost";

  // The lost ones come back, and are a majority of what they know.
  ASSERT_TRUE(cluster.start(1));
  ASSERT_TRUE(cluster.start(2));
  cluster.advance(30'000'000);
  for (const std::size_t old : {1U, 2U}) {
    const ReplicaStatus status = cluster.status_of(old, kData);
    EXPECT_EQ(status.role, raft::Role::kFollower);
    EXPECT_THAT(status.trouble, HasSubstr("lost quorum"));
    const auto refused =
        cluster.call(old, append_request(trial.stream, 0), make_batch(1, std::nullopt));
    EXPECT_TRUE(refused && refused->response.has_failure());
  }
  EXPECT_EQ(cluster.leader(kData), 0U);
  ASSERT_TRUE(trial.append(1));
  // What they were told they do not forget.
  for (const std::size_t old : {1U, 2U}) cluster.kill(old);
  cluster.cut_off(0);
  ASSERT_TRUE(cluster.start(1));
  ASSERT_TRUE(cluster.start(2));
  cluster.advance(30'000'000);
  for (const std::size_t old : {1U, 2U}) {
    EXPECT_EQ(cluster.status_of(old, kData).role, raft::Role::kFollower);
  }
}

TEST(LostQuorum, FiveReplicasLoseThreeAndTwoGoOnWithTheLongerLog) {
  LostQuorum trial(5);
  SimCluster& cluster = trial.cluster;
  trial.serve();
  const std::size_t seed = *cluster.leader(kData);
  const std::size_t other = (seed + 1) % 5;
  ASSERT_TRUE(trial.same_applied());
  cluster.cut_off(other);
  ASSERT_TRUE(trial.append(7));
  const auto before = trial.bytes_of(seed);
  trial.kill_all();
  cluster.heal();

  const Facts facts = trial.facts_of({seed, other});
  const auto plan = raft::plan_recovery(facts.at(kData));
  ASSERT_TRUE(plan) << plan.error().message();
  EXPECT_EQ(plan->seed, cluster.cell(seed).self);
  EXPECT_TRUE(plan->may_lose_acknowledged);
  for (const std::size_t i : {seed, other}) {
    const auto done = trial.recover_on(i, facts);
    ASSERT_TRUE(done) << done.error().message();
  }
  // One of two is no majority of the new voters either.
  ASSERT_TRUE(cluster.start(seed));
  cluster.advance(20'000'000);
  EXPECT_FALSE(cluster.leader(kData));
  ASSERT_TRUE(cluster.start(other));
  ASSERT_TRUE(trial.append(2));
  ASSERT_TRUE(trial.same_applied());
  const auto after = trial.bytes_of(seed);
  EXPECT_TRUE(std::equal(before.begin(), before.end(), after.begin()));
  EXPECT_EQ(after, trial.bytes_of(other));

  for (std::size_t old = 0; old < 5; ++old) {
    if (!cluster.up(old)) ASSERT_TRUE(cluster.start(old));
  }
  cluster.advance(30'000'000);
  for (std::size_t old = 0; old < 5; ++old) {
    if (old == seed || old == other) continue;
    EXPECT_NE(cluster.status_of(old, kData).role, raft::Role::kLeader);
    EXPECT_THAT(cluster.status_of(old, kData).trouble, HasSubstr("lost quorum"));
  }
  ASSERT_TRUE(trial.append(1));
  EXPECT_EQ(trial.bytes_of(seed), trial.bytes_of(other));
}

// A survivor that wrote the number down does not help those that come back before the seed does.
TEST(LostQuorum, ASurvivorHelpsNoMajorityOfThePast) {
  LostQuorum trial(5);
  SimCluster& cluster = trial.cluster;
  trial.serve();
  ASSERT_TRUE(trial.same_applied());
  trial.kill_all();
  const Facts facts = trial.facts_of({0, 1});
  const std::size_t seed = raft::plan_recovery(facts.at(kData))->seed.node.value() - 1;
  const std::size_t other = 1 - seed;
  ASSERT_TRUE(trial.recover_on(seed, facts));
  ASSERT_TRUE(trial.recover_on(other, facts));
  // Two of the lost and the survivor would be three of five.
  for (const std::size_t i : {other, std::size_t{2}, std::size_t{3}}) ASSERT_TRUE(cluster.start(i));
  cluster.advance(30'000'000);
  EXPECT_FALSE(cluster.leader(kData));
  ASSERT_TRUE(cluster.start(seed));
  ASSERT_TRUE(trial.append(1));
  EXPECT_TRUE(cluster.leader(kData) == seed || cluster.leader(kData) == other);
}

TEST(LostQuorum, FactsThatAreOldAreRefused) {
  LostQuorum trial(3);
  trial.serve();
  ASSERT_TRUE(trial.same_applied());
  const std::size_t follower = (*trial.cluster.leader(kData) + 1) % 3;
  trial.cluster.kill(follower);
  const Facts facts = trial.facts_of({follower});
  ASSERT_TRUE(trial.cluster.start(follower));
  ASSERT_TRUE(trial.append(4));
  ASSERT_TRUE(trial.same_applied());
  trial.cluster.kill(follower);
  const auto done = trial.recover_on(follower, facts);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code(), Errc::kInvalidArgument);
  EXPECT_THAT(done.error().message(), HasSubstr("changed since"));
}

// Power goes at every call that changes the disk: the old state or the new one, and done in the
// end.
TEST(LostQuorum, ACrashLeavesTheOldStateOrTheNewOne) {
  LostQuorum trial(3);
  trial.serve();
  ASSERT_TRUE(trial.same_applied());
  trial.kill_all();
  const Facts facts = trial.facts_of({0});
  const Cell& cell = trial.cluster.cell(0);
  std::size_t old_states = 0;
  std::size_t new_states = 0;
  bool completed = false;
  for (std::uint64_t at = 1; !completed && !::testing::Test::HasFatalFailure(); ++at) {
    SCOPED_TRACE("crash at call " + std::to_string(at));
    ASSERT_LT(at, 400U);
    const auto disk = cell.disk->clone();
    auto store = *cell.store;
    disk->crash_at(at);
    completed = LostQuorum::recover(*disk, store, 0, facts).has_value();
    for (const std::uint64_t fate : {1U, 2U, 3U}) {
      const auto left = disk->crash(at * 10 + fate, {});
      {
        const Opened opened(*left, store);
        ASSERT_TRUE(opened.node) << opened.error;
        for (const GroupSurvivor& each : opened.node->survivors()) {
          const raft::Survivor& told = facts.at(each.group).front();
          const bool old = each.survivor == told;
          const bool recovered = each.survivor.membership.recovery == 1 &&
                                 each.survivor.hard_state.recovery == 1 &&
                                 each.survivor.membership.voters == std::vector{told.self};
          EXPECT_TRUE(old || recovered) << print_survivor(each);
          old_states += old ? 1 : 0;
          new_states += recovered ? 1 : 0;
        }
      }
      const auto done = LostQuorum::recover(*left, store, 0, facts);
      ASSERT_TRUE(done) << done.error().message();
    }
  }
  EXPECT_GT(old_states, 10U);
  EXPECT_GT(new_states, 3U);
}

TEST(LostQuorum, NoDataDirectoryIsMade) {
  jepsen::SimDisk disk;
  storage::MemoryStateStore store;
  const Opened opened(disk, store);
  EXPECT_FALSE(opened.node);
  EXPECT_THAT(opened.error, HasSubstr("no node's data"));
  EXPECT_EQ(disk.operations(), 0U);
}

TEST(SurvivorFacts, ALineThatWasChangedIsRefused) {
  const raft::Survivor survivor{
      .self = {.node = NodeId(3), .incarnation = NodeIncarnation(0xABC)},
      .group = GroupIncarnation(0xDEF),
      .hard_state = {.term = Term(4),
                     .vote = ReplicaId{.node = NodeId(1), .incarnation = NodeIncarnation(2)},
                     .recovery = 5},
      .last = {.term = Term(3), .index = Index(77)},
      .commit = Index(70),
      .membership = {.voters = {{.node = NodeId(3), .incarnation = NodeIncarnation(0xABC)}}}};
  const GroupSurvivor each{.group = GroupId(2), .survivor = survivor};
  const std::string line = print_survivor(each);
  const auto read = parse_survivors("# node 3\r\n\n" + line + "\r\n", "f");
  ASSERT_TRUE(read) << read.error().message();
  ASSERT_EQ(read->size(), 1U);
  EXPECT_EQ(read->front(), each);
  for (std::size_t i = 0; i < line.size(); ++i) {
    std::string changed = line;
    changed[i] = changed[i] == '7' ? '8' : '7';
    const auto refused = parse_survivors("\n" + changed, "f");
    ASSERT_FALSE(refused) << changed;
    EXPECT_THAT(refused.error().message(), HasSubstr("f:2:"));
    EXPECT_FALSE(parse_survivors(line.substr(0, i == 0 ? 1 : i), "f"));
  }
}

}  // namespace
}  // namespace lignum::server
