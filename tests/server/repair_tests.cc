// A replica whose log is damaged is repaired from the other members and joins again: found at a
// start or by a read, whoever leads, also where every replica is damaged somewhere. Until then it
// has no vote, and nothing that was acknowledged is lost.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "jepsen/sim/sim_disk.h"
#include "net/peer_message.h"
#include "net/proto/client.pb.h"
#include "net/repair_messages.h"
#include "raft/error.h"
#include "raft/output.h"
#include "raft/types.h"
#include "server/group/replica.h"
#include "server/group/segment_store.h"
#include "server/service/call.h"
#include "storage/memory_state_store.h"
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

constexpr std::size_t kSegment = std::size_t{128} << 10;
constexpr GroupId kGroup(1);

class RepairTest : public ::testing::Test {
 protected:
  RepairTest() {
    EXPECT_TRUE(cluster.start_all());
    auto request = create_request("app");
    request.mutable_create_stream()->set_shards(1);
    stream = cluster.make_stream(request, kGroup).value_or(0);
    EXPECT_NE(stream, 0U);
  }

  static std::string text_of(int number) { return fmt::format("{:07000}/", number); }
  bool append(int number) {
    for (int i = 0; i < 100; ++i) {
      std::optional<std::size_t> leads;
      cluster.wait([&] { return (leads = leader()).has_value(); });
      if (!leads) return false;
      const auto answer =
          cluster.call(*leads, append_request(stream, 0), make_batch(1, {}, text_of(number)));
      if (answer && answer->response.has_append()) return true;
      cluster.advance(50'000);
    }
    return false;
  }
  void fill(int count) {
    for (int i = 0; i < count; ++i) ASSERT_TRUE(append(appended++)) << appended;
  }

  void trim(std::uint64_t before) {
    wire::Request request;
    request.mutable_trim()->set_stream(stream);
    request.mutable_trim()->set_shard(0);
    request.mutable_trim()->set_before_offset(before);
    const auto answer = cluster.call(*leader(), request);
    ASSERT_TRUE(answer && answer->response.has_trim());
  }

  // Null where the group has no replica.
  Replica* replica(std::size_t i) {
    if (!cluster.up(i)) return nullptr;
    for (Replica* each : cluster.node(i).host().replicas()) {
      if (each->group() == kGroup && !each->halted()) return each;
    }
    return nullptr;
  }
  std::optional<std::size_t> leader() {
    for (std::size_t i = 0; i < cluster.size(); ++i) {
      const Replica* const found = replica(i);
      if (found != nullptr && found->admitting()) return i;
    }
    return std::nullopt;
  }
  // Every node that is up has applied the same of every group.
  bool settled() {
    std::map<GroupId, std::set<Index>> applied;
    for (std::size_t i = 0; i < cluster.size(); ++i) {
      if (!cluster.up(i)) continue;
      const auto replicas = cluster.node(i).host().replicas();
      if (replicas.size() != 2 || replica(i) == nullptr) return false;
      for (const Replica* each : replicas) applied[each->group()].insert(each->applied().index);
    }
    return leader().has_value() &&
           std::ranges::all_of(applied, [](const auto& each) { return each.second.size() == 1; });
  }
  std::string segment(std::size_t i, const std::string& group, bool last) {
    std::string found;
    for (const auto& file : cluster.cell(i).disk->files()) {
      if (!file.path.starts_with("groups/" + group + "/") || !file.path.ends_with(".seg")) continue;
      const auto bytes = cluster.cell(i).disk->contents(file.path);
      // A spare has no frame.
      if (bytes.size() < 4104 || bytes[4096] == std::byte{0}) continue;
      if (found.empty() || last) found = file.path;
    }
    return found;
  }
  // None that is up has what comes right behind `index` any more.
  bool wait_until_cleaned(Index index) {
    return cluster.wait([&] {
      for (std::size_t i = 0; i < cluster.size(); ++i) {
        if (cluster.up(i) && cluster.status_of(i, kGroup).log_first <= index.next()) return false;
      }
      return true;
    });
  }
  // Damages what can be told to be damage: a batch that is followed by others.
  // How its text ends: looking for all of its zeros among zeros would take long.
  void hurt(std::size_t i, int number) { damage(i, fmt::format("{:08}/", number)); }
  void damage(std::size_t i, const std::string& text) {
    for (const auto& file : cluster.cell(i).disk->files()) {
      const std::vector<std::byte> bytes = cluster.cell(i).disk->contents(file.path);
      const auto found = std::ranges::search(bytes, std::as_bytes(std::span(text)));
      if (found.empty()) continue;
      cluster.cell(i).disk->flip(file.path,
                                 static_cast<std::uint64_t>(found.begin() - bytes.begin()), 1);
      return;
    }
    FAIL() << "the batch " << text << " is nowhere on node " << i;
  }
  // Everything that was appended from `next` on, read from node `i`.
  void expect_all(std::size_t i, int next = 0) {
    while (next < appended) {
      auto request = read_request(stream, 0, static_cast<std::uint64_t>(next));
      request.mutable_read()->set_bytes_max(1 << 20);
      const auto answer = cluster.call(i, request);
      ASSERT_TRUE(answer && answer->response.has_read())
          << "node " << i << " at " << next << ": "
          << (answer ? answer->response.failure().message() : "no answer");
      ASSERT_GT(answer->response.read().next_offset(), static_cast<std::uint64_t>(next));
      next = static_cast<int>(answer->response.read().next_offset());
    }
  }
  bool reported(std::size_t i, const std::string& what) {
    return std::ranges::any_of(cluster.node(i).world.reports,
                               [&](const std::string& each) { return each.contains(what); });
  }

  SimCluster cluster{
      3, SegmentStoreOptions{.segment_bytes_min = kSegment, .segment_bytes_max = kSegment}};
  std::uint64_t stream = 0;
  int appended = 0;
};

TEST_F(RepairTest, DamageThatAStartFindsIsRepaired) {
  fill(60);
  ASSERT_TRUE(cluster.wait([&] { return settled(); }));
  const std::size_t victim = (*leader() + 1) % 3;
  cluster.kill(victim);
  // In the active segment, and a whole sealed one.
  hurt(victim, 57);
  cluster.cell(victim).disk->erase(segment(victim, "1", false));
  ASSERT_TRUE(cluster.start(victim)) << cluster.node(victim).error;
  EXPECT_EQ(cluster.node(victim).report.mending, 1U);
  ASSERT_TRUE(cluster.wait([&] { return settled(); }));
  EXPECT_TRUE(reported(victim, "its log is whole"));
  fill(5);
  ASSERT_TRUE(cluster.wait([&] { return settled(); }));
  for (std::size_t i = 0; i < 3; ++i) expect_all(i);
  // And it stays so.
  ASSERT_TRUE(cluster.stop(victim));
  ASSERT_TRUE(cluster.start(victim));
  EXPECT_EQ(cluster.node(victim).report.halted, 0U);
  ASSERT_TRUE(cluster.wait([&] { return settled(); }));
  expect_all(victim);
}

// Whichever read of the repair, or of the start after it, fails this once.
TEST_F(RepairTest, ADiskThatCannotBeReadForAMomentHoldsNothingUpForGood) {
  fill(60);
  ASSERT_TRUE(cluster.wait([&] { return settled(); }));
  const std::size_t victim = (*leader() + 1) % 3;
  bool struck = true;
  bool again = false;
  for (std::uint64_t nth = 1; struck && nth < 200; nth += nth < 20 ? 1 : 7) {
    SCOPED_TRACE(nth);
    cluster.kill(victim);
    hurt(victim, 57);
    ASSERT_TRUE(cluster.start(victim)) << cluster.node(victim).error;
    jepsen::SimDisk& disk = *cluster.cell(victim).disk;
    disk.fail({.op = jepsen::DiskOp::kRead, .nth = nth, .path_part = "groups/"});
    ASSERT_TRUE(cluster.wait([&] { return settled(); }));
    struck = disk.faults_struck() > 0;
    again = again || reported(victim, "group 1 is halted");
    disk.clear_faults();
    expect_all(victim);
  }
  // The last one was beyond all reads; one of the others met the start.
  EXPECT_FALSE(struck);
  EXPECT_TRUE(again);
}

// The read that failed hid the damage, which the next look finds.
TEST_F(RepairTest, ADamagedLogThatCannotBeReadAtOnceIsRepairedAfterwards) {
  fill(60);
  ASSERT_TRUE(cluster.wait([&] { return settled(); }));
  const std::size_t victim = (*leader() + 1) % 3;
  bool again = false;
  for (std::uint64_t nth = 1; nth < 20; ++nth) {
    SCOPED_TRACE(nth);
    cluster.kill(victim);
    hurt(victim, 57);
    cluster.cell(victim).disk->fail(
        {.op = jepsen::DiskOp::kRead, .nth = nth, .path_part = "groups/1/"});
    ASSERT_TRUE(cluster.start(victim)) << cluster.node(victim).error;
    ASSERT_TRUE(cluster.wait([&] { return settled(); }));
    again = again || reported(victim, "injected fault");
    cluster.cell(victim).disk->clear_faults();
    expect_all(victim);
  }
  EXPECT_TRUE(again);
}

TEST_F(RepairTest, ReplicasThatAreAllDamagedHealOneAnotherWithoutALeader) {
  fill(60);
  ASSERT_TRUE(cluster.wait([&] { return settled(); }));
  for (std::size_t i = 0; i < 3; ++i) cluster.kill(i);
  for (std::size_t i = 0; i < 3; ++i) hurt(i, 53 + static_cast<int>(i));
  for (std::size_t i = 0; i < 3; ++i) {
    ASSERT_TRUE(cluster.start(i)) << cluster.node(i).error;
    EXPECT_EQ(cluster.node(i).report.mending, 1U);
  }
  ASSERT_TRUE(cluster.wait([&] { return settled(); }));
  fill(3);
  ASSERT_TRUE(cluster.wait([&] { return settled(); }));
  for (std::size_t i = 0; i < 3; ++i) expect_all(i);
}

TEST_F(RepairTest, DamageThatAReadFindsIsRepaired) {
  fill(60);
  ASSERT_TRUE(cluster.wait([&] { return settled(); }));
  const std::size_t victim = (*leader() + 1) % 3;
  // So that it reads from its disk.
  ASSERT_TRUE(cluster.stop(victim));
  ASSERT_TRUE(cluster.start(victim));
  ASSERT_TRUE(cluster.wait([&] { return settled(); }));
  hurt(victim, 4);
  const Replica* const before = replica(victim);
  const auto answer = cluster.call(victim, read_request(stream, 0, 4));
  ASSERT_TRUE(answer && answer->response.has_failure());
  EXPECT_EQ(static_cast<Errc>(answer->response.failure().code()), Errc::kCorrupt);
  ASSERT_TRUE(cluster.wait([&] { return replica(victim) != nullptr && settled(); }));
  EXPECT_NE(replica(victim), before);
  expect_all(victim);
  fill(3);
  ASSERT_TRUE(cluster.wait([&] { return settled(); }));
  expect_all(victim);
}

TEST_F(RepairTest, DamageThatNobodyReadsIsFoundAllTheSame) {
  fill(60);
  ASSERT_TRUE(cluster.wait([&] { return settled(); }));
  const std::size_t victim = (*leader() + 1) % 3;
  ASSERT_TRUE(cluster.stop(victim));
  cluster.cell(victim).scrub = {.piece_every_us = 50'000, .pass_every_us = 500'000};
  ASSERT_TRUE(cluster.start(victim));
  ASSERT_TRUE(cluster.wait([&] { return settled(); }));
  const Replica* const before = replica(victim);
  cluster.advance(2'000'000);
  EXPECT_EQ(replica(victim), before);
  hurt(victim, 4);
  ASSERT_TRUE(cluster.wait(
      [&] { return replica(victim) != nullptr && replica(victim) != before && settled(); }));
  expect_all(victim);
}

TEST_F(RepairTest, ALeaderThatCannotReadItsLogIsRepairedToo) {
  fill(60);
  ASSERT_TRUE(cluster.wait([&] { return settled(); }));
  const std::size_t victim = *leader();
  const std::size_t away = (victim + 1) % 3;
  cluster.kill(away);
  fill(60);
  // It can be sent neither from memory.
  hurt(victim, 70);
  ASSERT_TRUE(cluster.start(away));
  ASSERT_TRUE(cluster.wait([&] { return settled(); }));
  EXPECT_TRUE(reported(victim, "its log is whole") || !reported(victim, "halts"));
  for (std::size_t i = 0; i < 3; ++i) {
    if (i != victim) expect_all(i);
  }
}

TEST_F(RepairTest, TheCatalogueIsRepairedBeforeAnythingIsServed) {
  fill(10);
  ASSERT_TRUE(cluster.wait([&] { return settled(); }));
  const std::size_t victim = (*leader() + 1) % 3;
  ASSERT_TRUE(cluster.stop(victim));
  const std::string path = segment(victim, "0", true);
  cluster.cell(victim).disk->flip(path, 4096 + 20, 1);
  EXPECT_FALSE(cluster.start(victim));
  EXPECT_EQ(cluster.node(victim).error, "");
  ASSERT_TRUE(cluster.wait([&] { return reported(victim, "group 0: its log is whole"); }));
  ASSERT_TRUE(cluster.wait([&] { return settled(); }));
  expect_all(victim);
}

// Only a leader may say how far a log reached whose end is gone; until one does it has no vote.
TEST_F(RepairTest, ALogWhoseEndIsLostWaitsForALeadersWord) {
  fill(20);
  ASSERT_TRUE(cluster.wait([&] { return settled(); }));
  const std::size_t leads = *leader();
  const std::size_t victim = (leads + 1) % 3;
  const std::size_t behind = (leads + 2) % 3;
  // Acknowledged by the leader and the victim alone.
  cluster.cut_off(behind);
  fill(10);
  for (std::size_t i = 0; i < 3; ++i) cluster.kill(i);
  cluster.heal();
  cluster.cell(victim).disk->erase(segment(victim, "1", true));
  ASSERT_TRUE(cluster.start(victim)) << cluster.node(victim).error;
  ASSERT_TRUE(cluster.start(behind));
  cluster.advance(20'000'000);
  EXPECT_EQ(replica(victim), nullptr);
  EXPECT_FALSE(leader().has_value());
  EXPECT_TRUE(reported(victim, "stays halted: it is not known how far its log reached"));
  // With it the entries come back.
  ASSERT_TRUE(cluster.start(leads));
  ASSERT_TRUE(cluster.wait([&] { return settled(); }));
  for (std::size_t i = 0; i < 3; ++i) expect_all(i);
}

// The bytes alone are those of a log before its first flush into that segment; what this replica
// has acknowledged and not applied no checkpoint proves.
TEST_F(RepairTest, ARunningLogThatIsBlankSuddenlyHasNoVoteBeforeALeadersWord) {
  fill(60);
  ASSERT_TRUE(cluster.wait([&] { return settled(); }));
  const std::size_t victim = (*leader() + 1) % 3;
  for (std::size_t i = 0; i < 3; ++i) cluster.kill(i);
  cluster.cell(victim).scrub = {.piece_every_us = 50'000, .pass_every_us = 500'000};
  // Alone it hears of no commit.
  ASSERT_TRUE(cluster.start(victim));
  const Index had = replica(victim)->log().durable();
  ASSERT_LT(replica(victim)->applied().index, had);
  const std::string path = segment(victim, "1", true);
  std::vector<std::byte> bytes = cluster.cell(victim).disk->contents(path);
  std::fill(bytes.begin() + 4096, bytes.end(), std::byte{0});
  cluster.cell(victim).disk->put(path, bytes);
  cluster.advance(20'000'000);
  EXPECT_TRUE(reported(victim, "group 1 halts"));
  EXPECT_TRUE(reported(victim, "it is not known how far its log reached"));
  EXPECT_EQ(replica(victim), nullptr);
  ASSERT_TRUE(cluster.start((victim + 1) % 3));
  ASSERT_TRUE(cluster.start((victim + 2) % 3));
  ASSERT_TRUE(cluster.wait([&] { return settled(); }));
  EXPECT_GE(replica(victim)->log().durable(), had);
  expect_all(victim);
}

// It may have been replaced meanwhile, by one that has more.
TEST_F(RepairTest, ALeaderThatCannotConfirmItselfSaysNothingOfTheEnd) {
  fill(20);
  ASSERT_TRUE(cluster.wait([&] { return settled(); }));
  const std::size_t leads = *leader();
  const std::size_t victim = (leads + 1) % 3;
  const std::size_t other = (leads + 2) % 3;
  cluster.kill(victim);
  cluster.cell(victim).disk->erase(segment(victim, "1", true));
  cluster.cut(leads, other);
  cluster.cut(other, leads);
  int asked = 0;
  int told = 0;
  cluster.on_deliver([&](const net::PeerMessage& message) {
    const auto* const request = std::get_if<net::RepairRequest>(&message.body);
    if (request != nullptr && !request->last &&
        request->to.node == NodeId(static_cast<std::uint32_t>(leads + 1)))
      ++asked;
    const auto* const reply = std::get_if<net::RepairReply>(&message.body);
    if (reply != nullptr && reply->answer != net::RepairReply::Answer::kNothing) ++told;
    return true;
  });
  ASSERT_TRUE(cluster.start(victim)) << cluster.node(victim).error;
  for (int i = 0; i < 50 && asked == 0; ++i) cluster.advance(10'000);
  cluster.advance(10'000);
  EXPECT_GT(asked, 0);
  EXPECT_EQ(cluster.status_of(leads, kGroup).role, raft::Role::kLeader);
  EXPECT_EQ(told, 0);
  cluster.heal();
  ASSERT_TRUE(cluster.wait([&] { return settled(); }));
  EXPECT_GT(told, 0);
  for (std::size_t i = 0; i < 3; ++i) expect_all(i);
  cluster.on_deliver([](const net::PeerMessage&) { return true; });
}

// What it lost was trimmed and cleaned by all the others while it was away: their state makes up
// for it, and what they kept of the log.
TEST_F(RepairTest, WhatOthersHaveCleanedIsMadeUpForByTheirState) {
  fill(60);
  ASSERT_TRUE(cluster.wait([&] { return settled(); }));
  const std::size_t victim = (*leader() + 1) % 3;
  const Index had = cluster.status_of(victim, kGroup).log_last;
  cluster.kill(victim);
  fill(60);
  trim(100);
  ASSERT_TRUE(wait_until_cleaned(had));
  hurt(victim, 40);
  ASSERT_TRUE(cluster.start(victim)) << cluster.node(victim).error;
  EXPECT_EQ(cluster.node(victim).report.mending, 1U);
  ASSERT_TRUE(cluster.wait([&] { return settled(); }));
  EXPECT_TRUE(reported(victim, "made anew from the state of another one"));
  fill(5);
  ASSERT_TRUE(cluster.wait([&] { return settled(); }));
  const auto answer = cluster.call(victim, read_request(stream, 0, 40));
  ASSERT_TRUE(answer && answer->response.has_failure());
  EXPECT_EQ(static_cast<Errc>(answer->response.failure().code()), Errc::kTrimmed);
  for (std::size_t i = 0; i < 3; ++i) expect_all(i, 100);
  // And it stays so.
  ASSERT_TRUE(cluster.stop(victim));
  ASSERT_TRUE(cluster.start(victim));
  EXPECT_EQ(cluster.node(victim).report.halted, 0U);
  ASSERT_TRUE(cluster.wait([&] { return settled(); }));
  expect_all(victim, 100);
}

// Neither does anything tell how far it reached: the leader does, whose log begins behind that.
TEST_F(RepairTest, AnEndThatTheLeaderHasCleanedIsMadeUpForByTheState) {
  fill(60);
  ASSERT_TRUE(cluster.wait([&] { return settled(); }));
  const std::size_t victim = (*leader() + 1) % 3;
  const Index had = cluster.status_of(victim, kGroup).log_last;
  cluster.kill(victim);
  cluster.cell(victim).disk->erase(segment(victim, "1", true));
  fill(60);
  trim(100);
  ASSERT_TRUE(wait_until_cleaned(had));
  ASSERT_TRUE(cluster.start(victim)) << cluster.node(victim).error;
  ASSERT_TRUE(cluster.wait([&] { return settled(); }));
  EXPECT_TRUE(reported(victim, "the leader has no entry"));
  fill(5);
  ASSERT_TRUE(cluster.wait([&] { return settled(); }));
  for (std::size_t i = 0; i < 3; ++i) expect_all(i, 100);
}

// Its log is sound, and begins where its state no longer reaches: both copies of that are gone.
TEST_F(RepairTest, AStateThatIsLostIsFetchedFromAnotherMember) {
  fill(120);
  trim(100);
  ASSERT_TRUE(cluster.wait([&] {
    for (std::size_t i = 0; i < cluster.size(); ++i) {
      if (cluster.status_of(i, kGroup).log_first <= Index(20)) return false;
    }
    return settled();
  }));
  const std::size_t victim = (*leader() + 1) % 3;
  int lost = 0;
  const auto lose_state = [&] {
    cluster.kill(victim);
    *cluster.cell(victim).store = storage::MemoryStateStore();
    // Not the same twice, or it would be whole again.
    const std::uint64_t byte = lost++ == 0 ? 40 : 41;
    for (const auto& file : cluster.cell(victim).disk->files()) {
      const bool image = file.path.starts_with("images/1/");
      if (image) cluster.cell(victim).disk->flip(file.path, byte, 8);
    }
  };
  lose_state();
  ASSERT_TRUE(cluster.start(victim)) << cluster.node(victim).error;
  EXPECT_EQ(cluster.node(victim).report.halted, 1U);
  ASSERT_TRUE(cluster.wait([&] { return settled(); }));
  EXPECT_TRUE(reported(victim, "its state does not reach its log"));
  fill(5);
  ASSERT_TRUE(cluster.wait([&] { return settled(); }));
  for (std::size_t i = 0; i < 3; ++i) expect_all(i, 100);
  // Nobody gives one: it says so, and goes on when somebody does.
  cluster.cut_off(victim);
  lose_state();
  ASSERT_TRUE(cluster.start(victim)) << cluster.node(victim).error;
  cluster.advance(20'000'000);
  EXPECT_EQ(replica(victim), nullptr);
  EXPECT_TRUE(reported(victim, "no other member gives its own"));
  cluster.heal();
  ASSERT_TRUE(cluster.wait([&] { return settled(); }));
  expect_all(victim, 100);
}

// What an old leader had appended alone was never committed; the others have other entries there,
// and give those. No repair leads to what was lost, and nothing of it is needed.
TEST_F(RepairTest, AHistoryThatLostIsMadeUpForByTheStateOfTheOthers) {
  fill(20);
  ASSERT_TRUE(cluster.wait([&] { return settled(); }));
  const std::size_t victim = *leader();
  cluster.cut_off(victim);
  const auto alone = [&](int number) {
    auto request = append_request(stream, 0);
    request.set_deadline_ms(1);
    (void)cluster.call(victim, request, make_batch(1, {}, fmt::format("{:07000}-", number)));
  };
  const Index before = cluster.status_of(victim, kGroup).log_last;
  for (int number = 0; number < 5; ++number) alone(number);
  ASSERT_GE(cluster.status_of(victim, kGroup).log_last, Index(before.value() + 3));
  cluster.kill(victim);
  cluster.heal();
  fill(20);
  ASSERT_TRUE(cluster.wait([&] { return settled(); }));
  damage(victim, fmt::format("{:08}-", 1));
  ASSERT_TRUE(cluster.start(victim)) << cluster.node(victim).error;
  EXPECT_EQ(cluster.node(victim).report.mending, 1U);
  ASSERT_TRUE(cluster.wait([&] { return settled(); }));
  EXPECT_TRUE(reported(victim, "made anew from the state of another one"));
  for (std::size_t i = 0; i < 3; ++i) expect_all(i);
}

// Nobody else has it: it stays as it is, and says so.
TEST_F(RepairTest, WhatNobodyHasKeepsTheGroupHalted) {
  fill(30);
  ASSERT_TRUE(cluster.wait([&] { return settled(); }));
  for (std::size_t i = 0; i < 3; ++i) cluster.kill(i);
  for (std::size_t i = 0; i < 3; ++i) hurt(i, 25);
  for (std::size_t i = 0; i < 3; ++i) ASSERT_TRUE(cluster.start(i));
  cluster.advance(20'000'000);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(replica(i), nullptr);
    EXPECT_TRUE(reported(i, "stays halted: no other member has entries"));
  }
}

}  // namespace
}  // namespace lignum::server
