// Peers that send garbage, lie about lengths, dawdle or sit idle: each gets a clear error or a
// closed connection, and nobody else notices.

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "net/client.h"
#include "net/message.h"
#include "net/proto/client.pb.h"
#include "raft/error.h"
#include "raft/payload.h"
#include "storage/byte_order.h"
#include "storage/compression.h"
#include "storage/crc32c.h"
#include "storage/record_batch.h"
#include "storage/record_batch_builder.h"
#include "tests/cluster/node.h"
#include "tests/cluster/process.h"
#include "tests/cluster/raw_peer.h"

namespace lignum::cluster {
namespace {

using std::chrono::milliseconds;

#if defined(__has_feature)
// Sanitizers keep freed memory: figures of memory mean nothing under them.
constexpr bool kMemoryCounts =
    !__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer);
#else
constexpr bool kMemoryCounts = true;
#endif
constexpr std::uint64_t kGrowthMax = std::uint64_t{32} << 20;
constexpr milliseconds kHandshakeDeadline{5000};

class Hostile : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(node_.start()) << node_.errors();
    auto client = Client::connect({.endpoints = {node_.endpoint()}});
    ASSERT_TRUE(client) << client.error().describe();
    client_ = std::move(*client);
    const auto made = client_->create_stream("good", {.shards = 1});
    ASSERT_TRUE(made) << made.error().describe();
    stream_ = made->id.value();
    // Memory that any first append takes is not growth.
    expect_service();
    before_ = node_.resident_bytes();
  }

  void TearDown() override {
    expect_service();
    const auto after = node_.resident_bytes();
    if (kMemoryCounts && before_ && after) {
      const std::uint64_t growth = *after > *before_ ? *after - *before_ : 0;
      fmt::print("resident memory grew by {} KiB\n", growth >> 10);
      EXPECT_LE(growth, kGrowthMax);
    }
  }

  // The well-behaved client is served as if nothing were.
  void expect_service() {
    const auto ack = client_->append_wait("good", {.value = to_bytes("well behaved")});
    EXPECT_TRUE(ack) << ack.error().describe();
  }

  // The answer to an append of these bytes.
  std::optional<wire::Response> append(Bytes batch) {
    RawPeer peer(node_.port());
    EXPECT_TRUE(peer.shake_hands());
    wire::Request request;
    request.set_id(2);
    request.mutable_append()->set_stream(stream_);
    request.mutable_append()->set_shard(0);
    EXPECT_TRUE(peer.send(request, batch));
    return peer.receive();
  }

  void expect_refused(Bytes batch, Errc code) {
    const auto response = append(batch);
    ASSERT_TRUE(response.has_value()) << "closed without an answer";
    ASSERT_TRUE(response->has_failure()) << response->failure().message();
    EXPECT_EQ(response->failure().code(), static_cast<std::uint32_t>(code))
        << response->failure().message();
  }

  Node node_;
  std::unique_ptr<Client> client_;
  std::uint64_t stream_ = 0;
  std::optional<std::uint64_t> before_;
};

std::vector<std::byte> batch_of(std::size_t records, std::size_t record_bytes, Codec codec) {
  const std::vector<std::byte> value(record_bytes);
  BatchBuilder builder({.batch_bytes_max = std::size_t{1} << 30});
  for (std::size_t i = 0; i < records; ++i) {
    EXPECT_TRUE(builder.add({.value = value}));
  }
  return builder.build(std::nullopt, codec).value();
}

std::vector<std::byte> prefix(std::uint32_t header_bytes, std::uint32_t payload_bytes) {
  static_assert(std::endian::native == std::endian::little);
  std::vector<std::byte> bytes;
  for (const std::uint32_t word :
       {net::kMessageMagic, std::uint32_t{net::kMessageVersion}, header_bytes, payload_bytes, 0U}) {
    const auto view = std::as_bytes(std::span(&word, 1));
    bytes.insert(bytes.end(), view.begin(), view.end());
  }
  return bytes;
}

TEST_F(Hostile, GarbageIsCutOff) {
  std::mt19937_64 random(7);
  for (int i = 0; i < 50; ++i) {
    RawPeer peer(node_.port());
    std::string garbage(1 + random() % 60000, '\0');
    for (char& c : garbage) {
      c = static_cast<char>(random());
    }
    peer.send(garbage);
    EXPECT_TRUE(peer.closed_within(kPatience));
  }
}

TEST_F(Hostile, ABrowserIsCutOff) {
  RawPeer peer(node_.port());
  peer.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_TRUE(peer.closed_within(kHandshakeDeadline));
}

TEST_F(Hostile, LengthsThatLieTakeNoMemory) {
  for (const auto& [header, payload] : {std::pair{0xFFFFFFFFU, 0xFFFFFFFFU},
                                        std::pair{16U, 0xFFFFFFFFU}, std::pair{0xFFFFFFFFU, 0U}}) {
    RawPeer stranger(node_.port());
    stranger.send(prefix(header, payload));
    EXPECT_TRUE(stranger.closed_within(kPatience));
    RawPeer friendly(node_.port());
    ASSERT_TRUE(friendly.shake_hands());
    friendly.send(prefix(header, payload));
    EXPECT_TRUE(friendly.closed_within(kPatience));
  }
}

TEST_F(Hostile, HalfAMessageAndGoodbye) {
  for (int i = 0; i < 200; ++i) {
    RawPeer peer(node_.port());
    peer.send(Bytes(prefix(1000, 0)).first(1 + static_cast<std::size_t>(i) % 20));
  }
}

TEST_F(Hostile, WhoeverDawdlesBeforeTheHandshakeIsCutOff) {
  RawPeer silent(node_.port());
  RawPeer slow(node_.port());
  const auto begun = std::chrono::steady_clock::now();
  const auto hello = prefix(100, 0);
  for (std::size_t sent = 0; !slow.closed_within(milliseconds(400)) && sent < hello.size();
       ++sent) {
    slow.send(Bytes(hello).subspan(sent, 1));
  }
  EXPECT_TRUE(slow.closed_within(kHandshakeDeadline));
  EXPECT_TRUE(silent.closed_within(kHandshakeDeadline));
  EXPECT_LT(std::chrono::steady_clock::now() - begun, 2 * kHandshakeDeadline);
}

TEST_F(Hostile, TwoThousandIdleConnectionsHarmNobody) {
  constexpr rlim_t kFiles = 4096;
  rlimit files{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &files), 0);
  files.rlim_cur = std::min(std::max(files.rlim_cur, kFiles), files.rlim_max);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &files), 0);
  if (files.rlim_cur < kFiles) {
    GTEST_SKIP() << "this machine allows only " << files.rlim_cur << " open files";
  }
  std::vector<std::unique_ptr<RawPeer>> peers;
  for (int i = 0; i < 2000; ++i) {
    peers.push_back(std::make_unique<RawPeer>(node_.port()));
    ASSERT_TRUE(peers.back()->shake_hands()) << "connection " << i;
  }
  expect_service();
  const auto with_peers = node_.resident_bytes();
  if (kMemoryCounts && before_ && with_peers) {
    fmt::print("2000 idle connections: {} KiB\n", (*with_peers - *before_) >> 10);
    EXPECT_LE(*with_peers, *before_ + kGrowthMax);
  }
}

TEST_F(Hostile, AHelloWithFieldsOfTheFutureIsTaken) {
  RawPeer peer(node_.port());
  wire::Request hello;
  hello.set_id(1);
  hello.mutable_hello()->set_protocol_version(1);
  // Field 1000, of type string.
  ASSERT_TRUE(hello.ParseFromString(hello.SerializeAsString() + "\xC2\x3E\x05later"));
  ASSERT_TRUE(peer.send(hello));
  const auto reply = peer.receive();
  ASSERT_TRUE(reply.has_value());
  EXPECT_TRUE(reply->has_hello()) << reply->failure().message();
}

TEST_F(Hostile, BadNamesAreRefused) {
  using std::string_literals::operator""s;
  for (const std::string& name :
       {"../up"s, "a/b"s, "."s, ".."s, ""s, "nul\0nul"s, "blank blank"s, std::string(250, 'x')}) {
    const auto made = client_->create_stream(name, {});
    ASSERT_FALSE(made) << "'" << name << "' was taken";
    EXPECT_TRUE(made.error().code() == Errc::kInvalidArgument ||
                made.error().code() == Errc::kTooLarge)
        << made.error().describe();
  }
  EXPECT_TRUE(client_->create_stream(std::string(249, 'x'), {.shards = 1}));
}

TEST_F(Hostile, ABatchThatIsFineIsTaken) {
  const auto response = append(batch_of(3, 10, Codec::kNone));
  ASSERT_TRUE(response.has_value());
  EXPECT_TRUE(response->has_append()) << response->failure().message();
}

TEST_F(Hostile, ABatchWithAFlippedBitIsRefused) {
  auto batch = batch_of(3, 10, Codec::kNone);
  batch.back() ^= std::byte{1};
  expect_refused(batch, Errc::kCorrupt);
}

TEST_F(Hostile, ABatchThatIsCutIsRefused) {
  const auto batch = batch_of(3, 10, Codec::kNone);
  expect_refused(Bytes(batch).first(batch.size() - 1), Errc::kInvalidArgument);
  expect_refused(Bytes(batch).first(20), Errc::kInvalidArgument);
  expect_refused({}, Errc::kInvalidArgument);
}

// Its checksum is right: only a walk over the records shows it. (A lie about levels cannot be told:
// the node derives the level mask from the records.)
TEST_F(Hostile, ABatchThatLiesAboutItsCountIsRefused) {
  constexpr std::size_t kCrcAt = 17;
  constexpr std::size_t kSummed = 21;
  constexpr std::size_t kLastDeltaAt = 23;
  constexpr std::size_t kCountAt = 57;
  for (const std::int32_t count :
       {-1, 0, 2, 4, 1'000'000, std::numeric_limits<std::int32_t>::max()}) {
    for (const bool delta_agrees : {false, true}) {
      auto batch = batch_of(3, 10, Codec::kNone);
      store_be<std::int32_t>(batch, kCountAt, count);
      if (delta_agrees) store_be<std::int32_t>(batch, kLastDeltaAt, count == 0 ? -1 : count - 1);
      store_be<std::uint32_t>(batch, kCrcAt, crc32c(Bytes(batch).subspan(kSummed)));
      const auto response = append(batch);
      ASSERT_TRUE(response.has_value()) << "closed without an answer to a count of " << count;
      EXPECT_TRUE(response->has_failure()) << "a count of " << count << " was taken";
    }
  }
}

TEST_F(Hostile, ABatchThatBlowsUpIsRefused) {
  constexpr std::size_t kBomb = std::size_t{128} << 20;
  expect_refused(batch_of(kBomb / 65536, 65536, Codec::kGzip), Errc::kTooLarge);
  expect_refused(batch_of(kBomb / 65536, 65536, Codec::kZstd), Errc::kTooLarge);
}

TEST_F(Hostile, ARecordOverTheLimitIsRefused) {
  BatchBuilder builder({.record_bytes_max = std::size_t{2} << 20});
  const std::vector<std::byte> value(kRecordBytesMax + 1);
  ASSERT_TRUE(builder.add({.value = value}));
  expect_refused(builder.build(std::nullopt, Codec::kNone).value(), Errc::kTooLarge);
}

TEST_F(Hostile, AnUnknownRequestGetsAnError) {
  RawPeer peer(node_.port());
  ASSERT_TRUE(peer.shake_hands());
  wire::Request nothing;
  nothing.set_id(9);
  ASSERT_TRUE(peer.send(nothing));
  const auto response = peer.receive();
  ASSERT_TRUE(response.has_value());
  EXPECT_TRUE(response->has_failure()) << response->failure().message();
}

}  // namespace
}  // namespace lignum::cluster
