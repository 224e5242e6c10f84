// The catalogue of group 0, command by command, and its pairs on disk.

#include "server/meta/meta_state.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "net/hash_ring.h"
#include "net/routing_table.h"
#include "raft/entry.h"
#include "raft/error.h"
#include "raft/payload.h"
#include "raft/random.h"
#include "raft/types.h"
#include "server/meta/stream_name.h"
#include "storage/state_store.h"
#include "tests/server/entries.h"

namespace lignum::server {
namespace {

using testing::at;
using testing::batch_entry;
using testing::command_entry;
using testing::damage;
using testing::Pairs;
using testing::pairs_of;
using testing::restore_all;

class MetaStateTest : public ::testing::Test {
 protected:
  const MetaOutcome& apply(Payload command) {
    const auto applied = state.apply(command_entry(at(++last), std::move(command)));
    EXPECT_TRUE(applied) << applied.error().message();
    return state.last_outcome();
  }
  void init() {
    ClusterId cluster{};
    cluster[0] = std::byte{9};
    const auto& outcome =
        apply(encode_init_cluster({.cluster = cluster,
                                   .node = {.node = NodeId(1), .incarnation = NodeIncarnation(2)},
                                   .data_groups = {GroupId(1), GroupId(2), GroupId(3)}}));
    EXPECT_TRUE(std::holds_alternative<ClusterInitialised>(outcome));
  }
  StreamCreated create(const std::string& name, std::uint32_t shards = 4) {
    const auto& outcome = apply(encode_create_stream({.name = name, .shards = shards}));
    const auto* created = std::get_if<StreamCreated>(&outcome);
    EXPECT_NE(created, nullptr);
    return created == nullptr ? StreamCreated{} : *created;
  }
  Errc refused(Payload command) {
    const auto& outcome = apply(std::move(command));
    const auto* error = std::get_if<Error>(&outcome);
    return error == nullptr ? Errc{} : error->code();
  }
  [[nodiscard]] Epoch epoch() const { return state.table()->epoch(); }

  MetaState state;
  std::uint64_t last = 0;
};

TEST_F(MetaStateTest, IsEmptyBeforeItsFirstCommand) {
  EXPECT_EQ(state.cluster(), std::nullopt);
  EXPECT_EQ(epoch(), Epoch(0));
  EXPECT_EQ(refused(encode_create_stream({.name = "app", .shards = 1})), Errc::kUnavailable);
}

TEST_F(MetaStateTest, AClusterIsInitialisedOnce) {
  init();
  EXPECT_EQ(epoch(), Epoch(1));
  ClusterId other{};
  other[0] = std::byte{1};
  const auto& again =
      apply(encode_init_cluster({.cluster = other, .node = {}, .data_groups = {GroupId(7)}}));
  EXPECT_TRUE(std::holds_alternative<ClusterInitialised>(again));
  EXPECT_EQ(state.cluster()->at(0), std::byte{9});
  EXPECT_EQ(state.data_groups().size(), 3U);
  EXPECT_EQ(epoch(), Epoch(1));
}

TEST_F(MetaStateTest, AStreamGetsTheNextIdAndTheRingsPlaces) {
  init();
  const StreamCreated app = create("app", 8);
  EXPECT_EQ(app.id, StreamId(1));
  EXPECT_FALSE(app.existed);
  EXPECT_EQ(epoch(), Epoch(2));
  const net::RoutingTable& table = *state.table();
  const net::StreamRoute* stream = table.find("app");
  ASSERT_NE(stream, nullptr);
  EXPECT_EQ(stream->created, static_cast<TimeUs>(last) * 1000);
  const net::HashRing ring(state.data_groups());
  for (std::uint32_t shard = 0; shard < 8; ++shard) {
    EXPECT_EQ(stream->shards.at(shard),
              ring.group_of({.stream = app.id, .shard = ShardNumber(shard)}));
  }
}

TEST_F(MetaStateTest, CreatingTwiceIsTheSameStreamOrAConflict) {
  init();
  create("app");
  const Epoch before = epoch();
  EXPECT_TRUE(create("app").existed);
  EXPECT_EQ(refused(encode_create_stream({.name = "app", .shards = 5})), Errc::kAlreadyExists);
  EXPECT_EQ(refused(encode_create_stream({.name = "app", .shards = 4, .retention_ms = 1})),
            Errc::kAlreadyExists);
  EXPECT_EQ(epoch(), before);
}

TEST_F(MetaStateTest, AStreamIdIsNeverUsedAgain) {
  init();
  std::set<StreamId> seen;
  for (int round = 0; round < 5; ++round) {
    EXPECT_TRUE(seen.insert(create("app").id).second);
    // Also not over a restart.
    const Pairs pairs = pairs_of(state);
    state.reset();
    ASSERT_TRUE(restore_all(state, pairs));
    const auto& outcome = apply(encode_delete_stream("app"));
    EXPECT_TRUE(std::holds_alternative<StreamDeleted>(outcome));
    EXPECT_EQ(state.table()->find("app"), nullptr);
  }
  EXPECT_EQ(refused(encode_delete_stream("app")), Errc::kNotFound);
}

TEST_F(MetaStateTest, TheEpochRisesWithTheCatalogueAndTheOldTableStays) {
  init();
  create("a");
  const auto before = state.table();
  EXPECT_EQ(state.table(), before) << "one snapshot while nothing changes";
  create("b");
  const auto after = state.table();
  EXPECT_EQ(after->epoch(), before->epoch().next());
  EXPECT_EQ(before->find("b"), nullptr);
  EXPECT_NE(after->find("b"), nullptr);
  apply(encode_allocate_producers(1000));
  EXPECT_EQ(state.table(), after);
}

TEST_F(MetaStateTest, ProducerIdsAreHandedOutOnce) {
  init();
  const auto allocate = [this](std::uint32_t count) {
    const auto& outcome = apply(encode_allocate_producers(count));
    const auto* block = std::get_if<ProducersAllocated>(&outcome);
    EXPECT_NE(block, nullptr);
    return block == nullptr ? ProducerId(0) : block->first;
  };
  EXPECT_EQ(allocate(1000), ProducerId(1));
  EXPECT_EQ(allocate(7), ProducerId(1001));
  const Pairs pairs = pairs_of(state);
  state.reset();
  ASSERT_TRUE(restore_all(state, pairs));
  EXPECT_EQ(allocate(1000), ProducerId(1008));
  EXPECT_EQ(refused(encode_allocate_producers(0)), Errc::kInvalidArgument);
  EXPECT_EQ(refused(encode_allocate_producers(2'000'000)), Errc::kInvalidArgument);
  EXPECT_EQ(allocate(1), ProducerId(2008));
}

TEST_F(MetaStateTest, ApplyChecksNamesAndCountsAgain) {
  init();
  for (const std::string_view name : {"", ".", "..", "a/b", "a b", "\x1b[31m"}) {
    EXPECT_EQ(refused(encode_create_stream({.name = std::string(name), .shards = 1})),
              Errc::kInvalidArgument);
  }
  EXPECT_EQ(refused(encode_create_stream({.name = "app", .shards = 0})), Errc::kInvalidArgument);
  EXPECT_EQ(refused(encode_create_stream({.name = "app", .shards = kShardsPerStreamMax + 1})),
            Errc::kInvalidArgument);
  EXPECT_TRUE(state.table()->streams().empty());
}

TEST_F(MetaStateTest, WhatIsNoCommandIsDamage) {
  init();
  const auto damaged = [this](const Entry& entry) {
    const auto applied = state.apply(entry);
    return applied ? Errc{} : applied.error().code();
  };
  EXPECT_EQ(damaged(command_entry(at(9), Payload())), Errc::kCorrupt);
  EXPECT_EQ(damaged(command_entry(at(9), Payload(std::vector<std::byte>(5, std::byte{0xFF})))),
            Errc::kCorrupt);
  EXPECT_EQ(damaged(batch_entry(at(9), {.shard = {}, .base = Offset(0)})), Errc::kCorrupt);
  Entry no_op;
  no_op.header.kind = EntryKind::kNoOp;
  EXPECT_EQ(damaged(no_op), Errc{});
}

std::vector<net::StreamRoute> routes_of(const net::RoutingTable& table) {
  std::vector<net::StreamRoute> routes;
  for (const net::StreamRoute* stream : table.streams()) routes.push_back(*stream);
  return routes;
}

TEST_F(MetaStateTest, ChangesAndPairsTellTheSameStory) {
  Pairs kept;
  Random random(21, "meta");
  init();
  for (int round = 0; round < 3000; ++round) {
    const std::string name = "s" + std::to_string(random.below(12));
    if (random.chance(1, 10)) {
      apply(encode_allocate_producers(1 + static_cast<std::uint32_t>(random.below(9))));
    } else if (random.chance(1, 3)) {
      apply(encode_delete_stream(name));
    } else {
      apply(encode_create_stream(
          {.name = name, .shards = 1 + static_cast<std::uint32_t>(random.below(3))}));
    }
    if (!random.chance(1, 7)) continue;
    for (const storage::StateWrite& write : state.take_changes()) {
      if (write.value) {
        kept[write.key] = *write.value;
      } else {
        kept.erase(write.key);
      }
    }
    ASSERT_EQ(kept, pairs_of(state));
    if (!random.chance(1, 5)) continue;
    const auto before = state.table();
    state.reset();
    ASSERT_TRUE(restore_all(state, kept));
    EXPECT_EQ(state.table()->epoch(), before->epoch());
    EXPECT_EQ(routes_of(*state.table()), routes_of(*before));
    EXPECT_TRUE(std::ranges::all_of(before->streams(), [&](const net::StreamRoute* stream) {
      return state.table()->find(stream->name)->id == stream->id;
    }));
    EXPECT_EQ(state.table()->groups(), before->groups());
  }
}

TEST_F(MetaStateTest, APairThatContradictsTheOthersIsDamage) {
  init();
  create("a");
  create("b");
  const Pairs pairs = pairs_of(state);
  ASSERT_EQ(pairs.size(), 3U);
  const auto judge = [](const Pairs& changed) {
    MetaState other;
    const auto restored = restore_all(other, changed);
    return restored ? Errc{} : restored.error().code();
  };
  Pairs headless = pairs;
  headless.erase("c");
  EXPECT_EQ(judge(headless), Errc::kCorrupt) << "streams nobody created";
  Pairs twins = pairs;
  twins.rbegin()->second = std::next(pairs.begin())->second;
  EXPECT_EQ(judge(twins), Errc::kCorrupt) << "one name for two streams";
  EXPECT_EQ(judge(pairs), Errc{});
}

TEST_F(MetaStateTest, DamagedPairsAreRefusedOrHarmless) {
  init();
  create("alpha");
  create("beta");
  const Pairs pairs = pairs_of(state);
  Random random(22, "damage");
  int refusals = 0;
  constexpr int kRounds = 20'000;
  for (int round = 0; round < kRounds; ++round) {
    Pairs changed = pairs;
    auto victim = std::next(changed.begin(), static_cast<std::ptrdiff_t>(random.below(3)));
    damage(victim->second, random);
    MetaState other;
    const auto restored = restore_all(other, changed);
    if (!restored) {
      EXPECT_EQ(restored.error().code(), Errc::kCorrupt);
      ++refusals;
      continue;
    }
    for (const Payload& command : {encode_create_stream({.name = "gamma", .shards = 2}),
                                   encode_delete_stream("alpha"), encode_allocate_producers(5)}) {
      EXPECT_TRUE(other.apply(command_entry(at(50), command)));
    }
    EXPECT_NE(other.table(), nullptr);
    EXPECT_FALSE(pairs_of(other).empty());
  }
  EXPECT_GT(refusals, kRounds / 10);
}

// Every command line would take it for a flag. What a log holds from before that rule stays: an
// entry means the same on every replica and at every version.
TEST(StreamName, OfANewStreamHasNoDashInFront) {
  for (const std::string_view name : {"-", "-x", "--yes"}) {
    EXPECT_TRUE(check_stream_name(name)) << name;
    const auto checked = check_new_stream_name(name);
    ASSERT_FALSE(checked) << name;
    EXPECT_EQ(checked.error().code(), Errc::kInvalidArgument);
  }
  EXPECT_FALSE(check_new_stream_name("a b"));
}

TEST(StreamName, IsWhatKafkaTakesForATopic) {
  EXPECT_TRUE(check_stream_name("a"));
  EXPECT_TRUE(check_stream_name("Web.front-end_2"));
  EXPECT_TRUE(check_stream_name("..."));
  EXPECT_TRUE(check_stream_name(std::string(249, 'x')));
  EXPECT_TRUE(check_new_stream_name("a-"));
  for (const std::string& name :
       {std::string(), std::string("."), std::string(".."), std::string(250, 'x'),
        std::string("../etc"), std::string("a\0b", 3), std::string("\xc3\xa9"), std::string("a b"),
        std::string("\x1b[2J")}) {
    const auto checked = check_stream_name(name);
    ASSERT_FALSE(checked);
    EXPECT_EQ(checked.error().code(), Errc::kInvalidArgument);
    for (const char character : checked.error().message()) {
      EXPECT_GE(character, ' ') << "a message a terminal could take for a command";
    }
  }
}

}  // namespace
}  // namespace lignum::server
