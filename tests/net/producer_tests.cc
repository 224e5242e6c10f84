// The producer core against a model of the cluster, over a network that loses connections, delays,
// reorders, and delivers late what its sender had given up.

#include "net/producer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "net/call.h"
#include "net/client.h"
#include "net/moment.h"
#include "net/producer_batch.h"
#include "net/producer_shard.h"
#include "net/producer_stamp.h"
#include "net/proto/client.pb.h"
#include "raft/error.h"
#include "raft/payload.h"
#include "raft/types.h"
#include "storage/record_batch.h"
#include "tests/net/model_cluster.h"

namespace lignum::net {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

Producer::Options small_options() {
  Producer::Options options;
  options.settings.batch_bytes = 400;
  options.settings.append_deadline = 3 * kSecond;
  options.settings.attempt_timeout = kSecond;
  options.settings.backoff = {.first = 10 * kMillisecond, .most = 100 * kMillisecond};
  options.buffer_bytes_max = 1 << 20;
  options.seed = 7;
  return options;
}

// One producer whose effects the test carries out by hand.
class Bench {
 public:
  explicit Bench(Producer::Options options = small_options()) : producer(options) {}

  void append(const std::string& value, const std::string& key = "") {
    const std::vector<std::byte> bytes = to_bytes(value);
    const std::vector<std::byte> key_bytes = to_bytes(key);
    BorrowedRecord record;
    record.value = bytes;
    if (!key.empty()) {
      record.key = key_bytes;
    }
    const auto added = producer.append(
        "app", record,
        {.listener = nullptr,
         .tag = 0,
         .callback = [this, value](Result<AppendAck> ack) { outcomes.emplace(value, ack); }},
        {.moment = now, .wall = 1000});
    ASSERT_TRUE(added.has_value()) << added.error().describe();
  }

  // Answers resolve and init at once.
  void turn() {
    for (int i = 0; i < 4; ++i) {
      producer.turn(now);
      Producer::Output output = producer.take_output();
      for (const std::string& name : output.resolve) {
        wire::Request request;
        request.mutable_resolve()->add_names(name);
        const auto answer = cluster.handle(request, {});
        if (answer->response.resolve().streams().empty()) {
          producer.on_stream_failed(name, Error(Errc::kNotFound, "gone"));
        } else {
          producer.on_stream(answer->response.resolve().streams(0), {.moment = now, .wall = 1000});
        }
      }
      if (output.init_producer) {
        ++identities;
        producer.on_identity(ProducerId(identities), first_epoch);
      }
      for (SendBatch& send : output.sends) {
        sends.push_back(std::move(send));
      }
      for (const AppendOutcome& outcome : output.outcomes) {
        outcome.waiters.deliver(outcome.first);
      }
    }
  }

  static wire::Request request_of(const SendBatch& send) {
    wire::Request request;
    request.mutable_append()->set_stream(send.shard.stream.value());
    request.mutable_append()->set_shard(send.shard.shard.value());
    if (send.expected) {
      request.mutable_append()->set_expected_offset(send.expected->value());
    }
    return request;
  }

  // The server acts on the oldest send; the answer arrives.
  void serve() {
    const SendBatch send = take_send();
    const auto answer = cluster.handle(request_of(send), send.batch.bytes());
    reply(send, {.error = failure_of(answer->response),
                 .maybe_processed = false,
                 .response = answer->response,
                 .payload = {}});
  }
  void refuse(Errc code) {
    const SendBatch send = take_send();
    const auto answer = ModelCluster::failure(request_of(send), code);
    reply(send, {.error = failure_of(answer.response),
                 .maybe_processed = false,
                 .response = answer.response,
                 .payload = {}});
  }
  // The connection breaks after the request had left; the server did or did not act.
  void lose(bool acted) {
    const SendBatch send = take_send();
    if (acted) {
      cluster.handle(request_of(send), send.batch.bytes());
    }
    reply(send, {.error = Error(Errc::kUnavailable, "connection lost"),
                 .maybe_processed = true,
                 .response = {},
                 .payload = {}});
  }
  SendBatch take_send() {
    SendBatch send = std::move(sends.front());
    sends.pop_front();
    return send;
  }
  void reply(const SendBatch& send, const CallResult& result) {
    producer.on_reply(send.shard, send.attempt, result, now);
    turn();
  }
  void pass(Moment time) {
    now += time;
    turn();
  }
  [[nodiscard]] std::string code(const std::string& value) const {
    const auto found = outcomes.find(value);
    if (found == outcomes.end()) {
      return "open";
    }
    return found->second ? "ok" : std::string(errc_name(found->second.error().code()));
  }
  [[nodiscard]] std::vector<std::string> log() { return cluster.values(stream, 0); }

  ModelCluster cluster;
  StreamId stream = cluster.create("app", 1, 1);
  Producer producer;
  Moment now = 1;
  std::deque<SendBatch> sends;
  std::map<std::string, Result<AppendAck>> outcomes;
  std::int64_t identities = 0;
  std::int16_t first_epoch = 0;
};

TEST(ProducerTest, LoneAppendLeavesAtOnce) {
  Bench bench;
  bench.append("a");
  bench.turn();
  ASSERT_EQ(bench.sends.size(), 1U);
  bench.serve();
  EXPECT_EQ(bench.code("a"), "ok");
  EXPECT_EQ(bench.producer.buffered_bytes(), 0U);
}

TEST(ProducerTest, BurstGathersBehindTheBatchesOnTheirWay) {
  Bench bench;
  bench.append("0");
  bench.turn();
  bench.append("1");
  bench.turn();
  ASSERT_EQ(bench.sends.size(), ProducerShard::kEagerMax);
  for (int i = 2; i < 9; ++i) {
    bench.append(std::to_string(i));
    bench.turn();
  }
  EXPECT_EQ(bench.sends.size(), ProducerShard::kEagerMax);
  bench.serve();
  ASSERT_EQ(bench.sends.size(), 2U);
  EXPECT_EQ(parse_batch_header(bench.sends.back().batch.bytes())->record_count, 7);
}

TEST(ProducerTest, NeverMoreThanFiveBatchesOnTheirWay) {
  Bench bench;
  for (int i = 0; i < 40; ++i) {
    bench.append(std::string(300, static_cast<char>('a' + i % 26)) + std::to_string(i));
    bench.turn();
  }
  EXPECT_EQ(bench.sends.size(), ProducerShard::kUnacknowledgedMax);
}

TEST(ProducerTest, LingerHoldsAnOpenBatchBack) {
  auto options = small_options();
  options.settings.linger = 5 * kMillisecond;
  Bench bench(options);
  bench.append("first");
  bench.turn();
  EXPECT_THAT(bench.sends, IsEmpty());
  EXPECT_LE(bench.producer.next_wakeup(), bench.now + 5 * kMillisecond);
  bench.pass(5 * kMillisecond);
  EXPECT_EQ(bench.sends.size(), 1U);
}

TEST(ProducerTest, LostAnswerIsAskedForWithTheSameBytes) {
  Bench bench;
  bench.append("a");
  bench.turn();
  const Payload first = bench.sends.front().batch;
  bench.lose(true);
  EXPECT_EQ(bench.code("a"), "open");
  bench.pass(kSecond);
  ASSERT_EQ(bench.sends.size(), 1U);
  EXPECT_TRUE(std::ranges::equal(bench.sends.front().batch.bytes(), first.bytes()));
  bench.serve();
  EXPECT_EQ(bench.code("a"), "ok");
  EXPECT_THAT(bench.log(), ElementsAre("a"));
}

TEST(ProducerTest, NothingMoreLeavesUntilTheRetryIsDone) {
  Bench bench;
  bench.append("a");
  bench.turn();
  bench.append("b");
  bench.turn();
  ASSERT_EQ(bench.sends.size(), 2U);
  bench.refuse(Errc::kNotLeader);
  bench.append("c");
  bench.pass(kSecond / 2);
  ASSERT_EQ(bench.sends.size(), 1U);  // b is still on its way
  bench.serve();                      // out of sequence: a was not admitted
  bench.pass(kSecond / 2);
  while (!bench.sends.empty()) {
    bench.serve();
  }
  EXPECT_THAT(bench.log(), ElementsAre("a", "b", "c"));
  EXPECT_EQ(bench.identities, 1);
}

TEST(ProducerTest, DeadlineOfASentBatchIsUnknownAndTheSessionGoesOnUnderItsNextEpoch) {
  Bench bench;
  bench.append("a");
  bench.turn();
  const SendBatch limbo = bench.sends.front();
  bench.lose(false);
  for (int i = 0; i < 40 && bench.code("a") == "open"; ++i) {
    bench.pass(100 * kMillisecond);
    while (!bench.sends.empty()) {
      bench.lose(false);
    }
  }
  EXPECT_EQ(bench.code("a"), "unknown-outcome");
  bench.append("b");
  bench.turn();
  ASSERT_EQ(bench.sends.size(), 1U);
  bench.serve();
  EXPECT_EQ(bench.code("b"), "ok");
  EXPECT_EQ(bench.identities, 1);
  // When the lost request arrives after all it does not step behind what came later.
  bench.cluster.handle(Bench::request_of(limbo), limbo.batch.bytes());
  EXPECT_THAT(bench.log(), ElementsAre("b"));
}

TEST(ProducerTest, WhatArrivesBeforeTheNextEpochKeepsItsPlace) {
  Bench bench;
  bench.append("a");
  bench.turn();
  const SendBatch limbo = bench.take_send();
  bench.pass(10 * kSecond);
  EXPECT_EQ(bench.code("a"), "unknown-outcome");
  bench.cluster.handle(Bench::request_of(limbo), limbo.batch.bytes());
  for (const char* value : {"b", "c"}) {
    bench.append(value);
    bench.turn();
    bench.serve();
    EXPECT_EQ(bench.code(value), "ok");
  }
  EXPECT_THAT(bench.log(), ElementsAre("a", "b", "c"));
  EXPECT_EQ(bench.identities, 1);
}

// The first batch of all hangs; the shard knows nothing of its producer when the next one comes.
TEST(ProducerTest, AFirstBatchThatWasGivenUpDoesNotLandBehindTheNextOne) {
  Bench bench;
  bench.append("a");
  bench.turn();
  const SendBatch limbo = bench.take_send();
  bench.pass(kSecond / 2);
  bench.append("b");
  bench.turn();
  while (bench.code("a") == "open") {
    while (!bench.sends.empty()) bench.refuse(Errc::kOverloaded);
    bench.pass(100 * kMillisecond);
  }
  EXPECT_EQ(bench.code("a"), "unknown-outcome");
  for (int i = 0; i < 20 && bench.code("b") == "open"; ++i) {
    while (!bench.sends.empty()) bench.serve();
    bench.pass(100 * kMillisecond);
  }
  EXPECT_EQ(bench.code("b"), "ok");
  bench.cluster.handle(Bench::request_of(limbo), limbo.batch.bytes());
  EXPECT_THAT(bench.log(), ElementsAre("b"));
  EXPECT_EQ(bench.identities, 1);
}

// An epoch is 16 bits wide.
TEST(ProducerTest, AfterTheLastEpochTheSessionGoesOnUnderAFreshId) {
  Bench bench;
  bench.first_epoch = std::numeric_limits<std::int16_t>::max() - 1;
  for (const char* value : {"a", "b", "c"}) {
    bench.append(value);
    bench.turn();
    ASSERT_EQ(bench.sends.size(), 1U) << value;
    bench.sends.clear();
    bench.pass(10 * kSecond);
    EXPECT_EQ(bench.code(value), "unknown-outcome");
  }
  EXPECT_EQ(bench.identities, 2);
}

TEST(ProducerTest, DeadlineOfAnUnsentBatchIsATimeout) {
  Bench bench;
  bench.append("a");
  bench.turn();
  bench.append("b");
  bench.turn();
  bench.append("c");
  bench.turn();
  bench.pass(10 * kSecond);
  EXPECT_EQ(bench.code("c"), "timeout");
  EXPECT_EQ(bench.code("a"), "unknown-outcome");
}

TEST(ProducerTest, RefusedAllTheTimeIsATimeoutNotUnknown) {
  Bench bench;
  bench.append("a");
  bench.turn();
  for (int i = 0; i < 100 && bench.code("a") == "open"; ++i) {
    while (!bench.sends.empty()) {
      bench.refuse(Errc::kOverloaded);
    }
    bench.pass(100 * kMillisecond);
  }
  EXPECT_EQ(bench.code("a"), "timeout");
  bench.append("b");
  bench.turn();
  bench.serve();
  EXPECT_THAT(bench.log(), ElementsAre("b"));
  EXPECT_EQ(bench.identities, 1);  // its numbers were never used
}

TEST(ProducerTest, ForgottenSessionNeverRepeatsWhatMayBeInTheLog) {
  Bench bench;
  bench.append("a");
  bench.turn();
  bench.lose(true);
  bench.cluster.evict(bench.stream, 0);
  bench.pass(kSecond);
  bench.serve();
  EXPECT_EQ(bench.code("a"), "unknown-outcome");
  bench.append("b");
  bench.pass(kSecond);
  bench.serve();
  EXPECT_EQ(bench.code("b"), "ok");
  EXPECT_THAT(bench.log(), ElementsAre("a", "b"));
}

TEST(ProducerTest, ForgottenSessionResendsWhatWasRefused) {
  Bench bench;
  bench.append("a");
  bench.turn();
  bench.serve();
  bench.cluster.evict(bench.stream, 0);
  bench.append("b");
  bench.turn();
  bench.serve();
  // Its next epoch is as unknown; a fresh id is not.
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(bench.code("b"), "open");
    bench.pass(kSecond);
    bench.serve();
  }
  EXPECT_EQ(bench.identities, 2);
  EXPECT_EQ(bench.code("b"), "ok");
  EXPECT_THAT(bench.log(), ElementsAre("a", "b"));
}

// The shard has forgotten a younger producer, so it cannot tell this one, which never was there,
// from one that was forgotten, too.
TEST(ProducerTest, AnIdOlderThanWhatWasForgottenIsChangedForAFreshOne) {
  Bench bench;
  bench.append("first");
  bench.append("second");
  bench.turn();
  bench.append("third");
  bench.turn();
  bench.append("fourth");
  ASSERT_EQ(bench.sends.size(), 2U);
  bench.cluster.shard(bench.stream, 0).evicted = ProducerId(1);
  bench.serve();
  // The connection breaks behind the refusal; what was on its way cannot have been taken either.
  bench.lose(true);
  EXPECT_EQ(bench.code("first"), "open");
  for (int i = 0; i < 20 && bench.code("fourth") == "open"; ++i) {
    bench.pass(100 * kMillisecond);
    while (!bench.sends.empty()) {
      bench.serve();
    }
  }
  for (const char* const value : {"first", "second", "third", "fourth"}) {
    EXPECT_EQ(bench.code(value), "ok") << value;
  }
  EXPECT_THAT(bench.log(), ElementsAre("first", "second", "third", "fourth"));
  EXPECT_EQ(bench.identities, 2);
}

// The retry of a first batch must not be taken for a beginning, nor be sent under another id.
TEST(ProducerTest, AFirstBatchThatMayHaveBeenForgottenIsUnknownAndNeverTwice) {
  Bench bench;
  bench.append("a");
  bench.turn();
  bench.append("b");
  bench.turn();
  ASSERT_EQ(bench.sends.size(), 2U);
  bench.lose(true);
  bench.lose(true);
  bench.cluster.evict(bench.stream, 0);
  for (int i = 0; i < 20 && bench.code("b") == "open"; ++i) {
    bench.pass(100 * kMillisecond);
    while (!bench.sends.empty()) {
      bench.serve();
    }
  }
  EXPECT_EQ(bench.code("a"), "unknown-outcome");
  EXPECT_EQ(bench.code("b"), "unknown-outcome");
  EXPECT_THAT(bench.log(), ElementsAre("a", "b"));
}

TEST(ProducerTest, FinalRefusalFailsItsBatchOnly) {
  Bench bench;
  bench.append("a");
  bench.turn();
  bench.append("b");
  bench.turn();
  bench.refuse(Errc::kTooLarge);
  EXPECT_EQ(bench.code("a"), "too-large");
  for (int i = 0; i < 20 && bench.code("b") == "open"; ++i) {
    while (!bench.sends.empty()) {
      bench.serve();
    }
    bench.pass(100 * kMillisecond);
  }
  EXPECT_EQ(bench.code("b"), "ok");
  EXPECT_THAT(bench.log(), ElementsAre("b"));
}

// A group that halted takes nothing until somebody acts, so nobody is kept waiting for it; a batch
// that was damaged on its way is sent again.
TEST(ProducerTest, AHaltedGroupEndsTheBatchAtOnceAndADamagedBatchIsSentAgain) {
  Bench bench;
  bench.append("a");
  bench.turn();
  bench.refuse(Errc::kCorrupt);
  EXPECT_EQ(bench.code("a"), "open");
  bench.pass(kSecond);
  ASSERT_EQ(bench.sends.size(), 1U);
  bench.refuse(Errc::kHalted);
  EXPECT_EQ(bench.code("a"), "halted");
  bench.pass(kSecond);
  EXPECT_TRUE(bench.sends.empty());
}

TEST(ProducerTest, NumbersOfABatchStillOnItsWayAreNotUsedAgain) {
  Bench bench;
  bench.append("a");
  bench.turn();
  bench.append("b");
  bench.turn();
  bench.refuse(Errc::kTooLarge);
  const SendBatch limbo = bench.take_send();  // b under its first number, not yet arrived
  bench.pass(kSecond);
  ASSERT_EQ(bench.sends.size(), 1U);
  bench.serve();
  EXPECT_EQ(bench.code("b"), "ok");
  bench.cluster.handle(Bench::request_of(limbo), limbo.batch.bytes());
  EXPECT_THAT(bench.log(), ElementsAre("b"));
}

TEST(ProducerTest, DeletedStreamFailsItsRecords) {
  Bench bench;
  bench.append("a");
  bench.turn();
  bench.cluster.remove("app");
  bench.serve();
  EXPECT_EQ(bench.code("a"), "not-found");
  bench.append("b");
  bench.turn();
  EXPECT_EQ(bench.code("b"), "not-found");
  EXPECT_TRUE(bench.producer.idle());
}

TEST(ProducerTest, ConditionalAppendTravelsAloneAndReportsTheMismatch) {
  Bench bench;
  bench.append("a");
  bench.turn();
  std::optional<Result<AppendAck>> first;
  const auto expect = [&](std::uint64_t offset, const std::string& value) {
    ASSERT_TRUE(
        bench.producer
            .append_expecting("app", ShardNumber(0), Offset(offset), {{.value = to_bytes(value)}},
                              {.listener = nullptr,
                               .tag = 0,
                               .callback = [&](Result<AppendAck> ack) { first = std::move(ack); }},
                              {.moment = bench.now, .wall = 0})
            .has_value());
  };
  expect(1, "x");
  bench.append("b");
  bench.turn();
  ASSERT_EQ(bench.sends.size(), 1U);
  bench.serve();
  ASSERT_EQ(bench.sends.size(), 1U);
  bench.serve();
  ASSERT_TRUE(first && *first);
  EXPECT_EQ((*first)->offset, Offset(1));
  expect(1, "y");
  bench.serve();
  bench.turn();
  bench.serve();
  ASSERT_TRUE(first && !*first);
  EXPECT_EQ(first->error().code(), Errc::kOffsetMismatch);
  EXPECT_THAT(bench.log(), ElementsAre("a", "x", "b"));
  EXPECT_EQ(bench.identities, 1);
}

TEST(ProducerTest, ConditionalAppendDoesNotOvertakeWhatWaitsForTheFirstIdentity) {
  Bench bench;
  bench.append("a");
  // The stream is known, a producer id is not.
  wire::Request request;
  request.mutable_resolve()->add_names("app");
  bench.producer.on_stream(bench.cluster.handle(request, {})->response.resolve().streams(0),
                           {.moment = bench.now, .wall = 1000});
  const auto added = bench.producer.append_expecting(
      "app", ShardNumber(0), Offset(1), {{.value = to_bytes("x")}},
      {.listener = nullptr, .tag = 0, .callback = [](const auto&) {}},
      {.moment = bench.now, .wall = 1000});
  ASSERT_TRUE(added.has_value());
  bench.append("b");
  bench.turn();
  while (!bench.sends.empty()) bench.serve();
  EXPECT_THAT(bench.log(), ElementsAre("a", "x", "b"));
  EXPECT_TRUE(bench.producer.idle());
}

TEST(ProducerTest, FullBufferRefuses) {
  auto options = small_options();
  options.buffer_bytes_max = 200;
  Bench bench(options);
  bench.append("a");
  const std::vector<std::byte> value(100);
  BorrowedRecord record;
  record.value = value;
  const auto second = bench.producer.append("app", record, {}, {.moment = 1, .wall = 1});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code(), Errc::kOverloaded);
}

TEST(ProducerTest, StopEndsEverything) {
  Bench bench;
  bench.append("a");
  bench.turn();
  for (const char* const value : {"b", "c"}) {
    bench.append(value);
    bench.turn();
  }
  bench.producer.stop();
  bench.turn();
  EXPECT_EQ(bench.code("a"), "unknown-outcome");
  EXPECT_EQ(bench.code("c"), "cancelled");
  EXPECT_TRUE(bench.producer.idle());
}

TEST(ProducerStampTest, SequencesWrap) {
  EXPECT_EQ(sequence_after(2'147'483'647, 1), 0);
  EXPECT_EQ(sequence_after(2'147'483'640, 10), 2);
}

}  // namespace
}  // namespace lignum::net
