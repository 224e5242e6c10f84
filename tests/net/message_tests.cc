// The wire message: whatever the reads cut the stream into, the same messages come out; whatever
// is damaged is noticed; no length is believed before it was held against the limits.

#include "net/message.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <random>
#include <span>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "net/proto/client.pb.h"
#include "raft/error.h"
#include "raft/payload.h"
#include "storage/byte_order.h"

namespace lignum::net {
namespace {

using Buffer = std::vector<std::byte>;

constexpr std::size_t kHeaderLengthAt = 8;
constexpr std::size_t kPayloadLengthAt = 12;

Buffer pattern(std::size_t size, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  Buffer bytes(size);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
  return bytes;
}

Buffer message_bytes(std::uint64_t id, std::size_t payload_bytes) {
  wire::Request request;
  request.set_id(id);
  request.mutable_append()->set_stream(id * 7);
  // Two slices, as replies have them.
  const Payload payload(pattern(payload_bytes, id));
  const std::size_t half = payload_bytes / 2;
  const std::vector<Payload> slices = {payload.slice(0, half),
                                       payload.slice(half, payload_bytes - half)};
  Buffer out = encode_message(request, slices);
  out.insert(out.end(), payload.bytes().begin(), payload.bytes().end());
  return out;
}

struct Seen {
  std::uint64_t id = 0;
  Buffer payload;
  friend bool operator==(const Seen&, const Seen&) = default;
};

Result<std::vector<Seen>> take_all(MessageReader& reader) {
  std::vector<Seen> seen;
  while (true) {
    TRY_ASSIGN(message, reader.next());
    if (!message) return seen;
    wire::Request request;
    EXPECT_TRUE(
        request.ParseFromArray(message->header.data(), static_cast<int>(message->header.size())));
    const Bytes payload = message->payload.bytes();
    seen.push_back({.id = request.id(), .payload = Buffer(payload.begin(), payload.end())});
  }
}

// Feeds `bytes` in reads of at most next_size() bytes.
template <class NextSize>
Result<std::vector<Seen>> feed(MessageReader& reader, Bytes bytes, NextSize next_size) {
  std::vector<Seen> seen;
  while (!bytes.empty()) {
    const std::span<std::byte> room = reader.prepare();
    EXPECT_FALSE(room.empty());
    const std::size_t n = std::min<std::size_t>({room.size(), bytes.size(), next_size()});
    std::ranges::copy(bytes.first(n), room.begin());
    reader.commit(n);
    bytes = bytes.subspan(n);
    TRY_ASSIGN(some, take_all(reader));
    std::ranges::move(some, std::back_inserter(seen));
  }
  return seen;
}

Result<std::vector<Seen>> read_whole(Bytes bytes, MessageLimits limits = {}) {
  MessageReader reader(limits);
  return feed(reader, bytes, [] { return SIZE_MAX; });
}

TEST(Message, ThePrefixIsAsDocumented) {
  const Buffer bytes = message_bytes(5, 100);
  EXPECT_EQ(load_le<std::uint32_t>(bytes), 0x4D4E474C);
  EXPECT_EQ(std::string_view(reinterpret_cast<const char*>(bytes.data()), 4), "LGNM");
  EXPECT_EQ(bytes[4], std::byte{1});
  EXPECT_EQ(bytes[5] | bytes[6] | bytes[7], std::byte{0});
  const auto header = load_le<std::uint32_t>(bytes, kHeaderLengthAt);
  EXPECT_EQ(load_le<std::uint32_t>(bytes, kPayloadLengthAt), 100U);
  EXPECT_EQ(bytes.size(), kPrefixBytes + header + 100);
}

TEST(Message, AnEmptyHeaderAndAnEmptyPayloadAreAMessage) {
  const Buffer bytes = encode_message(wire::Request(), {});
  EXPECT_EQ(bytes.size(), kPrefixBytes);
  const auto seen = read_whole(bytes);
  ASSERT_TRUE(seen.has_value());
  EXPECT_THAT(*seen, testing::ElementsAre(Seen{}));
}

// The property: sizes around every threshold, 200 random ways to cut the stream.
TEST(Message, AnyCuttingOfTheStreamGivesTheSameMessages) {
  const std::vector<std::size_t> sizes = {0,
                                          1,
                                          100,
                                          MessageReader::kCopyMax - 1,
                                          MessageReader::kCopyMax,
                                          100,
                                          40'000,
                                          MessageReader::kChunkBytes,
                                          3 * MessageReader::kChunkBytes,
                                          7,
                                          0,
                                          64'000,
                                          1'000'000,
                                          12};
  Buffer stream;
  std::vector<Seen> expected;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    const Buffer bytes = message_bytes(i + 1, sizes[i]);
    stream.insert(stream.end(), bytes.begin(), bytes.end());
    expected.push_back({.id = i + 1, .payload = pattern(sizes[i], i + 1)});
  }
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    std::mt19937_64 random(seed);
    const std::size_t size_max = std::size_t{1} << (8 + (random() % 14));
    MessageReader reader{MessageLimits{}};
    const auto seen = feed(reader, stream, [&] { return 1 + (random() % size_max); });
    ASSERT_TRUE(seen.has_value()) << "seed " << seed << ": " << seen.error().describe();
    ASSERT_TRUE(*seen == expected) << "seed " << seed;
    EXPECT_TRUE(reader.at_boundary());
  }
}

TEST(Message, ByteByByteGivesTheSameMessages) {
  Buffer stream = message_bytes(1, 300);
  const Buffer second = message_bytes(2, 0);
  stream.insert(stream.end(), second.begin(), second.end());
  MessageReader reader{MessageLimits{}};
  const auto seen = feed(reader, stream, [] { return 1U; });
  ASSERT_TRUE(seen.has_value());
  EXPECT_THAT(*seen,
              testing::ElementsAre(Seen{.id = 1, .payload = pattern(300, 1)}, Seen{.id = 2}));
}

// A payload that is kept does not change when the reader goes on, and holds no whole chunk.
TEST(Message, APayloadOutlivesTheReader) {
  std::vector<Payload> kept;
  {
    MessageReader reader{MessageLimits{}};
    for (std::uint64_t id = 1; id <= 40; ++id) {
      Bytes bytes;
      const Buffer stream = message_bytes(id, id * 1000);
      for (bytes = stream; !bytes.empty();) {
        const auto room = reader.prepare();
        const std::size_t n = std::min({room.size(), bytes.size(), std::size_t{5000}});
        std::ranges::copy(bytes.first(n), room.begin());
        reader.commit(n);
        bytes = bytes.subspan(n);
        auto message = reader.next();
        ASSERT_TRUE(message.has_value());
        if (*message) kept.push_back(std::move((*message)->payload));
      }
    }
  }
  ASSERT_EQ(kept.size(), 40U);
  for (std::uint64_t id = 1; id <= 40; ++id) {
    EXPECT_TRUE(std::ranges::equal(kept[id - 1].bytes(), pattern(id * 1000, id))) << id;
  }
}

// Every byte of prefix, header and payload, every bit: a CRC-32C misses no single flip, and no
// damaged length makes the reader hand out anything.
TEST(Message, EveryFlippedBitIsNoticed) {
  const Buffer good = message_bytes(77, 200);
  for (std::size_t at = 0; at < good.size(); ++at) {
    for (unsigned bit = 0; bit < 8; ++bit) {
      Buffer bad = good;
      bad[at] ^= static_cast<std::byte>(1U << bit);
      MessageReader reader{MessageLimits{}};
      const auto seen = feed(reader, bad, [] { return SIZE_MAX; });
      // A larger length makes it wait for more, which is not a message either.
      EXPECT_TRUE(!seen || seen->empty()) << "byte " << at << " bit " << bit;
      const bool in_lengths = at >= kHeaderLengthAt && at < kPrefixBytes - 4;
      EXPECT_TRUE(!seen || in_lengths) << "byte " << at << " bit " << bit;
    }
  }
}

TEST(Message, ErrorsSayWhatIsWrong) {
  const Buffer good = message_bytes(1, 10);
  Buffer bytes = good;
  bytes[0] = std::byte{'X'};
  EXPECT_EQ(read_whole(bytes).error().code(), Errc::kProtocol);
  bytes = good;
  bytes[4] = std::byte{2};
  EXPECT_EQ(read_whole(bytes).error().code(), Errc::kUnsupported);
  bytes = good;
  bytes.back() ^= std::byte{1};
  EXPECT_EQ(read_whole(bytes).error().code(), Errc::kCorrupt);
}

// The lie about the length is found from the prefix alone and costs no memory.
TEST(Message, LyingLengthsTakeNoMemory) {
  for (const std::size_t at : {kHeaderLengthAt, kPayloadLengthAt}) {
    for (const std::uint32_t lie : {0xFFFFFFFFU, 0x80000000U, (16U << 20) + 1}) {
      Buffer bytes = message_bytes(1, 10);
      store_le<std::uint32_t>(bytes, at, lie);
      MessageReader reader{MessageLimits{}};
      const auto seen = feed(reader, Bytes(bytes).first(kPrefixBytes), [] { return SIZE_MAX; });
      ASSERT_FALSE(seen.has_value());
      EXPECT_EQ(seen.error().code(), Errc::kTooLarge);
      EXPECT_LE(reader.capacity(), MessageReader::kChunkBytes);
    }
  }
}

// Also an honest length is not believed before the bytes come.
TEST(Message, MemoryFollowsWhatWasReceived) {
  const Buffer bytes = message_bytes(1, std::size_t{10} << 20);
  MessageReader reader{MessageLimits{}};
  std::size_t received = 0;
  while (received < bytes.size()) {
    const auto room = reader.prepare();
    const std::size_t fast = std::min(16 * received, std::size_t{1} << 20);
    EXPECT_LE(reader.capacity(), std::max(4 * received, fast) + MessageReader::kChunkBytes);
    const std::size_t n = std::min<std::size_t>({room.size(), bytes.size() - received, 10'000});
    std::ranges::copy(Bytes(bytes).subspan(received, n), room.begin());
    reader.commit(n);
    received += n;
    const auto message = reader.next();
    ASSERT_TRUE(message.has_value());
    EXPECT_EQ(message->has_value(), received == bytes.size());
  }
}

TEST(Message, TheLargestMessageAllowedIsReadAndOneByteMoreIsNot) {
  Buffer bytes = message_bytes(3, 50'000);
  const MessageLimits exact{.message_bytes_max = bytes.size()};
  EXPECT_TRUE(read_whole(bytes, exact).has_value());
  const MessageLimits less{.message_bytes_max = bytes.size() - 1};
  EXPECT_EQ(read_whole(bytes, less).error().code(), Errc::kTooLarge);
  const auto header = load_le<std::uint32_t>(bytes, kHeaderLengthAt);
  EXPECT_TRUE(read_whole(bytes, {.header_bytes_max = header}).has_value());
  EXPECT_EQ(read_whole(bytes, {.header_bytes_max = header - 1}).error().code(), Errc::kTooLarge);
}

TEST(Message, BeforeTheHandshakeLittleMemoryIsHeld) {
  MessageReader reader(MessageLimits::before_handshake());
  EXPECT_FALSE(reader.holds_buffer());
  const Buffer bytes = message_bytes(1, 900);
  std::ignore = feed(reader, bytes, [] { return 100U; });
  EXPECT_LE(reader.capacity(), std::size_t{64} << 10);
  EXPECT_EQ(reader.capacity(), MessageLimits::before_handshake().message_bytes_max);
}

TEST(Message, AnIdleReaderHoldsNothing) {
  MessageReader reader{MessageLimits{}};
  ASSERT_TRUE(feed(reader, message_bytes(1, 20'000), [] { return SIZE_MAX; }).has_value());
  reader.release();
  EXPECT_FALSE(reader.holds_buffer());
  EXPECT_EQ(reader.capacity(), 0U);
  const auto seen = feed(reader, message_bytes(2, 5), [] { return SIZE_MAX; });
  ASSERT_TRUE(seen.has_value());
  EXPECT_EQ(seen->size(), 1U);
}

// Many small messages share one read and one buffer, which is used again for the next read.
TEST(Message, SmallMessagesReuseTheChunk) {
  Buffer stream;
  for (std::uint64_t id = 1; id <= 5000; ++id) {
    const Buffer bytes = message_bytes(id, 100);
    stream.insert(stream.end(), bytes.begin(), bytes.end());
  }
  MessageReader reader{MessageLimits{}};
  ASSERT_TRUE(feed(reader, stream, [] { return SIZE_MAX; }).has_value());
  EXPECT_EQ(reader.capacity(), MessageReader::kChunkBytes);
  const std::byte* const chunk = reader.prepare().data();
  ASSERT_TRUE(feed(reader, stream, [] { return SIZE_MAX; }).has_value());
  EXPECT_EQ(reader.prepare().data(), chunk);
}

TEST(Message, AQuietConnectionKeepsASmallChunk) {
  MessageReader reader{MessageLimits{}};
  for (std::uint64_t id = 1; id <= 1000; ++id) {
    ASSERT_TRUE(feed(reader, message_bytes(id, 100), [] { return SIZE_MAX; }).has_value());
  }
  EXPECT_EQ(reader.capacity(), MessageReader::kFirstChunkBytes);
}

}  // namespace
}  // namespace lignum::net
