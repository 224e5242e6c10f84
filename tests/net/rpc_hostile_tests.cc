// The RPC server against clients that mean it harm: what they get is a clear error or a closed
// connection; what they cost is bounded; who behaves is served meanwhile.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <unistd.h>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <limits>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "net/message.h"
#include "net/moment.h"
#include "net/proto/client.pb.h"
#include "net/server_session.h"
#include "raft/error.h"
#include "raft/payload.h"
#include "storage/byte_order.h"
#include "tests/net/raw_client.h"
#include "tests/net/rpc_fixture.h"

namespace lignum::net {
namespace {

using Buffer = std::vector<std::byte>;

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define LIGNUM_SANITIZED
#endif
#endif
#if defined(LIGNUM_SANITIZED)
// A sanitizer's own memory drowns the figure.
constexpr bool kResidentCounts = false;
#else
constexpr bool kResidentCounts = true;
#endif

constexpr std::size_t kIdleConnections = 2000;
constexpr std::size_t kResidentGrowthMax = std::size_t{32} << 20;

std::size_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  std::size_t total = 0;
  std::size_t resident = 0;
  statm >> total >> resident;
  return resident * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

Buffer whole_message(const wire::Request& request, std::size_t payload_bytes) {
  const Payload payload{Buffer(payload_bytes, std::byte{0x33})};
  Buffer bytes = encode_message(request, std::span(&payload, 1));
  bytes.insert(bytes.end(), payload.bytes().begin(), payload.bytes().end());
  return bytes;
}

class RpcHostileTest : public RpcTest {
 protected:
  // The last word is an error of this code; then the connection is closed.
  static void expect_refused(RawClient& client, Errc code) {
    const auto last = client.receive();
    ASSERT_TRUE(last.has_value());
    EXPECT_EQ(last->response.id(), 0U);
    EXPECT_EQ(last->response.failure().code(), static_cast<std::uint32_t>(code));
    EXPECT_FALSE(client.receive().has_value());
  }

  // Two descriptors for each connection of the test and the server within it.
  static bool may_open(std::size_t descriptors) {
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return false;
    limit.rlim_cur = limit.rlim_max;
    return setrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur >= descriptors;
  }
};

TEST_F(RpcHostileTest, GarbageIsRefused) {
  start();
  for (const bool after_handshake : {false, true}) {
    RawClient client = after_handshake ? shaken() : connect();
    std::mt19937_64 random(1);
    Buffer garbage(100'000);
    for (std::byte& byte : garbage) byte = static_cast<std::byte>(random());
    client.send(garbage);
    expect_refused(client, Errc::kProtocol);
  }
  EXPECT_TRUE(eventually([&] { return server_->counters().connections_broken == 2; }));
  expect_healthy();
}

TEST_F(RpcHostileTest, LyingLengthsAreRefused) {
  start();
  for (const std::size_t at : {8U, 12U}) {
    for (const bool after_handshake : {false, true}) {
      RawClient client = after_handshake ? shaken() : connect();
      Buffer bytes = whole_message(stat_request(2), 10);
      store_le<std::uint32_t>(bytes, at, std::numeric_limits<std::uint32_t>::max());
      client.send(bytes);
      expect_refused(client, Errc::kTooLarge);
    }
  }
  expect_healthy();
}

TEST_F(RpcHostileTest, AWrongChecksumIsRefused) {
  start();
  RawClient client = shaken();
  Buffer bytes = whole_message(stat_request(2), 10);
  bytes[16] ^= std::byte{1};
  client.send(bytes);
  expect_refused(client, Errc::kCorrupt);
  EXPECT_EQ(server_->counters().requests, 0U);
  expect_healthy();
}

TEST_F(RpcHostileTest, ARequestBeforeTheHelloIsRefused) {
  start();
  RawClient client = connect();
  client.send(stat_request(2));
  expect_refused(client, Errc::kProtocol);
  EXPECT_EQ(server_->counters().requests, 0U);
}

TEST_F(RpcHostileTest, UnknownFieldsAreIgnored) {
  start();
  RawClient client = shaken();
  std::string header;
  stat_request(2).SerializeToString(&header);
  header += std::string("\xC2\x3E\x03", 3) + "abc";
  wire::Request request;
  ASSERT_TRUE(request.ParseFromString(header));
  const auto reply = client.call(request);
  ASSERT_TRUE(reply.has_value());
  EXPECT_TRUE(reply->response.has_stat());
}

TEST_F(RpcHostileTest, HalfAMessageAndAHangUpIsForgotten) {
  start();
  for (std::size_t part = 1; part < 60; part += 7) {
    RawClient client = shaken();
    client.send(Bytes(whole_message(stat_request(2), 100)).first(part));
  }
  EXPECT_TRUE(eventually([&] { return server_->counters().connections_open == 0; }));
  EXPECT_EQ(server_->counters().requests, 0U);
  expect_healthy();
}

TEST_F(RpcHostileTest, WhoDoesNotShakeHandsInTimeIsClosed) {
  options_.session.handshake_deadline = 100 * kMillisecond;
  start();
  RawClient silent = connect();
  RawClient slow = connect();
  slow.send(Bytes(whole_message(stat_request(2), 0)).first(7));
  EXPECT_TRUE(silent.wait_closed());
  EXPECT_TRUE(slow.wait_closed());
  EXPECT_EQ(server_->counters().connections_stalled, 2U);
  expect_healthy();
}

TEST_F(RpcHostileTest, WhoDoesNotFinishAMessageIsClosed) {
  options_.session.stall_deadline = 100 * kMillisecond;
  start();
  RawClient client = shaken();
  client.send(Bytes(whole_message(stat_request(2), 1000)).first(500));
  EXPECT_TRUE(client.wait_closed());
  EXPECT_EQ(server_->counters().connections_stalled, 1U);
  expect_healthy();
}

TEST_F(RpcHostileTest, WhoTakesNoRepliesIsClosed) {
  options_.session.stall_deadline = 200 * kMillisecond;
  start();
  RawClient client = shaken();
  // Until the kernel's buffers and the server's bounds are full, or the server has closed.
  for (std::uint64_t id = 2; client.send(stat_request(id), Payload(Buffer(1'000'000))); ++id) {
  }
  EXPECT_TRUE(eventually([&] { return server_->counters().connections_stalled == 1; }));
  expect_healthy();
}

TEST_F(RpcHostileTest, ThousandsOfSilentConnectionsCostLittle) {
  if (!may_open((2 * kIdleConnections) + 100)) GTEST_SKIP() << "too few file descriptors";
  start();
  RawClient good = shaken();
  ASSERT_TRUE(good.call(stat_request(2)).has_value());
  const std::size_t before = resident_bytes();
  std::vector<RawClient> idle;
  idle.reserve(kIdleConnections);
  for (std::size_t i = 0; i < kIdleConnections; ++i) idle.push_back(connect());
  EXPECT_TRUE(eventually([&] { return server_->counters().connections_open > kIdleConnections; }));
  ASSERT_TRUE(good.call(stat_request(3)).has_value());
  const std::size_t growth = resident_bytes() - before;
  RecordProperty("resident_growth_kib", static_cast<int>(growth >> 10));
  if (kResidentCounts) EXPECT_LE(growth, kResidentGrowthMax);
}

TEST_F(RpcHostileTest, ThousandsOfHalfMessagesCostLittle) {
  if (!may_open((2 * kIdleConnections) + 100)) GTEST_SKIP() << "too few file descriptors";
  start();
  RawClient good = shaken();
  ASSERT_TRUE(good.call(stat_request(2)).has_value());
  const std::size_t before = resident_bytes();
  // The prefix of the largest message allowed: a server that took memory on its word would need
  // 32 GB.
  Buffer half = whole_message(stat_request(2), (std::size_t{16} << 20) - 200);
  half.resize(1000);
  const std::size_t received = server_->counters().bytes_received;
  std::vector<RawClient> idle;
  idle.reserve(kIdleConnections);
  for (std::size_t i = 0; i < kIdleConnections; ++i) {
    idle.push_back(shaken());
    ASSERT_TRUE(idle.back().send(half));
  }
  EXPECT_TRUE(eventually([&] {
    return server_->counters().bytes_received - received >= kIdleConnections * half.size();
  }));
  ASSERT_TRUE(good.call(stat_request(3)).has_value());
  const std::size_t growth = resident_bytes() - before;
  RecordProperty("resident_growth_kib", static_cast<int>(growth >> 10));
  if (kResidentCounts) EXPECT_LE(growth, kResidentGrowthMax);
}

}  // namespace
}  // namespace lignum::net
