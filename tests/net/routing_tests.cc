// Where shards and keys go.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "net/hash_ring.h"
#include "net/partitioner.h"
#include "net/routing_table.h"
#include "raft/payload.h"
#include "raft/random.h"
#include "raft/types.h"

namespace lignum::net {
namespace {

std::vector<GroupId> groups_up_to(std::uint32_t last) {
  std::vector<GroupId> groups;
  for (std::uint32_t group = 1; group <= last; ++group) groups.emplace_back(group);
  return groups;
}

std::vector<ShardKey> shards_of(std::uint64_t streams, std::uint32_t shards) {
  std::vector<ShardKey> keys;
  for (std::uint64_t stream = 1; stream <= streams; ++stream) {
    for (std::uint32_t shard = 0; shard < shards; ++shard) {
      keys.push_back({.stream = StreamId(stream), .shard = ShardNumber(shard)});
    }
  }
  return keys;
}

// The ring is recorded in group 0 by its version: the same version must mean the same answers.
TEST(HashRing, GivesTheAnswersOfItsVersion) {
  ASSERT_EQ(kRingVersion, 1U);
  const HashRing ring(groups_up_to(8));
  std::vector<std::uint32_t> answers;
  for (const ShardKey& key : shards_of(4, 4)) answers.push_back(ring.group_of(key).value());
  EXPECT_THAT(answers, ::testing::ElementsAre(2, 3, 1, 4, 8, 2, 1, 7, 5, 2, 7, 7, 4, 4, 4, 6));
}

TEST(HashRing, SpreadsShardsOverGroups) {
  constexpr std::uint32_t kGroups = 8;
  const HashRing ring(groups_up_to(kGroups));
  const auto keys = shards_of(5000, 4);
  std::map<GroupId, std::size_t> load;
  for (const ShardKey& key : keys) ++load[ring.group_of(key)];
  ASSERT_EQ(load.size(), kGroups);
  const std::size_t even = keys.size() / kGroups;
  for (const auto& [group, count] : load) {
    EXPECT_GT(count, even * 70 / 100) << group.value();
    EXPECT_LT(count, even * 130 / 100) << group.value();
  }
}

TEST(HashRing, AGroupMoreTakesItsShareAndMovesNothingElse) {
  const auto keys = shards_of(2000, 4);
  for (std::uint32_t groups = 1; groups < 16; ++groups) {
    const HashRing before(groups_up_to(groups));
    const HashRing after(groups_up_to(groups + 1));
    std::size_t moved = 0;
    for (const ShardKey& key : keys) {
      const GroupId from = before.group_of(key);
      const GroupId to = after.group_of(key);
      if (from == to) continue;
      ++moved;
      ASSERT_EQ(to, GroupId(groups + 1)) << "a shard moved between old groups";
    }
    const std::size_t share = keys.size() / (groups + 1);
    EXPECT_GT(moved, share * 60 / 100) << groups;
    EXPECT_LT(moved, share * 140 / 100) << groups;
  }
}

TEST(HashRing, DoesNotCareInWhichOrderGroupsAreNamed) {
  auto groups = groups_up_to(5);
  const HashRing forward(groups);
  std::reverse(groups.begin(), groups.end());
  const HashRing backward(groups);
  for (const ShardKey& key : shards_of(200, 4)) {
    EXPECT_EQ(forward.group_of(key), backward.group_of(key));
  }
}

TEST(HashRingDeathTest, AnEmptyRingIsABug) { EXPECT_DEATH(HashRing({}), "empty"); }

Bytes bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

// The vectors of Kafka's own test of its murmur2.
TEST(Partitioner, Murmur2IsKafkas) {
  EXPECT_EQ(murmur2(bytes_of("21")), -973932308);
  EXPECT_EQ(murmur2(bytes_of("foobar")), -790332482);
  EXPECT_EQ(murmur2(bytes_of("a-little-bit-long-string")), -985981536);
  EXPECT_EQ(murmur2(bytes_of("a-little-bit-longer-string")), -1486304829);
  EXPECT_EQ(murmur2(bytes_of("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8")), -58897971);
  EXPECT_EQ(murmur2(bytes_of("abc")), 479470107);
}

TEST(Partitioner, TakesTheSignAwayAndThenTheRest) {
  EXPECT_EQ(shard_of_key(bytes_of("abc"), 4), ShardNumber(479470107 % 4));
  // Kafka clears the sign bit; it does not negate.
  EXPECT_EQ(shard_of_key(bytes_of("21"), 1000),
            ShardNumber((static_cast<std::uint32_t>(-973932308) & 0x7fffffffU) % 1000));
  EXPECT_EQ(shard_of_key(bytes_of("anything"), 1), ShardNumber(0));
  EXPECT_EQ(shard_of_key({}, 7), shard_of_key({}, 7));
}

TEST(Partitioner, SpreadsKeys) {
  constexpr std::uint32_t kShards = 8;
  constexpr int kKeys = 40'000;
  std::map<ShardNumber, int> load;
  for (int i = 0; i < kKeys; ++i) {
    ++load[shard_of_key(bytes_of("device-" + std::to_string(i)), kShards)];
  }
  ASSERT_EQ(load.size(), kShards);
  for (const auto& [shard, count] : load) EXPECT_NEAR(count, 5'000, 400);
}

TEST(RoutingTable, FindsStreamsByNameAndById) {
  const StreamRoute app{.id = StreamId(3),
                        .name = "app",
                        .shards = {GroupId(2), GroupId(1)},
                        .retention_ms = 5,
                        .retention_bytes = 6,
                        .created = 7};
  const RoutingTable table(Epoch(9), groups_up_to(2), {{app.id, app}});
  EXPECT_EQ(table.epoch(), Epoch(9));
  ASSERT_NE(table.find("app"), nullptr);
  EXPECT_EQ(*table.find("app"), app);
  EXPECT_EQ(table.find(StreamId(3)), table.find("app"));
  EXPECT_EQ(table.find("App"), nullptr);
  EXPECT_EQ(table.find(StreamId(4)), nullptr);
  EXPECT_EQ(table.group_of({.stream = StreamId(3), .shard = ShardNumber(1)}), GroupId(1));
  EXPECT_EQ(table.group_of({.stream = StreamId(3), .shard = ShardNumber(2)}), std::nullopt);
  EXPECT_EQ(table.group_of({.stream = StreamId(4), .shard = ShardNumber(0)}), std::nullopt);
}

TEST(RoutingTable, IsVisitedInTheOrderOfNamesFromAnywhere) {
  std::map<StreamId, StreamRoute> streams;
  std::vector<std::string> names;
  Random random(6, "names");
  for (std::uint64_t i = 1; i <= 1500; ++i) {
    // Long and short ones, so that one is the beginning of another.
    std::string name(1 + random.below(6), 'a');
    for (char& c : name) c = "aAz-._09"[random.below(8)];
    if (std::ranges::find(names, name) != names.end()) continue;
    names.push_back(name);
    streams.emplace(StreamId(i), StreamRoute{.id = StreamId(i), .name = name});
  }
  const RoutingTable table(Epoch(1), groups_up_to(2), streams);
  std::ranges::sort(names);
  const auto visited = [&](std::string_view after, std::size_t most) {
    std::vector<std::string> seen;
    table.visit_after(after, [&](const StreamRoute& stream) {
      seen.push_back(stream.name);
      return seen.size() < most;
    });
    return seen;
  };
  EXPECT_EQ(visited("", SIZE_MAX), names);
  EXPECT_TRUE(visited(names.back(), SIZE_MAX).empty());
  for (int i = 0; i < 200; ++i) {
    const std::size_t place = random.below(names.size());
    const std::size_t count = 1 + random.below(20);
    // Behind a name, whether it is there or not.
    const auto first = names.begin() + static_cast<std::ptrdiff_t>(place) + 1;
    const auto last =
        first + std::min<std::ptrdiff_t>(static_cast<std::ptrdiff_t>(count), names.end() - first);
    EXPECT_EQ(visited(names[place], count), std::vector<std::string>(first, last));
    EXPECT_EQ(visited(names[place] + std::string(1, '\x01'), count),
              std::vector<std::string>(first, last));
  }
  EXPECT_TRUE(RoutingTable().streams().empty());
  EXPECT_TRUE(visited("zzzzzzzzz", 5).empty());
}

// Made step by step it is the table that is made at once; and those it was made from stay.
TEST(RoutingTable, ChangesShareWhatStays) {
  std::map<StreamId, StreamRoute> streams;
  RoutingTable table(Epoch(1), groups_up_to(2), streams);
  const RoutingTable first = table;
  Random random(5, "routing");
  std::uint64_t next = 1;
  for (std::uint64_t round = 2; round < 1500; ++round) {
    std::vector<StreamId> changed;
    for (std::uint64_t n = 1 + random.below(3); n > 0; --n) {
      if (streams.empty() || random.below(5) < 3) {
        const StreamId id(next++);
        // A name that was deleted is taken again.
        streams.emplace(id, StreamRoute{.id = id, .name = "s" + std::to_string(round * 4 + n)});
        changed.push_back(id);
      } else {
        const auto gone =
            std::next(streams.begin(), static_cast<std::ptrdiff_t>(random.below(streams.size())));
        StreamRoute again = gone->second;
        changed.push_back(gone->first);
        streams.erase(gone);
        if (random.below(2) != 0) continue;
        again.id = StreamId(next++);
        changed.push_back(again.id);
        streams.emplace(again.id, again);
      }
    }
    std::ranges::sort(changed);
    const RoutingTable before = table;
    const std::size_t count = before.streams().size();
    table = table.changed(Epoch(round), changed, streams);
    EXPECT_EQ(before.streams().size(), count);
    ASSERT_EQ(table.epoch(), Epoch(round));
    ASSERT_EQ(table.groups(), groups_up_to(2));
    const std::vector<const StreamRoute*> all = table.streams();
    ASSERT_EQ(all.size(), streams.size());
    auto at = streams.begin();
    for (const StreamRoute* stream : all) {
      ASSERT_EQ(*stream, at->second);
      ASSERT_EQ(table.find(stream->name), stream);
      ASSERT_EQ(table.find(stream->id), stream);
      const bool same = std::ranges::find(changed, stream->id) == changed.end();
      ASSERT_EQ(before.find(stream->id) == stream, same) << "what stays is shared";
      ++at;
    }
    for (const StreamId id : changed) ASSERT_EQ(table.find(id) != nullptr, streams.contains(id));
  }
  EXPECT_TRUE(first.streams().empty());
}

TEST(RoutingTable, IsEmptyAtFirst) {
  const RoutingTable table;
  EXPECT_EQ(table.epoch(), Epoch(0));
  EXPECT_TRUE(table.groups().empty());
  EXPECT_EQ(table.find("app"), nullptr);
}

}  // namespace
}  // namespace lignum::net
