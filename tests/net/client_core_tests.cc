// The client core and its connections, event by event.

#include "net/client_core.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "net/backoff.h"
#include "net/call.h"
#include "net/connection_core.h"
#include "net/moment.h"
#include "net/proto/client.pb.h"
#include "net/routing_cache.h"
#include "raft/error.h"
#include "raft/types.h"

namespace lignum::net {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Carries out nothing by itself: the test plays the sockets.
class Wire {
 public:
  explicit Wire(std::vector<std::string> endpoints = {"a:1"})
      : core({.endpoints = std::move(endpoints),
              .client_name = "test",
              .connect_timeout = kSecond,
              .backoff = {.first = 10 * kMillisecond, .most = 100 * kMillisecond},
              .seed = 1}) {}

  struct Sent {
    ClientCore::ConnectionId connection;
    std::uint64_t generation;
    wire::Request request;
  };

  void collect() {
    for (bool busy = true; busy;) {
      busy = false;
      for (auto& effect : core.take_effects()) {
        busy = true;
        if (const auto* open = std::get_if<ConnectionCore::OpenSocket>(&effect.what)) {
          opened.emplace_back(effect.connection, *open);
        } else if (auto* send = std::get_if<ConnectionCore::SendMessage>(&effect.what)) {
          sent.push_back({effect.connection, send->generation, send->request});
        } else {
          ++closed;
        }
      }
      for (auto& ended : core.take_ended()) {
        busy = true;
        ended.done(std::move(ended.result));
      }
    }
  }

  // The newest socket connects and the node answers the hello.
  void accept() {
    const auto [connection, open] = opened.back();
    core.on_connected(connection, open.generation, now);
    collect();
    ASSERT_TRUE(sent.back().request.has_hello());
    wire::Response response;
    response.mutable_hello()->set_protocol_version(1);
    response.mutable_hello()->set_record_bytes_max(777);
    answer(take(), std::move(response));
  }
  void refuse() { lose(opened.back().first, opened.back().second.generation, "refused"); }
  void lose(ClientCore::ConnectionId connection, std::uint64_t generation, const std::string& why) {
    core.on_lost(connection, generation, Error(Errc::kUnavailable, why), now);
    collect();
  }
  Sent take() {
    Sent last = sent.back();
    sent.pop_back();
    return last;
  }
  void answer(const Sent& request, wire::Response response) {
    response.set_id(request.request.id());
    core.on_message(request.connection, request.generation, std::move(response), {}, now);
    collect();
  }
  void answer_failure(const Sent& request, Errc code) {
    wire::Response response;
    response.mutable_failure()->set_code(static_cast<std::uint32_t>(code));
    answer(request, std::move(response));
  }
  void call(Retry retry, Moment timeout = 10 * kSecond,
            std::optional<ShardKey> shard = std::nullopt) {
    Call made;
    made.request.mutable_stat();
    made.retry = retry;
    made.deadline = now + timeout;
    made.shard = shard;
    made.done = [this](CallResult result) { results.push_back(std::move(result)); };
    core.call(std::move(made), now);
    collect();
  }
  void pass(Moment time) {
    const Moment end = now + time;
    while (core.next_wakeup() <= end) {
      now = std::max(now, core.next_wakeup());
      core.on_tick(now);
      collect();
    }
    now = end;
  }
  [[nodiscard]] std::string code(std::size_t i = 0) const {
    if (results.size() <= i) {
      return "open";
    }
    return results.at(i).error ? std::string(errc_name(results.at(i).error->code())) : "ok";
  }

  ClientCore core;
  Moment now = 1000;
  std::vector<std::pair<ClientCore::ConnectionId, ConnectionCore::OpenSocket>> opened;
  std::vector<Sent> sent;
  int closed = 0;
  std::vector<CallResult> results;
};

wire::Response stat_reply() {
  wire::Response response;
  response.mutable_stat();
  return response;
}

ShardKey shard_zero() { return {.stream = StreamId(1), .shard = ShardNumber(0)}; }

// Two calls tell the client that "leader:9" leads shard_zero().
void learn_shard_leader(Wire& wire) {
  wire.call(Retry::kIdempotent);
  wire.accept();
  wire::Response described;
  wire::StreamInfo& stream = *described.mutable_describe_stream()->mutable_stream();
  stream.set_id(1);
  stream.add_shards()->set_group(4);
  wire.answer(wire.take(), std::move(described));
  wire.call(Retry::kIdempotent);
  wire::Response routing;
  routing.mutable_routing()->set_epoch(3);
  routing.mutable_routing()->add_groups()->set_group(4);
  routing.mutable_routing()->mutable_groups(0)->set_leader("leader:9");
  wire.answer(wire.take(), std::move(routing));
}

// One call tells it that "b:2" leads group 0.
void learn_meta_leader(Wire& wire) {
  wire.call(Retry::kIdempotent);
  wire.accept();
  wire::Response routing;
  routing.mutable_routing()->set_epoch(3);
  routing.mutable_routing()->set_meta_leader("b:2");
  wire.answer(wire.take(), std::move(routing));
}

TEST(ClientCoreTest, StartNamesEveryEndpointThatCannotBeReached) {
  Wire wire({"a:1", "b:2"});
  std::optional<std::optional<Error>> started;
  wire.core.start([&](std::optional<Error> error) { started = std::move(error); }, wire.now);
  wire.collect();
  wire.refuse();
  ASSERT_FALSE(started);
  ASSERT_EQ(wire.opened.back().second.address, "b:2");
  wire.pass(2 * kSecond);  // never answers
  ASSERT_TRUE(started && *started);
  EXPECT_EQ((*started)->code(), Errc::kUnavailable);
  // Each address once, whether the reason begins with it or not.
  EXPECT_EQ((*started)->message(),
            "no endpoint can be reached (a:1: refused; b:2 did not answer in time)");
}

TEST(ClientCoreTest, StartTakesTheFirstEndpointThatShakesHands) {
  Wire wire({"a:1", "b:2"});
  std::optional<std::optional<Error>> started;
  wire.core.start([&](std::optional<Error> error) { started = std::move(error); }, wire.now);
  wire.collect();
  wire.refuse();
  wire.accept();
  EXPECT_EQ(wire.core.limits().record_bytes, 777U);
  wire::Response routing;
  routing.mutable_routing();
  wire.answer(wire.take(), std::move(routing));
  ASSERT_TRUE(started);
  EXPECT_FALSE(*started);
}

TEST(ClientCoreTest, NothingIsSentBeforeTheHandshake) {
  Wire wire;
  wire.call(Retry::kIdempotent);
  EXPECT_THAT(wire.sent, IsEmpty());
  wire.core.on_connected(0, 1, wire.now);
  wire.collect();
  ASSERT_EQ(wire.sent.size(), 1U);
  EXPECT_TRUE(wire.sent.front().request.has_hello());
}

TEST(ClientCoreTest, AnswersFindTheirCallsInAnyOrder) {
  Wire wire;
  std::vector<int> order;
  for (int i = 0; i < 3; ++i) {
    Call call;
    call.request.mutable_stat();
    call.deadline = wire.now + kSecond;
    call.done = [&order, i](const CallResult&) { order.push_back(i); };
    wire.core.call(std::move(call), wire.now);
  }
  wire.collect();
  wire.accept();
  ASSERT_EQ(wire.sent.size(), 3U);
  const auto sent = wire.sent;
  wire.answer(sent.at(2), stat_reply());
  wire.answer(sent.at(0), stat_reply());
  wire.answer(sent.at(2), stat_reply());  // twice: ignored
  wire.answer(sent.at(1), stat_reply());
  EXPECT_THAT(order, ElementsAre(2, 0, 1));
}

TEST(ClientCoreTest, IdempotentCallsSurviveALostConnection) {
  Wire wire({"a:1", "b:2"});
  wire.call(Retry::kIdempotent);
  wire.accept();
  const auto first = wire.take();
  wire.lose(first.connection, first.generation, "reset");
  EXPECT_EQ(wire.code(), "open");
  wire.pass(kSecond / 2);
  EXPECT_EQ(wire.opened.back().second.address, "b:2");
  wire.accept();
  wire.answer(wire.take(), stat_reply());
  EXPECT_EQ(wire.code(), "ok");
}

TEST(ClientCoreTest, StartedCallsThatMustNotBeRepeatedAreUnknown) {
  Wire wire;
  wire.call(Retry::kUnlessStarted);
  wire.refuse();
  EXPECT_EQ(wire.code(), "open");  // never left: tried again
  wire.pass(kSecond / 2);
  wire.accept();
  const auto first = wire.take();
  wire.lose(first.connection, first.generation, "reset");
  EXPECT_EQ(wire.code(), "unknown-outcome");
}

TEST(ClientCoreTest, CallersThatRetryThemselvesHearOfEachAttempt) {
  Wire wire;
  wire.call(Retry::kNever);
  wire.accept();
  const auto first = wire.take();
  wire.lose(first.connection, first.generation, "reset");
  ASSERT_EQ(wire.code(), "unavailable");
  EXPECT_TRUE(wire.results.front().maybe_processed);
  wire.call(Retry::kNever);  // the connection pauses
  ASSERT_EQ(wire.code(1), "unavailable");
  EXPECT_FALSE(wire.results.back().maybe_processed);
}

TEST(ClientCoreTest, PassingRefusalsAreRetriedUntilTheDeadline) {
  Wire wire;
  wire.call(Retry::kIdempotent, kSecond);
  wire.accept();
  int attempts = 0;
  for (int i = 0; i < 1000 && wire.code() == "open"; ++i) {
    while (!wire.sent.empty()) {
      ++attempts;
      wire.answer_failure(wire.take(), Errc::kOverloaded);
    }
    wire.pass(5 * kMillisecond);
  }
  EXPECT_EQ(wire.code(), "timeout");
  EXPECT_GT(attempts, 5);
  EXPECT_THAT(wire.results.front().error->message(), HasSubstr("overloaded"));
}

TEST(ClientCoreTest, FinalRefusalsAreNotRetried) {
  Wire wire;
  wire.call(Retry::kIdempotent);
  wire.accept();
  wire.answer_failure(wire.take(), Errc::kInvalidArgument);
  EXPECT_EQ(wire.code(), "invalid-argument");
}

TEST(ClientCoreTest, SilentNodeCostsOneDeadline) {
  Wire wire;
  wire.call(Retry::kNever, kSecond);
  wire.accept();
  wire.pass(100 * kMillisecond);
  wire.call(Retry::kNever, 30 * kSecond);
  wire.pass(kSecond);
  EXPECT_EQ(wire.code(0), "timeout");
  EXPECT_EQ(wire.code(1), "unavailable");
  EXPECT_EQ(wire.closed, 1);
}

TEST(ClientCoreTest, ASilentNodeIsPingedAndThenLost) {
  Wire wire({"a:1", "b:2"});
  // As long as most requests have: enough for another node.
  wire.call(Retry::kIdempotent, 10 * kSecond);
  wire.accept();
  wire.take();
  wire.pass(3 * kSecond - 1);
  EXPECT_THAT(wire.sent, IsEmpty());
  wire.pass(1);
  ASSERT_EQ(wire.sent.size(), 1U);
  EXPECT_TRUE(wire.take().request.has_ping());
  wire.pass(3 * kSecond - 1);
  EXPECT_EQ(wire.closed, 0);
  wire.pass(kSecond / 2);
  EXPECT_EQ(wire.closed, 1);
  ASSERT_EQ(wire.opened.back().second.address, "b:2");
  wire.accept();
  wire.answer(wire.take(), stat_reply());
  EXPECT_EQ(wire.code(), "ok");
}

TEST(ClientCoreTest, WhoAnswersPingsMayTakeItsTime) {
  Wire wire;
  wire.call(Retry::kNever, 60 * kSecond);
  wire.accept();
  const auto slow = wire.take();
  for (int i = 0; i < 5; ++i) {
    wire.pass(3 * kSecond);
    ASSERT_EQ(wire.sent.size(), 1U);
    const auto ping = wire.take();
    ASSERT_TRUE(ping.request.has_ping());
    wire.pass(2 * kSecond);
    // An older node does not know what it is asked; it is there all the same.
    i % 2 == 0 ? wire.answer_failure(ping, Errc::kUnsupported) : wire.answer(ping, {});
  }
  EXPECT_EQ(wire.closed, 0);
  wire.answer(slow, stat_reply());
  EXPECT_EQ(wire.code(), "ok");
  // Nothing is owed: nobody is asked.
  wire.pass(60 * kSecond);
  EXPECT_THAT(wire.sent, IsEmpty());
}

TEST(ClientCoreTest, ALongMessageOnItsWayIsASignOfLife) {
  Wire wire;
  wire.call(Retry::kNever, 60 * kSecond);
  wire.accept();
  const auto slow = wire.take();
  for (int i = 0; i < 10; ++i) {
    wire.pass(2 * kSecond);
    wire.core.on_bytes(slow.connection, slow.generation, wire.now);
  }
  EXPECT_THAT(wire.sent, IsEmpty());
  wire.pass(3 * kSecond);
  EXPECT_TRUE(wire.take().request.has_ping());
  wire.core.on_bytes(slow.connection, slow.generation + 1, wire.now);  // of another socket
  wire.pass(3 * kSecond);
  EXPECT_EQ(wire.code(), "unavailable");
}

// Whoever calls was held up, and nothing was read meanwhile: that says nothing of the node.
TEST(ClientCoreTest, ALateTickAsksOnceMore) {
  Wire wire;
  wire.call(Retry::kNever, 60 * kSecond);
  wire.accept();
  wire.take();
  for (int i = 0; i < 3; ++i) {
    wire.now += 7 * kSecond;
    wire.core.on_tick(wire.now);
    wire.collect();
    ASSERT_EQ(wire.sent.size(), 1U);
    EXPECT_TRUE(wire.take().request.has_ping());
  }
  wire.pass(3 * kSecond);
  EXPECT_EQ(wire.code(), "unavailable");
}

// A server reads no further request while it has as many as it takes, so no ping either.
TEST(ClientCoreTest, SilenceBehindAFullServerIsNotJudged) {
  Wire wire;
  for (std::size_t i = 0; i < ConnectionCore::kJudgedBelow; ++i) {
    wire.call(Retry::kNever, 60 * kSecond);
  }
  wire.accept();
  const auto sent = std::exchange(wire.sent, {});
  wire.pass(30 * kSecond);
  EXPECT_THAT(wire.sent, IsEmpty());
  EXPECT_EQ(wire.closed, 0);
  wire.answer(sent.front(), stat_reply());
  wire.pass(3 * kSecond);
  EXPECT_EQ(wire.sent.size(), 1U);
}

// A length that was damaged on the way makes one message of all that follows.
TEST(ClientCoreTest, BytesThatNeverMakeAMessageCostOneDeadline) {
  Wire wire;
  wire.call(Retry::kNever, 3 * kSecond);
  wire.accept();
  const auto first = wire.take();
  for (int i = 0; i < 3; ++i) {
    wire.pass(kSecond);
    wire.core.on_bytes(first.connection, first.generation, wire.now);
    wire.call(Retry::kNever, 30 * kSecond);
  }
  EXPECT_EQ(wire.code(0), "timeout");
  EXPECT_EQ(wire.code(1), "unavailable");
  EXPECT_EQ(wire.closed, 1);
}

// Which node leads group 0 is asked anew where the one that did is gone.
TEST(ClientCoreTest, GroupZerosLeaderIsForgottenWithItsConnection) {
  Wire wire({"a:1", "b:2"});
  learn_meta_leader(wire);
  const auto init = [&] {
    Call call;
    call.request.mutable_init_producer();
    call.deadline = wire.now + 60 * kSecond;
    call.done = [&](CallResult result) { wire.results.push_back(std::move(result)); };
    wire.core.call(std::move(call), wire.now);
    wire.collect();
  };
  init();
  ASSERT_EQ(wire.opened.back().second.address, "b:2");
  wire.accept();
  const auto first = wire.take();
  wire.lose(first.connection, first.generation, "reset");
  ASSERT_EQ(wire.sent.size(), 1U);
  EXPECT_TRUE(wire.take().request.has_routing());
  // Also long after the pause.
  wire.pass(2 * kSecond);
  ASSERT_FALSE(wire.sent.empty());
  EXPECT_TRUE(wire.sent.front().request.has_init_producer());
  EXPECT_EQ(wire.sent.front().connection, 0U);
}

// A leader that answers, if only that it cannot now, is there.
TEST(ClientCoreTest, GroupZerosLeaderStaysWhereItRefuses) {
  Wire wire({"a:1", "b:2"});
  learn_meta_leader(wire);
  Call call;
  call.request.mutable_create_stream();
  call.retry = Retry::kUnlessStarted;
  call.deadline = wire.now + 60 * kSecond;
  call.done = [&](CallResult result) { wire.results.push_back(std::move(result)); };
  wire.core.call(std::move(call), wire.now);
  wire.collect();
  wire.accept();
  const auto first = wire.take();
  wire.answer_failure(first, Errc::kUnavailable);
  wire.pass(kSecond);
  ASSERT_EQ(wire.sent.size(), 1U);
  EXPECT_TRUE(wire.sent.front().request.has_create_stream());
  EXPECT_EQ(wire.sent.front().connection, first.connection);
}

// The leader of a shard that lets a request pass its deadline is not asked again first.
TEST(ClientCoreTest, ALeaderThatDoesNotAnswerIsForgotten) {
  Wire wire({"a:1"});
  learn_shard_leader(wire);
  wire.call(Retry::kNever, kSecond, shard_zero());
  wire.accept();
  wire.take();
  wire.pass(kSecond);
  EXPECT_EQ(wire.code(2), "timeout");
  ASSERT_EQ(wire.sent.size(), 1U);
  EXPECT_TRUE(wire.take().request.has_routing());
  wire.call(Retry::kNever, kSecond, shard_zero());
  ASSERT_EQ(wire.sent.size(), 1U);
  EXPECT_EQ(wire.sent.front().connection, 0U);
}

TEST(ClientCoreTest, SlowAnswerDoesNotCostTheConnection) {
  Wire wire;
  wire.call(Retry::kNever, kSecond);
  wire.accept();
  const auto slow = wire.take();
  wire.pass(100 * kMillisecond);
  wire.call(Retry::kNever, 30 * kSecond);
  wire.answer(wire.take(), stat_reply());
  wire.pass(kSecond);
  EXPECT_EQ(wire.closed, 0);
  wire.answer(slow, stat_reply());  // too late: nobody waits
  EXPECT_EQ(wire.results.size(), 2U);
}

TEST(ClientCoreTest, ShardsGoToTheirLeaderAndComeBackFromAWrongOne) {
  Wire wire({"a:1"});
  learn_shard_leader(wire);

  wire.call(Retry::kIdempotent, 10 * kSecond, shard_zero());
  ASSERT_EQ(wire.opened.back().second.address, "leader:9");
  wire.accept();
  wire.answer_failure(wire.take(), Errc::kNotLeader);
  // Asks an endpoint for the table, and the shard's request goes there too until it is known.
  ASSERT_EQ(wire.sent.size(), 1U);
  EXPECT_TRUE(wire.sent.front().request.has_routing());
  EXPECT_EQ(wire.sent.front().connection, 0U);
  wire.take();
  wire.pass(kSecond / 2);
  ASSERT_EQ(wire.sent.size(), 1U);
  EXPECT_EQ(wire.sent.front().connection, 0U);
  wire.answer(wire.take(), stat_reply());
  EXPECT_EQ(wire.code(2), "ok");
}

TEST(ClientCoreTest, EventsOfAnOldSocketAreIgnored) {
  Wire wire;
  wire.call(Retry::kIdempotent);
  wire.refuse();
  const auto old = wire.opened.back();
  wire.pass(kSecond / 2);
  ASSERT_EQ(wire.opened.size(), 2U);
  wire.core.on_connected(old.first, old.second.generation, wire.now);
  wire.collect();
  EXPECT_THAT(wire.sent, IsEmpty());
}

TEST(ClientCoreTest, LastWordsOfTheNodeAreTheReason) {
  Wire wire;
  wire.call(Retry::kNever);
  wire.accept();
  const auto request = wire.take();
  wire::Response last_words;
  last_words.mutable_failure()->set_code(static_cast<std::uint32_t>(Errc::kProtocol));
  last_words.mutable_failure()->set_message("no such field");
  last_words.set_id(0);
  wire.core.on_message(request.connection, request.generation, std::move(last_words), {}, wire.now);
  wire.collect();
  ASSERT_EQ(wire.results.size(), 1U);
  EXPECT_THAT(wire.results.front().error->message(), HasSubstr("no such field"));
}

TEST(ClientCoreTest, StopEndsEveryCall) {
  Wire wire;
  wire.call(Retry::kIdempotent);
  wire.accept();
  wire.call(Retry::kIdempotent);
  wire.core.stop(Error(Errc::kCancelled, "closed"));
  wire.collect();
  EXPECT_EQ(wire.code(0), "cancelled");
  EXPECT_EQ(wire.code(1), "cancelled");
  wire.call(Retry::kIdempotent);
  EXPECT_EQ(wire.code(2), "cancelled");
}

TEST(ConnectionCoreTest, RefusesMoreRequestsThanItsBound) {
  ConnectionCore connection({.address = "a:1", .client_name = "test"});
  for (std::size_t i = 0; i <= ConnectionCore::kOutstandingMax; ++i) {
    connection.submit(i, {}, {}, kSecond, 0);
  }
  const auto finished = connection.take_finished();
  ASSERT_EQ(finished.size(), 1U);
  EXPECT_EQ(finished.front().token, ConnectionCore::kOutstandingMax);
  EXPECT_EQ(finished.front().result.error->code(), Errc::kOverloaded);
}

TEST(RoutingCacheTest, OlderTablesAreIgnored) {
  RoutingCache cache;
  wire::Response resolve;
  wire::StreamInfo& stream = *resolve.mutable_resolve()->add_streams();
  stream.set_id(1);
  stream.add_shards()->set_group(2);
  cache.observe(resolve);
  const auto table = [](std::uint64_t epoch, const std::string& leader) {
    wire::Response response;
    response.mutable_routing()->set_epoch(epoch);
    wire::GroupRoute& route = *response.mutable_routing()->add_groups();
    route.set_group(2);
    route.set_leader(leader);
    return response;
  };
  EXPECT_FALSE(cache.leader_of(shard_zero()));
  cache.observe(table(5, "new:1"));
  cache.observe(table(4, "old:1"));
  EXPECT_EQ(cache.leader_of(shard_zero()), "new:1");
  cache.correct_leader(shard_zero(), std::nullopt);
  EXPECT_FALSE(cache.leader_of(shard_zero()));
}

TEST(BackoffTest, DoublesWithinItsBoundsAndStartsAnew) {
  Backoff backoff({.first = 100, .most = 1000}, 42);
  Moment range = 100;
  for (int i = 0; i < 10; ++i) {
    const Moment pause = backoff.next();
    EXPECT_GE(pause, range / 2);
    EXPECT_LT(pause, range);
    range = std::min<Moment>(1000, range * 2);
  }
  backoff.reset();
  EXPECT_LT(backoff.next(), 100);
}

}  // namespace
}  // namespace lignum::net
