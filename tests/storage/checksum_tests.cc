#include <gtest/gtest.h>

#include <array>
#include <boost/crc.hpp>
#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <string_view>
#include <vector>

#include "raft/payload.h"
#include "raft/types.h"
#include "storage/byte_order.h"
#include "storage/chain.h"
#include "storage/crc32c.h"

namespace lignum {
namespace {

Bytes bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

std::vector<std::byte> random_bytes(std::mt19937_64& random, std::size_t count) {
  std::vector<std::byte> bytes(count);
  for (std::byte& byte : bytes) {
    byte = static_cast<std::byte>(random());
  }
  return bytes;
}

std::uint32_t oracle(Bytes bytes) {
  boost::crc_optimal<32, 0x1EDC6F41, 0xFFFFFFFF, 0xFFFFFFFF, true, true> crc;
  crc.process_bytes(bytes.data(), bytes.size());
  return crc.checksum();
}

TEST(Crc32c, KnownValues) {
  EXPECT_EQ(crc32c(bytes_of("123456789")), 0xE3069283U);
  EXPECT_EQ(crc32c({}), 0U);
  // RFC 3720, B.4: 32 bytes of zeros, of ones.
  EXPECT_EQ(crc32c(std::vector<std::byte>(32, std::byte{0})), 0x8A9136AAU);
  EXPECT_EQ(crc32c(std::vector<std::byte>(32, std::byte{0xFF})), 0x62A8AB43U);
}

TEST(Crc32c, AgreesWithBoostAtEveryLengthAndAlignment) {
  std::mt19937_64 random(1);
  const auto bytes = random_bytes(random, 1100);
  for (std::size_t length = 0; length <= 1024; ++length) {
    const Bytes part = Bytes(bytes).subspan(length % 17, length);
    ASSERT_EQ(crc32c(part), oracle(part)) << length;
  }
}

TEST(Crc32c, Composes) {
  std::mt19937_64 random(2);
  for (int round = 0; round < 200; ++round) {
    const auto bytes = random_bytes(random, 1 + random() % 3000);
    const Bytes first = Bytes(bytes).first(random() % bytes.size());
    const Bytes rest = Bytes(bytes).subspan(first.size());
    ASSERT_EQ(crc32c(rest, crc32c(first)), crc32c(bytes));
  }
}

TEST(ByteOrder, StoresAndLoads) {
  std::array<std::byte, 8> bytes{};
  store_le<std::uint32_t>(bytes, 1, 0x01020304);
  EXPECT_EQ(bytes[1], std::byte{4});
  EXPECT_EQ(load_le<std::uint32_t>(bytes, 1), 0x01020304U);
  EXPECT_EQ(load_be<std::uint32_t>(bytes, 1), 0x04030201U);
  store_be<std::int16_t>(bytes, 0, -2);
  EXPECT_EQ(bytes[0], std::byte{0xFF});
  EXPECT_EQ(load_be<std::int16_t>(bytes, 0), -2);
}

TEST(ByteOrder, CursorsNeverPassTheEnd) {
  const std::array<std::byte, 5> bytes = {std::byte{1}, std::byte{0}, std::byte{0}, std::byte{0},
                                          std::byte{9}};
  ByteCursor cursor(bytes);
  EXPECT_EQ(cursor.read_le<std::uint32_t>(), 1U);
  EXPECT_FALSE(cursor.read_be<std::uint16_t>());
  EXPECT_EQ(cursor.position(), 4U) << "a failed read does not move";
  EXPECT_FALSE(cursor.read_bytes(2));
  EXPECT_EQ(cursor.read_le<std::uint8_t>(), 9U);
  EXPECT_TRUE(cursor.at_end());
  EXPECT_TRUE(cursor.read_bytes(0));
}

TEST(Chain, EveryPartCounts) {
  std::vector<std::byte> batch(100, std::byte{7});
  const Hash128 start{.low = 1, .high = 2};
  const ShardLink link{.base = Offset(5), .count = 3, .append_time = 9};
  const Hash128 value = shard_chain(start, link, batch);
  EXPECT_EQ(shard_chain(start, link, batch), value);
  EXPECT_NE(shard_chain({.low = 1, .high = 3}, link, batch), value);
  EXPECT_NE(shard_chain({.low = 0, .high = 2}, link, batch), value);
  EXPECT_NE(shard_chain(start, {.base = Offset(6), .count = 3, .append_time = 9}, batch), value);
  EXPECT_NE(shard_chain(start, {.base = Offset(5), .count = 4, .append_time = 9}, batch), value);
  EXPECT_NE(shard_chain(start, {.base = Offset(5), .count = 3, .append_time = 8}, batch), value);
  batch[20] = std::byte{0};
  EXPECT_EQ(shard_chain(start, link, batch), value) << "bytes 0..20 are patched on their way";
  batch[21] = std::byte{0};
  EXPECT_NE(shard_chain(start, link, batch), value);
  EXPECT_NE(group_chain(bytes_of("a")), group_chain(bytes_of("b")));
}

// The values are on disk: a change of library or layout must not change them.
TEST(Chain, ValuesAreFixed) {
  EXPECT_EQ(group_chain({}),
            (Hash128{.low = 0x6001C324468D497FULL, .high = 0x99AA06D3014798D8ULL}));
  std::vector<std::byte> batch(61, std::byte{0});
  const Hash128 value = shard_chain({}, {}, batch);
  std::array<std::byte, 36> head{};
  std::vector<std::byte> joined(head.begin(), head.end());
  joined.insert(joined.end(), batch.begin() + 21, batch.end());
  EXPECT_EQ(value, group_chain(joined)) << "one hash over head and batch";
}

}  // namespace
}  // namespace lignum
