// The state of a data group, entry by entry, and its pairs on disk.

#include "server/shard/shard_state.h"

#include <gtest/gtest.h>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "raft/entry.h"
#include "raft/error.h"
#include "raft/payload.h"
#include "raft/random.h"
#include "raft/types.h"
#include "server/shard/producer_table.h"
#include "server/shard/shard_records.h"
#include "storage/chain.h"
#include "storage/record_batch.h"
#include "storage/state_store.h"
#include "tests/server/entries.h"

namespace lignum::server {
namespace {

using testing::at;
using testing::batch_entry;
using testing::BatchSpec;
using testing::command_entry;
using testing::damage;
using testing::Pairs;
using testing::pairs_of;
using testing::restore_all;

constexpr ShardKey kShard{.stream = StreamId(1), .shard = ShardNumber(2)};

ProducerStamp stamp(std::int64_t id, std::int32_t sequence) {
  return {.id = ProducerId(id), .epoch = 0, .base_sequence = sequence};
}

class ShardStateTest : public ::testing::Test {
 protected:
  ShardStateTest() {
    take(command_entry(at(++last), encode_open_shard({.key = kShard,
                                                      .start = Offset(10),
                                                      .chain = {.low = 3, .high = 4},
                                                      .retention_ms = 500,
                                                      .retention_bytes = 600})));
  }
  void take(const Entry& entry) {
    const auto applied = state.apply(entry);
    ASSERT_TRUE(applied) << applied.error().message();
  }
  void append(std::uint32_t records, std::optional<ProducerStamp> producer = std::nullopt) {
    take(batch_entry(at(++last), {.shard = kShard,
                                  .base = state.find(kShard)->next,
                                  .records = records,
                                  .producer = producer}));
  }
  // Whatever `entry` contradicts, nothing of it is taken over.
  void expect_damage(const Entry& entry) {
    const Pairs before = pairs_of(state);
    const auto applied = state.apply(entry);
    ASSERT_FALSE(applied);
    EXPECT_EQ(applied.error().code(), Errc::kCorrupt);
    EXPECT_EQ(pairs_of(state), before);
  }

  ShardState state;
  std::uint64_t last = 0;
};

TEST_F(ShardStateTest, AShardIsOpenedOnceAndTakesNewRetention) {
  append(5);
  take(command_entry(at(++last), encode_open_shard({.key = kShard, .retention_ms = 9})));
  const Shard* shard = state.find(kShard);
  ASSERT_NE(shard, nullptr);
  EXPECT_EQ(shard->start, Offset(10));
  EXPECT_EQ(shard->next, Offset(15));
  EXPECT_EQ(shard->retention_ms, 9);
  EXPECT_EQ(shard->retention_bytes, -1);
}

TEST_F(ShardStateTest, ABatchAdvancesItsShardByItsRecords) {
  append(5);
  const Entry entry =
      batch_entry(at(++last), {.shard = kShard, .base = Offset(15), .records = 2'000'000'000});
  const Hash128 before = state.find(kShard)->chain;
  take(entry);
  const Shard& shard = *state.find(kShard);
  EXPECT_EQ(shard.next, Offset(2'000'000'015));
  EXPECT_EQ(shard.last_append, entry.header.append_time);
  EXPECT_EQ(shard.chain, shard_chain(before,
                                     {.base = Offset(15),
                                      .count = 2'000'000'000,
                                      .append_time = entry.header.append_time},
                                     entry.payload.bytes()));
}

TEST_F(ShardStateTest, ApplyNeverSkipsAndNeverRepeats) {
  append(5);
  for (const std::uint64_t base : {0U, 14U, 16U}) {
    expect_damage(batch_entry(at(last + 1), {.shard = kShard, .base = Offset(base)}));
  }
  append(1);
}

TEST_F(ShardStateTest, ABatchThatDoesNotFitIsDamage) {
  const BatchSpec fitting{.shard = kShard, .base = Offset(10), .records = 2};
  BatchSpec elsewhere = fitting;
  elsewhere.shard.stream = StreamId(2);
  expect_damage(batch_entry(at(2), elsewhere));

  Entry empty = batch_entry(at(2), fitting);
  empty.header.record_count = 0;
  expect_damage(empty);

  Entry other_count = batch_entry(at(2), fitting);
  other_count.header.record_count = 3;
  expect_damage(other_count);

  Entry short_payload = batch_entry(at(2), fitting);
  short_payload.payload = short_payload.payload.slice(0, 60);
  expect_damage(short_payload);

  Entry other_base = batch_entry(at(2), fitting);
  std::vector<std::byte> bytes = testing::bare_batch(2, std::nullopt);
  patch_base_offset(bytes, Offset(11));
  other_base.payload = Payload(std::move(bytes));
  expect_damage(other_base);

  take(batch_entry(at(2), fitting));
}

TEST_F(ShardStateTest, ACommandThatCannotBeReadIsDamage) {
  expect_damage(command_entry(at(2), Payload(std::vector<std::byte>(7, std::byte{0xFF}))));
  expect_damage(command_entry(at(2), Payload()));
  Entry unknown = command_entry(at(2), Payload());
  unknown.header.kind = std::bit_cast<EntryKind>(std::uint8_t{200});
  expect_damage(unknown);
}

TEST_F(ShardStateTest, ATrimRaisesTheStartAndNothingElse) {
  append(10);
  const auto trim = [this](std::uint64_t start) {
    take(command_entry(at(++last), encode_trim_shard(kShard, Offset(start))));
    return state.find(kShard)->start;
  };
  EXPECT_EQ(trim(14), Offset(14));
  EXPECT_EQ(trim(12), Offset(14)) << "it never goes back";
  EXPECT_EQ(trim(99), Offset(20)) << "nor beyond the end";
  EXPECT_EQ(state.find(kShard)->next, Offset(20));
  take(command_entry(at(++last),
                     encode_trim_shard({.stream = StreamId(8), .shard = ShardNumber(0)}, {})));
  EXPECT_EQ(state.shards().size(), 1U);
}

TEST_F(ShardStateTest, ADroppedShardLeavesNothingBehind) {
  append(1, stamp(5, 0));
  Pairs kept;
  const auto persist = [&] {
    for (const storage::StateWrite& write : state.take_changes()) {
      if (write.value) {
        kept[write.key] = *write.value;
      } else {
        kept.erase(write.key);
      }
    }
  };
  persist();
  EXPECT_EQ(kept.size(), 2U);
  append(1, stamp(6, 0));
  take(command_entry(at(++last), encode_drop_shard(kShard)));
  EXPECT_EQ(state.find(kShard), nullptr);
  persist();
  EXPECT_TRUE(kept.empty());
  take(command_entry(at(++last), encode_drop_shard(kShard)));
  expect_damage(batch_entry(at(last + 1), {.shard = kShard, .base = Offset(12)}));
}

TEST_F(ShardStateTest, AnEvictedProducerIsDeletedFromTheCheckpointToo) {
  Pairs kept;
  const auto persist = [&] {
    for (const storage::StateWrite& write : state.take_changes()) {
      if (write.value) {
        kept[write.key] = *write.value;
      } else {
        kept.erase(write.key);
      }
    }
  };
  for (std::size_t id = 0; id < ProducerTable::kSessionsMax + 3; ++id) {
    append(1, stamp(static_cast<std::int64_t>(id), 0));
    if (id % 1000 == 7) persist();
  }
  persist();
  EXPECT_EQ(kept.size(), ProducerTable::kSessionsMax + 1);
  EXPECT_EQ(kept, pairs_of(state));
  EXPECT_FALSE(kept.contains(producer_key_text(kShard, ProducerId(2))));
  EXPECT_TRUE(kept.contains(producer_key_text(kShard, ProducerId(3))));
}

// Neither the checkpoint nor an image may take an evicted producer for one that was never here.
TEST_F(ShardStateTest, WhatWasForgottenIsKept) {
  ShardState few(2);
  ASSERT_TRUE(few.apply(command_entry(at(1), encode_open_shard({.key = kShard}))));
  EXPECT_EQ(few.find(kShard)->producers.evicted(), std::nullopt);
  Pairs checkpoint;
  for (std::uint64_t i = 0; i < 5; ++i) {
    ASSERT_TRUE(few.apply(batch_entry(
        at(2 + i),
        {.shard = kShard, .base = Offset(i), .producer = stamp(7 + std::int64_t(i), 0)})));
    for (const storage::StateWrite& write : few.take_changes()) {
      if (write.value) {
        checkpoint[write.key] = *write.value;
      } else {
        checkpoint.erase(write.key);
      }
    }
  }
  for (const Pairs& pairs : {checkpoint, pairs_of(few)}) {
    ShardState other(2);
    ASSERT_TRUE(restore_all(other, pairs));
    EXPECT_EQ(other.find(kShard)->producers.evicted(), ProducerId(9));
  }
}

TEST_F(ShardStateTest, PairsRestoreToTheSameState) {
  append(4, stamp(5, 0));
  append(4, stamp(-1 + (std::int64_t{1} << 62), 0));
  append(2, stamp(5, 4));
  take(command_entry(at(++last), encode_trim_shard(kShard, Offset(12))));
  take(command_entry(
      at(++last), encode_open_shard({.key = {.stream = StreamId(300), .shard = ShardNumber(0)}})));
  const Pairs pairs = pairs_of(state);
  EXPECT_EQ(pairs.size(), 4U);
  ShardState other;
  ASSERT_TRUE(restore_all(other, pairs));
  EXPECT_EQ(pairs_of(other), pairs);
  EXPECT_TRUE(other.take_changes().empty());
  EXPECT_EQ(other.find(kShard)->chain, state.find(kShard)->chain);
  EXPECT_EQ(*other.find(kShard)->producers.find(ProducerId(5)),
            *state.find(kShard)->producers.find(ProducerId(5)));
  other.reset();
  EXPECT_TRUE(pairs_of(other).empty());
}

TEST_F(ShardStateTest, ASessionWithoutItsShardIsDamage) {
  append(1, stamp(5, 0));
  Pairs pairs = pairs_of(state);
  pairs.erase(shard_key_text(kShard));
  ShardState other;
  EXPECT_EQ(restore_all(other, pairs).error().code(), Errc::kCorrupt);
}

// Whatever happens to a pair, the answer is kCorrupt or a state that goes on working.
TEST_F(ShardStateTest, DamagedPairsAreRefusedOrHarmless) {
  append(4, stamp(5, 0));
  append(4, stamp(6, 0));
  append(2, stamp(5, 4));
  const Pairs pairs = pairs_of(state);
  Random random(11, "damage");
  int refused = 0;
  constexpr int kRounds = 20'000;
  for (int round = 0; round < kRounds; ++round) {
    // A vector: a damaged key may be there twice, or out of order.
    std::vector<std::pair<std::string, std::string>> changed(pairs.begin(), pairs.end());
    auto& [key, value] = changed[random.below(changed.size())];
    damage(random.chance(1, 3) ? key : value, random);
    ShardState other;
    const auto restored = restore_all(other, changed);
    if (!restored) {
      EXPECT_EQ(restored.error().code(), Errc::kCorrupt);
      ++refused;
      continue;
    }
    const auto& [first, shard] = *other.shards().begin();
    const auto applied = other.apply(
        batch_entry(at(100), {.shard = first, .base = shard.next, .producer = stamp(5, 6)}));
    EXPECT_TRUE(applied);
    EXPECT_FALSE(pairs_of(other).empty());
  }
  EXPECT_GT(refused, kRounds / 4);
}

// Commands come from the log, which has checksums; even so, no bytes may crash a replica.
TEST_F(ShardStateTest, DamagedCommandsDoNotCrash) {
  append(3);
  Random random(12, "commands");
  const std::vector<Payload> commands = {
      encode_open_shard({.key = kShard, .start = Offset(1), .retention_ms = 1}),
      encode_trim_shard(kShard, Offset(12)), encode_drop_shard(kShard)};
  for (int round = 0; round < 20'000; ++round) {
    const Bytes original = commands[random.below(commands.size())].bytes();
    std::vector<std::byte> bytes(original.begin(), original.end());
    const std::uint64_t flips = 1 + random.below(3);
    for (std::uint64_t i = 0; i < flips; ++i) {
      bytes[random.below(bytes.size())] ^= static_cast<std::byte>(1U << random.below(8));
    }
    const auto applied = state.apply(command_entry(at(++last), Payload(std::move(bytes))));
    if (!applied) EXPECT_EQ(applied.error().code(), Errc::kCorrupt);
    for (const auto& [key, shard] : state.shards()) ASSERT_LE(shard.start, shard.next);
  }
}

}  // namespace
}  // namespace lignum::server
