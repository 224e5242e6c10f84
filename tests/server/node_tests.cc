// A whole node, from wire request to answer, without threads or sockets.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "net/proto/client.pb.h"
#include "raft/error.h"
#include "raft/payload.h"
#include "raft/types.h"
#include "server/group/data_group.h"
#include "server/group/group_host.h"
#include "server/group/ports.h"
#include "server/group/requests.h"
#include "server/router.h"
#include "storage/log.h"
#include "storage/record_batch.h"
#include "tests/server/batches.h"
#include "tests/server/memory_node.h"
#include "tests/server/sim_node.h"

namespace lignum::server {
namespace {

using testing::append_request;
using testing::code_of;
using ::testing::Contains;
using testing::create_request;
using ::testing::HasSubstr;
using testing::make_batch;
using testing::NodeTest;
using testing::Pending;
using testing::read_request;
using testing::SimNode;

TEST_F(NodeTest, AppendsAndReadsBackTheSameBytes) {
  start();
  const auto stream = create("app");
  const auto first = append(stream, 0, 3);
  ASSERT_TRUE(first && first->response.has_append()) << first->response.failure().message();
  EXPECT_EQ(first->response.append().base_offset(), 0U);
  const auto second = append(stream, 0, 2);
  EXPECT_EQ(second->response.append().base_offset(), 3U);
  EXPECT_NE(second->response.append().shard_chain(), first->response.append().shard_chain());
  EXPECT_GT(second->response.append().append_time_us(), first->response.append().append_time_us());

  const auto read = node->call(read_request(stream, 0, 0));
  ASSERT_TRUE(read && read->response.has_read());
  EXPECT_EQ(read->response.read().batches_size(), 2);
  EXPECT_EQ(read->response.read().next_offset(), 5U);
  EXPECT_EQ(read->response.read().watermark(), 5U);
  EXPECT_EQ(read->response.read().closed_time_us(), second->response.append().append_time_us());
  ASSERT_EQ(read->payload.size(), 2U);
  auto expected = make_batch(2, {});
  patch_base_offset(expected, Offset(3));
  EXPECT_TRUE(std::ranges::equal(read->payload[1].bytes(), expected));
}

TEST_F(NodeTest, RefusalsComeWithTheirBounds) {
  start();
  const auto stream = create("app");
  append(stream, 0, 5);
  const auto above = node->call(read_request(stream, 0, 6));
  EXPECT_EQ(code_of(above), Errc::kOffsetOutOfRange);
  EXPECT_EQ(above->response.failure().next_offset(), 5U);
  wire::Request trim;
  trim.mutable_trim()->set_stream(stream);
  trim.mutable_trim()->set_shard(0);
  trim.mutable_trim()->set_before_offset(4);
  const auto trimmed = node->call(trim);
  ASSERT_TRUE(trimmed && trimmed->response.has_trim());
  EXPECT_EQ(trimmed->response.trim().start_offset(), 4U);
  const auto below = node->call(read_request(stream, 0, 1));
  EXPECT_EQ(code_of(below), Errc::kTrimmed);
  EXPECT_EQ(below->response.failure().start_offset(), 4U);
  // The batch that holds the start is returned whole.
  EXPECT_EQ(node->call(read_request(stream, 0, 4))->response.read().batches_size(), 1);
  EXPECT_EQ(code_of(node->call(read_request(stream, 9, 0))), Errc::kNotFound);
  EXPECT_EQ(code_of(node->call(read_request(77, 0, 0))), Errc::kNotFound);
  EXPECT_EQ(code_of(node->call(wire::Request())), Errc::kUnsupported);
}

TEST_F(NodeTest, ConditionalAppend) {
  start();
  const auto stream = create("app");
  auto request = append_request(stream, 0);
  request.mutable_append()->set_expected_offset(0);
  EXPECT_TRUE(node->call(request, make_batch(1, {}))->response.has_append());
  const auto refused = node->call(request, make_batch(1, {}));
  EXPECT_EQ(code_of(refused), Errc::kOffsetMismatch);
  EXPECT_EQ(refused->response.failure().next_offset(), 1U);
}

TEST_F(NodeTest, ARefusalWaitsForWhatItRestsOn) {
  start();
  const auto stream = create("app");
  node->world.hold_flushes(true);
  const Pending first = node->send(append_request(stream, 0), make_batch(1, {}));
  node->world.run();
  auto conditional = append_request(stream, 0);
  conditional.mutable_append()->set_expected_offset(0);
  const Pending second = node->send(conditional, make_batch(1, {}));
  node->world.run();
  // Were the first entry lost, offset 0 would be right: nothing may be said yet.
  EXPECT_FALSE(first->has_value());
  EXPECT_FALSE(second->has_value());
  node->world.hold_flushes(false);
  node->world.run();
  EXPECT_TRUE((*first)->response.has_append());
  EXPECT_EQ(code_of(*second), Errc::kOffsetMismatch);
}

TEST_F(NodeTest, ADuplicateSharesTheFateOfItsOriginalAndIsKnownAfterARestart) {
  start();
  const auto stream = create("app");
  wire::Request init;
  init.mutable_init_producer();
  const auto producer = node->call(init);
  ASSERT_TRUE(producer && producer->response.has_init_producer());
  const ProducerStamp stamp{.id = ProducerId(producer->response.init_producer().producer_id()),
                            .epoch = 0,
                            .base_sequence = 0};
  node->world.hold_flushes(true);
  const Pending original = node->send(append_request(stream, 1), make_batch(2, stamp));
  const Pending again = node->send(append_request(stream, 1), make_batch(2, stamp));
  node->world.run();
  EXPECT_FALSE(original->has_value());
  EXPECT_FALSE(again->has_value());
  node->world.hold_flushes(false);
  node->world.run();
  EXPECT_FALSE((*original)->response.append().duplicate());
  EXPECT_TRUE((*again)->response.append().duplicate());
  EXPECT_EQ((*again)->response.append().base_offset(), 0U);
  EXPECT_EQ((*again)->response.append().shard_chain(),
            (*original)->response.append().shard_chain());
  restart_after_kill();
  const auto third = append(stream, 1, 2, stamp);
  ASSERT_TRUE(third->response.has_append());
  EXPECT_TRUE(third->response.append().duplicate());
  EXPECT_EQ(third->response.append().append_time_us(),
            (*original)->response.append().append_time_us());
  // Another id than the first one, also after a restart.
  EXPECT_GT(node->call(init)->response.init_producer().producer_id(), stamp.id.value());
}

TEST_F(NodeTest, AReadWaitsAtTheWatermark) {
  start();
  const auto stream = create("app");
  auto request = read_request(stream, 0, 0);
  request.mutable_read()->set_wait_ms(100);
  const Pending late = node->send(request);
  node->world.advance(99'000);
  EXPECT_FALSE(late->has_value());
  node->world.advance(2'000);
  ASSERT_TRUE(late->has_value());
  EXPECT_EQ((*late)->response.read().batches_size(), 0);
  EXPECT_EQ((*late)->response.read().next_offset(), 0U);
  const Pending served = node->send(request);
  node->world.run();
  EXPECT_FALSE(served->has_value());
  append(stream, 0, 1);
  ASSERT_TRUE(served->has_value());
  EXPECT_EQ((*served)->response.read().batches_size(), 1);
}

TEST_F(NodeTest, AnIdleGroupClosesTimeOnlyWhenAsked) {
  start();
  const auto stream = create("app");
  auto& disk = *disks.at(group_of(stream, 0));
  node->world.advance(10'000'000);
  const auto entries = disk.entries.size();
  auto request = read_request(stream, 0, 0);
  request.mutable_read()->set_wait_ms(1000);
  request.mutable_read()->set_close_us(node->world.now.wall_us + 100'000);
  const auto closed = node->call(request);
  ASSERT_TRUE(closed && closed->response.has_read());
  EXPECT_GE(closed->response.read().closed_time_us(), request.read().close_us());
  EXPECT_EQ(disk.entries.size(), entries + 1);
  // Asked a hundred times in 100 ms: not more than the allowance.
  for (int i = 0; i < 100; ++i) {
    request.mutable_read()->set_close_us(node->world.now.wall_us + 200'000);
    node->send(request);
    node->world.advance(1'000);
  }
  EXPECT_LE(disk.entries.size(), entries + 4);
  request.mutable_read()->set_close_us(node->world.now.wall_us + 600'000);
  EXPECT_EQ(code_of(node->call(request)), Errc::kSkew);
}

TEST_F(NodeTest, AHaltedGroupLeavesTheOthersServing) {
  start();
  std::uint64_t stream = 0;
  // Until both groups have a shard.
  for (int i = 0; stream == 0; ++i) {
    const auto made = create("s" + std::to_string(i));
    if (group_of(made, 0) != group_of(made, 1)) stream = made;
  }
  append(stream, 0, 1);
  append(stream, 1, 1);
  node.reset();
  damaged = {GroupId(1)};
  start();
  EXPECT_EQ(node->report.halted, 1U);
  const std::uint32_t sound = group_of(stream, 0) == GroupId(1) ? 1 : 0;
  EXPECT_TRUE(append(stream, sound, 1)->response.has_append());
  EXPECT_EQ(code_of(append(stream, 1 - sound, 1)), Errc::kHalted);
  wire::Request describe;
  describe.mutable_describe_stream()->set_name(
      node->host().router().table()->find(StreamId(stream))->name);
  const auto described = node->call(describe);
  ASSERT_TRUE(described && described->response.has_describe_stream());
  EXPECT_THAT(described->response.describe_stream()
                  .shards(static_cast<int>(1 - sound))
                  .unavailable()
                  .message(),
              HasSubstr("segment-1 byte 4096"));
  EXPECT_TRUE(node->stop());
}

TEST_F(NodeTest, ALostMetaGroupRefusesToServe) {
  start();
  node.reset();
  damaged = {kMetaGroup};
  node = std::make_unique<SimNode>(cell);
  EXPECT_FALSE(node->start());
  EXPECT_THAT(node->error, HasSubstr("group 0"));
}

TEST_F(NodeTest, AFullDiskRefusesAppendsAndNothingElse) {
  start();
  const auto stream = create("app");
  append(stream, 0, 1);
  for (auto& [group, log] : logs) log->room_now = storage::Room::kNoSpace;
  EXPECT_EQ(code_of(append(stream, 0, 1)), Errc::kNoSpace);
  EXPECT_TRUE(node->call(read_request(stream, 0, 0))->response.has_read());
  for (auto& [group, log] : logs) log->room_now = storage::Room::kReady;
  EXPECT_TRUE(append(stream, 0, 1)->response.has_append());
}

TEST_F(NodeTest, AppendsWaitForASegmentInOrder) {
  start();
  const auto stream = create("app");
  auto* log = logs.at(group_of(stream, 0));
  log->room_now = storage::Room::kPreparing;
  const Pending first = node->send(append_request(stream, 0), make_batch(1, {}));
  const Pending second = node->send(append_request(stream, 0), make_batch(1, {}));
  node->world.advance(10'000);
  EXPECT_FALSE(first->has_value());
  log->room_now = storage::Room::kReady;
  node->world.advance(1'000);
  ASSERT_TRUE(first->has_value() && second->has_value());
  EXPECT_EQ((*first)->response.append().base_offset(), 0U);
  EXPECT_EQ((*second)->response.append().base_offset(), 1U);
  log->room_now = storage::Room::kPreparing;
  auto impatient = append_request(stream, 0);
  impatient.set_deadline_ms(5);
  const Pending late = node->send(impatient, make_batch(1, {}));
  node->world.advance(10'000);
  EXPECT_EQ(code_of(*late), Errc::kTimeout);
}

TEST_F(NodeTest, ALieAtTheFrontDoorIsRefused) {
  start();
  const auto stream = create("app");
  auto batch = make_batch(3, {});
  batch[70] ^= std::byte{1};
  EXPECT_EQ(code_of(node->call(append_request(stream, 0), batch)), Errc::kCorrupt);
  EXPECT_EQ(code_of(node->call(append_request(stream, 0), std::vector<std::byte>(10))),
            Errc::kInvalidArgument);
  EXPECT_EQ(append(stream, 0, 1)->response.append().base_offset(), 0U);
}

TEST_F(NodeTest, StreamsAreMadeOnceAndDeletedForGood) {
  start();
  const auto first = create("app");
  const auto again = node->call(create_request("app"));
  EXPECT_TRUE(again->response.create_stream().existed());
  EXPECT_EQ(again->response.create_stream().stream().id(), first);
  auto other = create_request("app");
  other.mutable_create_stream()->set_shards(7);
  EXPECT_EQ(code_of(node->call(other)), Errc::kAlreadyExists);
  EXPECT_EQ(code_of(node->call(create_request("../etc"))), Errc::kInvalidArgument);
  EXPECT_EQ(code_of(node->call(create_request("-x"))), Errc::kInvalidArgument);
  append(first, 0, 1);
  wire::Request remove;
  remove.mutable_delete_stream()->set_name("app");
  EXPECT_EQ(node->call(remove)->response.delete_stream().id(), first);
  EXPECT_EQ(code_of(node->call(remove)), Errc::kNotFound);
  EXPECT_EQ(code_of(append(first, 0, 1)), Errc::kNotFound);
  EXPECT_NE(create("app"), first);
}

// An append that found its stream in the table may reach the group after the drop of its shard was
// proposed: behind that entry in the log it could not be applied.
TEST_F(NodeTest, DeletingAStreamUnderLoadHaltsNothing) {
  start();
  const auto other = create("other");
  const auto ports = node->world.make_ports();
  for (int round = 0; round < 20; ++round) {
    const auto stream = create("app");
    const ShardKey shard{.stream = StreamId(stream), .shard = ShardNumber(0)};
    const GroupId group = group_of(stream, 0);
    constexpr int kAppends = 60;
    int sent = 0;
    int answered = 0;
    // Another one after about every flush of the node.
    std::function<void()> again = [&] {
      if (sent++ == kAppends) return;
      const auto asked = node->host().router().on_group(group, [&](DataGroup& leader) {
        Payload batch(make_batch(1, {}));
        auto summary = *validate_batch(batch.bytes());
        leader.append({.shard = shard,
                       .batch = std::move(batch),
                       .summary = summary,
                       .deadline_monotonic_us = node->world.now.monotonic_us + 1'000'000},
                      [&](const std::expected<AppendOutcome, Refusal>&) { ++answered; });
      });
      ASSERT_TRUE(asked);
      ports->run(
          Pool::kFlush, [] { return Result<void>(); }, [&again](const Result<void>&) { again(); });
    };
    again();
    wire::Request remove;
    remove.mutable_delete_stream()->set_name("app");
    const auto removed = node->call(remove);
    ASSERT_TRUE(removed && removed->response.has_delete_stream());
    EXPECT_EQ(answered, kAppends);
    for (const std::uint32_t number : {0U, 1U}) {
      const auto served = append(other, number, 1);
      ASSERT_TRUE(served && served->response.has_append())
          << (served ? served->response.failure().message() : "no answer");
    }
  }
}

TEST_F(NodeTest, TheReconcilerFinishesWhatACrashLeft) {
  start();
  // The catalogue's command is flushed, the data groups' are not: the node dies in between.
  auto request = create_request("app");
  for (auto& [group, log] : logs) {
    if (group != kMetaGroup) log->room_now = storage::Room::kNoSpace;
  }
  EXPECT_EQ(code_of(node->call(request)), Errc::kNoSpace);
  const auto* stream = node->host().router().table()->find("app");
  ASSERT_NE(stream, nullptr);
  const auto id = stream->id.value();
  EXPECT_EQ(code_of(append(id, 0, 1)), Errc::kNoSpace);
  restart_after_kill();
  EXPECT_TRUE(append(id, 0, 1)->response.has_append());
  EXPECT_TRUE(append(id, 1, 1)->response.has_append());
  // And without a restart, as soon as there is room.
  for (auto& [group, log] : logs) {
    if (group != kMetaGroup) log->room_now = storage::Room::kNoSpace;
  }
  EXPECT_EQ(code_of(node->call(create_request("late"))), Errc::kNoSpace);
  for (auto& [group, log] : logs) log->room_now = storage::Room::kReady;
  node->world.advance(3'000'000);
  const auto late = node->host().router().table()->find("late")->id.value();
  EXPECT_TRUE(append(late, 0, 1)->response.has_append());
}

TEST_F(NodeTest, RetentionByAgeTrims) {
  start();
  auto request = create_request("app");
  request.mutable_create_stream()->set_retention_ms(60'000);
  const auto stream = node->call(request)->response.create_stream().stream().id();
  append(stream, 0, 2);
  node->world.advance(30'000'000);
  append(stream, 0, 1);
  node->world.advance(40'000'000);
  EXPECT_EQ(code_of(node->call(read_request(stream, 0, 0))), Errc::kTrimmed);
  EXPECT_EQ(node->call(read_request(stream, 0, 2))->response.read().start_offset(), 2U);
}

TEST_F(NodeTest, EverythingIsThereAfterAStopAndAfterAKill) {
  start();
  const auto stream = create("app");
  append(stream, 0, 2);
  EXPECT_TRUE(node->stop());
  node.reset();
  start();
  append(stream, 0, 1);
  restart_after_kill();
  // A dropped state store costs nothing but a longer start.
  *cell.store = storage::MemoryStateStore();
  restart_after_kill();
  const auto read = node->call(read_request(stream, 0, 0));
  EXPECT_EQ(read->response.read().batches_size(), 2);
  EXPECT_EQ(read->response.read().next_offset(), 3U);
  EXPECT_EQ(append(stream, 0, 1)->response.append().base_offset(), 3U);
}

TEST_F(NodeTest, ADirectoryWithoutItsIdentityIsRefused) {
  start();
  node.reset();
  cell.disk->erase("identity");
  node = std::make_unique<SimNode>(cell);
  EXPECT_FALSE(node->start());
  EXPECT_THAT(node->error, HasSubstr("lost its identity"));
}

}  // namespace
}  // namespace lignum::server
