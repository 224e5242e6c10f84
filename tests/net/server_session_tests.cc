// The server's end of a connection, fed by hand: handshake, bounds, deadlines, and what becomes of
// a peer that breaks the protocol.

#include "net/server_session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "net/memory_budget.h"
#include "net/message.h"
#include "net/moment.h"
#include "net/proto/client.pb.h"
#include "raft/error.h"
#include "raft/payload.h"
#include "storage/byte_order.h"
#include "storage/crc32c.h"

namespace lignum::net {
namespace {

using Buffer = std::vector<std::byte>;

wire::Request hello(std::uint32_t version = kProtocolVersion) {
  wire::Request request;
  request.set_id(1);
  request.mutable_hello()->set_protocol_version(version);
  request.mutable_hello()->set_client_name("test 1.0");
  return request;
}

wire::Request stat(std::uint64_t id) {
  wire::Request request;
  request.set_id(id);
  request.mutable_stat();
  return request;
}

class ServerSessionTest : public testing::Test {
 protected:
  explicit ServerSessionTest(std::size_t memory = std::size_t{1} << 30) : budget_(memory) {}

  struct Told {
    wire::Response response;
    Payload payload;
  };

  void SetUp() override { options_.hello.set_node_id(7); }

  ServerSession& session() {
    if (!session_) session_.emplace(options_, budget_);
    return *session_;
  }

  void put(Bytes bytes) {
    while (!bytes.empty()) {
      const std::span<std::byte> room = session().prepare();
      const std::size_t n = std::min(room.size(), bytes.size());
      std::ranges::copy(bytes.first(n), room.begin());
      session().commit(n);
      bytes = bytes.subspan(n);
      while (auto incoming = session().next_request()) taken_.push_back(std::move(*incoming));
      if (!session().wants_read()) return;
    }
  }
  void put(const wire::Request& request, std::size_t payload_bytes = 0) {
    const Payload payload(Buffer(payload_bytes, std::byte{0x5A}));
    Buffer bytes = encode_message(request, std::span(&payload, 1));
    bytes.insert(bytes.end(), payload.bytes().begin(), payload.bytes().end());
    put(bytes);
  }
  void shake_hands() {
    put(hello());
    ASSERT_EQ(told().size(), 1U);
    ASSERT_TRUE(session().handshaken());
  }
  void answer(std::uint64_t id, std::vector<Payload> payload = {}) {
    wire::Response response;
    response.mutable_stat();
    session().reply(id, std::move(response), std::move(payload));
  }

  // Everything that is there to be sent, taken in bites of `bite` bytes.
  std::vector<Told> told(std::size_t bite = SIZE_MAX) {
    std::vector<Told> all;
    std::array<Bytes, 4> pieces;
    while (const std::size_t count = session().output(pieces)) {
      std::size_t sent = 0;
      for (const Bytes& piece : std::span(pieces).first(count)) {
        const std::size_t n = std::min(piece.size(), bite - sent);
        for (Bytes rest = piece.first(n); !rest.empty();) {
          const auto room = client_.prepare();
          const std::size_t part = std::min(room.size(), rest.size());
          std::ranges::copy(rest.first(part), room.begin());
          client_.commit(part);
          rest = rest.subspan(part);
          collect(all);
        }
        sent += n;
      }
      session().sent(sent);
    }
    return all;
  }

  void collect(std::vector<Told>& all) {
    while (true) {
      auto message = client_.next();
      ASSERT_TRUE(message.has_value());
      if (!*message) return;
      Told& one = all.emplace_back();
      ASSERT_TRUE(one.response.ParseFromArray((*message)->header.data(),
                                              static_cast<int>((*message)->header.size())));
      one.payload = std::move((*message)->payload);
    }
  }

  void expect_broken(Errc code) {
    ASSERT_TRUE(session().broken().has_value());
    EXPECT_EQ(session().broken()->code(), code) << session().broken()->describe();
    EXPECT_FALSE(session().wants_read());
    const auto last = told();
    ASSERT_FALSE(last.empty());
    EXPECT_EQ(last.back().response.id(), 0U);
    EXPECT_EQ(last.back().response.failure().code(), static_cast<std::uint32_t>(code));
    EXPECT_TRUE(session().finished());
  }

  ServerSession::Options options_;
  MemoryBudget budget_;
  std::optional<ServerSession> session_;
  std::vector<ServerSession::Incoming> taken_;
  MessageReader client_{MessageLimits{.message_bytes_max = std::size_t{64} << 20}};
};

TEST_F(ServerSessionTest, AnswersTheHello) {
  put(hello());
  const auto replies = told();
  ASSERT_EQ(replies.size(), 1U);
  EXPECT_EQ(replies[0].response.id(), 1U);
  EXPECT_EQ(replies[0].response.hello().node_id(), 7U);
  EXPECT_EQ(session().client_name(), "test 1.0");
}

TEST_F(ServerSessionTest, AnythingBeforeTheHelloIsRefused) {
  put(stat(1));
  EXPECT_TRUE(taken_.empty());
  expect_broken(Errc::kProtocol);
}

TEST_F(ServerSessionTest, AnotherProtocolVersionIsRefusedInWords) {
  put(hello(kProtocolVersion + 1));
  expect_broken(Errc::kUnsupported);
  EXPECT_THAT(session().broken()->message(), testing::HasSubstr("protocol version 2"));
}

TEST_F(ServerSessionTest, ASecondHelloIsAnsweredNo) {
  shake_hands();
  wire::Request again = hello();
  again.set_id(9);
  put(again);
  const auto replies = told();
  ASSERT_EQ(replies.size(), 1U);
  EXPECT_EQ(replies[0].response.id(), 9U);
  EXPECT_EQ(replies[0].response.failure().code(),
            static_cast<std::uint32_t>(Errc::kInvalidArgument));
  EXPECT_FALSE(session().broken().has_value());
}

TEST_F(ServerSessionTest, APingIsAnsweredByTheSession) {
  shake_hands();
  wire::Request ping;
  ping.set_id(9);
  ping.mutable_ping();
  put(ping);
  const auto replies = told();
  ASSERT_EQ(replies.size(), 1U);
  EXPECT_EQ(replies[0].response.id(), 9U);
  EXPECT_TRUE(replies[0].response.has_ping());
  EXPECT_EQ(session().outstanding(), 0U);
}

TEST_F(ServerSessionTest, AnUnknownKindOfRequestIsAnsweredNo) {
  shake_hands();
  wire::Request request;
  request.set_id(3);
  put(request);
  const auto replies = told();
  ASSERT_EQ(replies.size(), 1U);
  EXPECT_EQ(replies[0].response.failure().code(), static_cast<std::uint32_t>(Errc::kUnsupported));
}

// Field 1000, of a newer client, in an otherwise known request.
TEST_F(ServerSessionTest, UnknownFieldsAreIgnored) {
  shake_hands();
  wire::Request request = stat(4);
  std::string header;
  request.SerializeToString(&header);
  header += std::string("\xC2\x3E\x03", 3) + "abc";
  wire::Request with_unknown;
  ASSERT_TRUE(with_unknown.ParseFromString(header));
  put(with_unknown);
  ASSERT_EQ(taken_.size(), 1U);
  EXPECT_EQ(taken_[0].request.id(), 4U);
}

TEST_F(ServerSessionTest, ALargeMessageBeforeTheHandshakeIsRefused) {
  put(hello(), 10'000);
  expect_broken(Errc::kTooLarge);
}

struct ServerSessionMemory : ServerSessionTest {
  ServerSessionMemory() : ServerSessionTest(100'000) {}

  // What the other sessions of the server hold.
  MemoryShare others{budget_};
};

TEST_F(ServerSessionMemory, ALargeMessageIsRefusedBeforeItsMemoryIsTaken) {
  shake_hands();
  others.set(20'000);
  Buffer bytes = encode_message(stat(2), std::array{Payload(Buffer(90'000, std::byte{1}))});
  put(bytes);
  EXPECT_EQ(budget_.held(), 20'000U + session().output_bytes());
  expect_broken(Errc::kOverloaded);
}

TEST_F(ServerSessionMemory, WhatIsHeldIsCountedUntilItIsAnswered) {
  shake_hands();
  Buffer bytes = encode_message(stat(2), std::array{Payload(Buffer(90'000, std::byte{1}))});
  put(bytes);
  EXPECT_GT(budget_.held(), 90'000U) << "the message is on its way";
  put(Buffer(90'000, std::byte{2}));
  ASSERT_TRUE(session().broken().has_value()) << "the checksum is wrong on purpose";
  session_.reset();
  EXPECT_EQ(budget_.held(), 0U);

  shake_hands();
  put(stat(3), 80'000);
  ASSERT_EQ(taken_.size(), 1U);
  EXPECT_EQ(budget_.held(), 80'000U);
  answer(3);
  EXPECT_EQ(budget_.held(), session().output_bytes());
  EXPECT_EQ(told().size(), 1U);
  EXPECT_EQ(budget_.held(), 0U);
}

TEST_F(ServerSessionMemory, ALargeReplyFailsItsRequestAndASmallOneGoesOut) {
  shake_hands();
  put(stat(2));
  put(stat(3));
  put(stat(4));
  others.set(30'000);
  answer(2, {Payload(Buffer(90'000))});
  answer(3, {Payload(Buffer(60'000))});
  others.set(0);
  auto replies = told();
  ASSERT_EQ(replies.size(), 2U);
  EXPECT_EQ(replies[0].response.failure().code(), static_cast<std::uint32_t>(Errc::kOverloaded));
  EXPECT_EQ(replies[1].payload.size(), 60'000U);
  answer(4, {Payload(Buffer(90'000))});
  replies = told();
  ASSERT_EQ(replies.size(), 1U);
  EXPECT_EQ(replies[0].payload.size(), 90'000U);
  EXPECT_FALSE(session().broken().has_value());
}

// A header over the limit would break the connection at the client.
TEST_F(ServerSessionTest, AnAnswerThatCannotBeSentFailsItsRequestOnly) {
  shake_hands();
  for (const std::uint64_t id : {2U, 3U}) put(stat(id));
  wire::Response large;
  large.mutable_stat()->set_version(std::string(options_.limits.header_bytes_max, 'x'));
  session().reply(2, std::move(large), {Payload(Buffer(5000, std::byte{1}))});
  answer(3);
  const auto replies = told();
  ASSERT_EQ(replies.size(), 2U);
  EXPECT_EQ(replies[0].response.id(), 2U);
  EXPECT_EQ(replies[0].response.failure().code(), static_cast<std::uint32_t>(Errc::kTooLarge));
  EXPECT_THAT(replies[0].response.failure().message(), testing::HasSubstr("at most 262144"));
  EXPECT_EQ(replies[0].payload.size(), 0U);
  EXPECT_EQ(replies[1].response.id(), 3U);
  EXPECT_TRUE(replies[1].response.has_stat());
  EXPECT_FALSE(session().broken().has_value());
}

TEST_F(ServerSessionTest, IdsOfOutstandingRequestsAreTaken) {
  shake_hands();
  put(stat(5));
  answer(5);
  put(stat(5));
  EXPECT_EQ(taken_.size(), 2U);
  put(stat(5));
  EXPECT_EQ(taken_.size(), 2U);
  expect_broken(Errc::kProtocol);
}

TEST_F(ServerSessionTest, GarbageIsRefused) {
  put(Buffer(1000, std::byte{0xAA}));
  expect_broken(Errc::kProtocol);
}

TEST_F(ServerSessionTest, AHeaderThatIsNoRequestIsRefused) {
  shake_hands();
  Buffer bytes = encode_message(stat(2), {});
  bytes[kPrefixBytes] = std::byte{0xFF};
  constexpr std::size_t kCrcAt = 16;
  const std::uint32_t prefix = crc32c(Bytes(bytes).first(kCrcAt));
  store_le<std::uint32_t>(bytes, kCrcAt, crc32c(Bytes(bytes).subspan(kPrefixBytes), prefix));
  put(bytes);
  EXPECT_THAT(session().broken()->message(), testing::HasSubstr("not a Request"));
  expect_broken(Errc::kProtocol);
}

TEST_F(ServerSessionTest, RepliesComeInAnyOrderAndWhole) {
  shake_hands();
  std::vector<Payload> payloads;
  for (std::uint64_t id = 1; id <= 50; ++id) put(stat(id));
  ASSERT_EQ(taken_.size(), 50U);
  // Sizes on both sides of what is copied and what is sent in place.
  const std::array<std::size_t, 5> sizes = {0, 10, 1024, 1025, 70'000};
  for (std::uint64_t id = 50; id >= 1; --id) {
    const Payload payload(Buffer(sizes[id % 5], static_cast<std::byte>(id)));
    answer(id, {payload, Payload(), payload});
  }
  for (const std::size_t bite : {std::size_t{999}}) {
    const auto replies = told(bite);
    ASSERT_EQ(replies.size(), 50U);
    for (std::uint64_t i = 0; i < 50; ++i) {
      const std::uint64_t id = 50 - i;
      EXPECT_EQ(replies[i].response.id(), id);
      const Bytes bytes = replies[i].payload.bytes();
      EXPECT_EQ(bytes.size(), 2 * sizes[id % 5]);
      EXPECT_TRUE(
          std::ranges::all_of(bytes, [&](std::byte b) { return b == static_cast<std::byte>(id); }));
    }
  }
  EXPECT_EQ(session().output_bytes(), 0U);
}

TEST_F(ServerSessionTest, StopsReadingAtTheBoundOfOutstandingRequests) {
  options_.outstanding_max = 3;
  shake_hands();
  Buffer stream;
  for (std::uint64_t id = 1; id <= 5; ++id) {
    const Buffer bytes = encode_message(stat(id), {});
    stream.insert(stream.end(), bytes.begin(), bytes.end());
  }
  put(stream);
  EXPECT_EQ(taken_.size(), 3U);
  EXPECT_FALSE(session().wants_read());
  answer(2);
  EXPECT_TRUE(session().wants_read());
  // What was read already is served without another read.
  const auto fourth = session().next_request();
  ASSERT_TRUE(fourth.has_value());
  EXPECT_EQ(fourth->request.id(), 4U);
  EXPECT_FALSE(session().next_request().has_value());
}

TEST_F(ServerSessionTest, StopsReadingAtTheBoundOfPayloadBytes) {
  options_.outstanding_bytes_max = 1000;
  shake_hands();
  put(stat(1), 600);
  EXPECT_TRUE(session().wants_read());
  put(stat(2), 600);
  EXPECT_FALSE(session().wants_read());
  answer(1);
  EXPECT_TRUE(session().wants_read());
}

TEST_F(ServerSessionTest, AReaderThatTakesNoRepliesIsReadNoFurtherAndThenClosed) {
  options_.output_bytes_max = 10'000;
  options_.output_bytes_hard_max = 30'000;
  shake_hands();
  for (std::uint64_t id = 1; id <= 4; ++id) put(stat(id));
  const Payload large(Buffer(10'000));
  answer(1, {large});
  EXPECT_FALSE(session().wants_read());
  EXPECT_FALSE(session().finished());
  answer(2, {large});
  EXPECT_FALSE(session().broken().has_value());
  answer(3, {large});
  ASSERT_TRUE(session().broken().has_value());
  EXPECT_EQ(session().broken()->code(), Errc::kOverloaded);
  EXPECT_TRUE(session().finished());
  // Late answers do no harm.
  answer(4);
  EXPECT_EQ(session().output_bytes(), 0U);
}

TEST_F(ServerSessionTest, TheHandshakeHasADeadline) {
  EXPECT_FALSE(session().on_tick(100 * kSecond));
  put(Bytes(encode_message(hello(), {})).first(10));
  EXPECT_FALSE(session().on_tick((105 * kSecond) - 1));
  EXPECT_TRUE(session().on_tick(105 * kSecond));
  EXPECT_EQ(session().broken()->code(), Errc::kTimeout);
}

TEST_F(ServerSessionTest, AfterTheHandshakeAConnectionMayBeIdleForEver) {
  EXPECT_FALSE(session().on_tick(0));
  shake_hands();
  EXPECT_FALSE(session().on_tick(10 * kSecond));
  EXPECT_FALSE(session().on_tick(1'000'000 * kSecond));
  session().release_idle();
  EXPECT_FALSE(session().holds_buffer());
}

// One byte now and then: a slow loris after the handshake.
TEST_F(ServerSessionTest, AMessageHasADeadline) {
  EXPECT_FALSE(session().on_tick(0));
  shake_hands();
  const Buffer bytes = encode_message(stat(1), {});
  Moment now = 0;
  for (std::size_t i = 0; i + 1 < bytes.size() && now < 80 * kSecond; ++i) {
    put(Bytes(bytes).subspan(i, 1));
    now += 10 * kSecond;
    const bool late = session().on_tick(now);
    ASSERT_EQ(late, now >= 70 * kSecond) << now;
    if (late) return;
  }
  FAIL();
}

TEST_F(ServerSessionTest, TakingRepliesHasADeadline) {
  EXPECT_FALSE(session().on_tick(0));
  shake_hands();
  put(stat(1));
  answer(1, {Payload(Buffer(100'000))});
  EXPECT_FALSE(session().on_tick(10 * kSecond));
  EXPECT_FALSE(session().on_tick(69 * kSecond));
  // Progress, however little, starts it anew.
  session().sent(1);
  EXPECT_FALSE(session().on_tick(70 * kSecond));
  EXPECT_FALSE(session().on_tick(129 * kSecond));
  EXPECT_TRUE(session().on_tick(130 * kSecond));
}

TEST_F(ServerSessionTest, DrainingAnswersWhatIsOutstandingAndRefusesTheRest) {
  shake_hands();
  put(stat(1));
  session().drain();
  EXPECT_FALSE(session().finished());
  put(stat(2));
  EXPECT_EQ(taken_.size(), 1U);
  auto replies = told();
  ASSERT_EQ(replies.size(), 1U);
  EXPECT_EQ(replies[0].response.id(), 2U);
  EXPECT_EQ(replies[0].response.failure().code(), static_cast<std::uint32_t>(Errc::kShuttingDown));
  answer(1);
  EXPECT_FALSE(session().finished());
  replies = told();
  ASSERT_EQ(replies.size(), 1U);
  EXPECT_TRUE(replies[0].response.has_stat());
  EXPECT_TRUE(session().finished());
}

}  // namespace
}  // namespace lignum::net
