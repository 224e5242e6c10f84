// What a client may not ask for, or not in that way; and producers that a shard has forgotten.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "net/proto/client.pb.h"
#include "raft/error.h"
#include "raft/types.h"
#include "server/service/call.h"
#include "storage/memory_state_store.h"
#include "storage/record_batch.h"
#include "tests/server/batches.h"
#include "tests/server/memory_node.h"
#include "tests/server/sim_node.h"

namespace lignum::server {
namespace {

using ::testing::AllOf;
using testing::append_request;
using testing::code_of;
using testing::create_request;
using ::testing::HasSubstr;
using testing::make_batch;
using ::testing::Not;

constexpr auto kLowest = std::numeric_limits<std::int64_t>::min();
constexpr auto kHighest = std::numeric_limits<std::int64_t>::max();

class FrontDoor : public testing::NodeTest {
 protected:
  std::string refusal(const wire::Request& request, std::vector<std::byte> payload = {}) {
    const auto answer = node->call(request, std::move(payload));
    EXPECT_EQ(code_of(answer), Errc::kInvalidArgument);
    return answer->response.failure().message();
  }
  ProducerId new_producer() {
    wire::Request init;
    init.mutable_init_producer();
    return ProducerId(node->call(init)->response.init_producer().producer_id());
  }
  std::optional<Answer> first_batch(ProducerId id) {
    return append(stream, 0, 1, ProducerStamp{.id = id, .epoch = 0, .base_sequence = 0});
  }
  std::uint64_t next_offset() {
    wire::Request offsets;
    offsets.mutable_offsets()->set_stream(stream);
    return node->call(offsets)->response.offsets().watermark();
  }
  // A clean end, so that the next start begins with a checkpoint and no log behind it.
  void restart() {
    ASSERT_TRUE(node->stop());
    restart_after_kill();
  }

  std::uint64_t stream = 0;
};

TEST_F(FrontDoor, ANegativeRetentionIsRefused) {
  start();
  for (const std::int64_t wrong : {kLowest, std::int64_t{-7}, std::int64_t{-2}}) {
    auto request = create_request("app");
    request.mutable_create_stream()->set_retention_ms(wrong);
    EXPECT_THAT(refusal(request), HasSubstr("retention_ms = " + std::to_string(wrong)));
    request = create_request("app");
    request.mutable_create_stream()->set_retention_bytes(wrong);
    EXPECT_THAT(refusal(request), HasSubstr("retention_bytes = " + std::to_string(wrong)));
  }
  EXPECT_EQ(node->host().router().table()->find("app"), nullptr);
  int made = 0;
  for (const std::int64_t right : {std::int64_t{-1}, std::int64_t{0}, kHighest}) {
    auto request = create_request("app" + std::to_string(made++));
    request.mutable_create_stream()->set_retention_ms(right);
    request.mutable_create_stream()->set_retention_bytes(right);
    const auto answer = node->call(request);
    ASSERT_TRUE(answer->response.has_create_stream()) << answer->response.failure().message();
    EXPECT_EQ(answer->response.create_stream().stream().retention_ms(), right);
    EXPECT_EQ(answer->response.create_stream().stream().retention_bytes(), right);
  }
  // The largest numbers there are do not make a shard forget.
  const auto kept = node->host().router().table()->find("app2")->id.value();
  ASSERT_TRUE(append(kept, 0, 3)->response.has_append());
  node->world.advance(120'000'000);
  EXPECT_EQ(node->call(testing::read_request(kept, 0, 0))->response.read().batches_size(), 1);
}

TEST_F(FrontDoor, AShardCountOutOfBoundsIsRefused) {
  start();
  for (const std::uint32_t wrong : {0U, 1025U, std::numeric_limits<std::uint32_t>::max()}) {
    auto request = create_request("app");
    request.mutable_create_stream()->set_shards(wrong);
    EXPECT_THAT(refusal(request), HasSubstr("shards = " + std::to_string(wrong)));
  }
}

// Quoted in an answer, or written to the catalogue's log, it could be 256 KiB of anything.
TEST_F(FrontDoor, WhatIsNoNameIsNotLookedFor) {
  start();
  for (const std::string& wrong :
       {std::string("\x1b[2J"), std::string(250'000, 'x'), std::string("a b"), std::string()}) {
    wire::Request request;
    request.mutable_describe_stream()->set_name(wrong);
    EXPECT_THAT(refusal(request), AllOf(HasSubstr("stream name"), Not(HasSubstr("\x1b"))));
    request.mutable_delete_stream()->set_name(wrong);
    EXPECT_THAT(refusal(request), AllOf(HasSubstr("stream name"), Not(HasSubstr("\x1b"))));
  }
}

TEST_F(FrontDoor, ABatchThatHasItsOffsetsAlreadyIsRefused) {
  start();
  stream = create("app");
  for (const std::uint64_t base : {std::uint64_t{1}, std::uint64_t{1} << 63U, UINT64_MAX}) {
    auto batch = make_batch(2, {});
    patch_base_offset(batch, Offset(base));
    EXPECT_THAT(refusal(append_request(stream, 0), batch),
                HasSubstr("base offset is " + std::to_string(static_cast<std::int64_t>(base))));
  }
  EXPECT_EQ(next_offset(), 0U);
}

TEST_F(FrontDoor, AShardThatIsNotThereIsNotFound) {
  start();
  stream = create("app");
  for (const std::uint32_t wrong : {2U, std::numeric_limits<std::uint32_t>::max()}) {
    EXPECT_EQ(code_of(append(stream, wrong, 1)), Errc::kNotFound);
    EXPECT_EQ(code_of(node->call(testing::read_request(stream, wrong, 0))), Errc::kNotFound);
    wire::Request request;
    request.mutable_offsets()->set_stream(stream);
    request.mutable_offsets()->set_shard(wrong);
    EXPECT_EQ(code_of(node->call(request)), Errc::kNotFound);
    request.mutable_trim()->set_stream(stream);
    request.mutable_trim()->set_shard(wrong);
    EXPECT_EQ(code_of(node->call(request)), Errc::kNotFound);
  }
}

TEST_F(FrontDoor, ATrimAboveTheEndDeletesNothing) {
  start();
  stream = create("app");
  append(stream, 0, 5);
  wire::Request trim;
  trim.mutable_trim()->set_stream(stream);
  for (const std::uint64_t above : {std::uint64_t{6}, std::numeric_limits<std::uint64_t>::max()}) {
    trim.mutable_trim()->set_before_offset(above);
    const auto answer = node->call(trim);
    EXPECT_EQ(code_of(answer), Errc::kOffsetOutOfRange);
    EXPECT_EQ(answer->response.failure().start_offset(), 0U);
    EXPECT_EQ(answer->response.failure().next_offset(), 5U);
  }
  EXPECT_EQ(node->call(testing::read_request(stream, 0, 0))->response.read().batches_size(), 1);
  trim.mutable_trim()->set_before_offset(5);
  EXPECT_EQ(node->call(trim)->response.trim().start_offset(), 5U);
  EXPECT_EQ(append(stream, 0, 1)->response.append().base_offset(), 5U);
}

TEST_F(FrontDoor, TimesAtTheEdgesAreAnswered) {
  start();
  stream = create("app");
  append(stream, 0, 5);
  for (const std::int64_t at : {kLowest, std::int64_t{-1}, kHighest}) {
    wire::Request offsets;
    offsets.mutable_offsets()->set_stream(stream);
    offsets.mutable_offsets()->set_at_us(at);
    const auto answer = node->call(offsets);
    ASSERT_TRUE(answer && answer->response.has_offsets());
    EXPECT_EQ(answer->response.offsets().has_offset(), at < 0);
    auto read = testing::read_request(stream, 0, 5);
    read.mutable_read()->set_close_us(at);
    read.mutable_read()->set_wait_ms(10);
    const auto closed = node->call(read);
    ASSERT_TRUE(closed.has_value());
    EXPECT_EQ(code_of(closed), at < 0 ? Errc{} : Errc::kSkew);
  }
}

// Where all of it was trimmed no offset is left to be found.
TEST_F(FrontDoor, ATimeOfRecordsThatWereTrimmedHasNoOffset) {
  start();
  stream = create("app");
  append(stream, 0, 5);
  wire::Request offsets;
  offsets.mutable_offsets()->set_stream(stream);
  offsets.mutable_offsets()->set_at_us(0);
  EXPECT_EQ(node->call(offsets)->response.offsets().offset(), 0U);
  wire::Request trim;
  trim.mutable_trim()->set_stream(stream);
  trim.mutable_trim()->set_before_offset(5);
  ASSERT_EQ(node->call(trim)->response.trim().start_offset(), 5U);
  EXPECT_FALSE(node->call(offsets)->response.offsets().has_offset());
}

// A huge id that somebody made up would, once forgotten, close its shard to every other producer.
TEST_F(FrontDoor, AProducerIdThatWasNeverHandedOutIsRefused) {
  start();
  stream = create("app");
  const ProducerId known = new_producer();
  const auto refused = first_batch(ProducerId(kHighest));
  EXPECT_EQ(code_of(refused), Errc::kUnknownProducer);
  EXPECT_THAT(refused->response.failure().message(),
              AllOf(HasSubstr(std::to_string(kHighest)), HasSubstr("ask for a producer id")));
  EXPECT_TRUE(first_batch(known)->response.has_append());
  restart();
  EXPECT_TRUE(first_batch(known)->response.append().duplicate());
  EXPECT_EQ(code_of(first_batch(ProducerId(kHighest))), Errc::kUnknownProducer);
  EXPECT_TRUE(first_batch(new_producer())->response.has_append());
}

TEST_F(FrontDoor, ARetryOfAForgottenProducerIsNotAppendedAgain) {
  cell.producer_sessions_max = 2;
  start();
  stream = create("app");
  const ProducerId never_here = new_producer();
  const ProducerId first = new_producer();
  ASSERT_TRUE(first_batch(first)->response.has_append());
  EXPECT_TRUE(first_batch(first)->response.append().duplicate());
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(first_batch(new_producer())->response.has_append());
  EXPECT_EQ(next_offset(), 3U);

  const auto expect_unknown = [&](const char* when) {
    for (const ProducerId id : {first, never_here}) {
      const auto answer = first_batch(id);
      ASSERT_EQ(code_of(answer), Errc::kUnknownProducer) << when;
      EXPECT_THAT(answer->response.failure().message(),
                  AllOf(HasSubstr("producer " + std::to_string(id.value())),
                        HasSubstr("ask for a new producer id")));
    }
    EXPECT_EQ(next_offset(), 3U) << when;
  };
  expect_unknown("at once");
  restart_after_kill();
  expect_unknown("from the log");
  restart();
  expect_unknown("from the checkpoint");
  ASSERT_TRUE(node->stop());
  *cell.store = storage::MemoryStateStore();
  restart_after_kill();
  expect_unknown("from the image");
  EXPECT_EQ(first_batch(new_producer())->response.append().base_offset(), 3U);
}

}  // namespace
}  // namespace lignum::server
