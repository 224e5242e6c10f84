#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <random>
#include <string_view>
#include <vector>

#include "raft/error.h"
#include "raft/payload.h"
#include "storage/compression.h"
#include "tests/storage/errc_of.h"

namespace lignum {
namespace {

constexpr Codec kAll[] = {Codec::kNone, Codec::kGzip, Codec::kSnappy, Codec::kLz4, Codec::kZstd};

// Text-like bytes: they compress, but not to nothing.
std::vector<std::byte> sample(std::mt19937_64& random, std::size_t count) {
  std::vector<std::byte> bytes(count);
  for (std::size_t i = 0; i < count; ++i) {
    const bool repeats = i > 40 && random() % 4 != 0;
    bytes[i] = repeats ? bytes[i - 40] : static_cast<std::byte>('a' + random() % 20);
  }
  return bytes;
}

TEST(Compression, NamesGoBothWays) {
  for (const Codec codec : kAll) {
    EXPECT_EQ(codec_from_name(codec_name(codec)), codec);
  }
  EXPECT_FALSE(codec_from_name("brotli"));
  EXPECT_FALSE(codec_from_name(""));
}

TEST(Compression, ThereAndBack) {
  std::mt19937_64 random(3);
  for (const Codec codec : kAll) {
    for (const std::size_t count : {0UL, 1UL, 100UL, 4096UL, 70000UL, 1048577UL}) {
      const auto bytes = sample(random, count);
      const auto small = compress(codec, bytes);
      ASSERT_TRUE(small) << codec_name(codec);
      const auto back = decompress(codec, *small, count);
      ASSERT_TRUE(back) << codec_name(codec) << " " << back.error().describe();
      ASSERT_EQ(*back, bytes) << codec_name(codec);
    }
  }
}

TEST(Compression, TheCapIsExactAndEarly) {
  for (const Codec codec : kAll) {
    const std::vector<std::byte> zeros(std::size_t{4} << 20);
    const auto small = compress(codec, zeros);
    ASSERT_TRUE(small);
    EXPECT_TRUE(decompress(codec, *small, zeros.size())) << codec_name(codec);
    for (const std::size_t cap : {zeros.size() - 1, std::size_t{1000}, std::size_t{0}}) {
      const auto bomb = decompress(codec, *small, cap);
      ASSERT_FALSE(bomb) << codec_name(codec) << " " << cap;
      EXPECT_EQ(errc_of(bomb), Errc::kTooLarge) << bomb.error().describe();
    }
  }
}

TEST(Compression, EveryCutIsNoticed) {
  std::mt19937_64 random(4);
  const auto bytes = sample(random, 3000);
  for (const Codec codec : {Codec::kGzip, Codec::kSnappy, Codec::kLz4, Codec::kZstd}) {
    const auto small = compress(codec, bytes);
    ASSERT_TRUE(small);
    for (std::size_t cut = 0; cut < small->size(); ++cut) {
      const auto result = decompress(codec, Bytes(*small).first(cut), 1 << 20);
      ASSERT_FALSE(result) << codec_name(codec) << " cut at " << cut;
      ASSERT_EQ(errc_of(result), Errc::kCorrupt);
    }
    auto longer = *small;
    longer.push_back(std::byte{1});
    const auto result = decompress(codec, longer, 1 << 20);
    ASSERT_FALSE(result) << codec_name(codec) << " with a byte more";
  }
}

TEST(Compression, GarbageIsRefusedAndNeverOverruns) {
  std::mt19937_64 random(5);
  for (int round = 0; round < 2000; ++round) {
    auto bytes = sample(random, random() % 300);
    for (const Codec codec : {Codec::kGzip, Codec::kSnappy, Codec::kLz4, Codec::kZstd}) {
      auto mangled = *compress(codec, bytes);
      for (std::uint64_t i = 0; i < 1 + random() % 3; ++i) {
        mangled[random() % mangled.size()] = static_cast<std::byte>(random());
      }
      const auto result = decompress(codec, mangled, 1000);
      if (result) {
        ASSERT_LE(result->size(), 1000U);
      }
    }
  }
}

TEST(Compression, JavaFramedSnappyOfSeveralBlocks) {
  const std::vector<std::byte> one(300, std::byte{'x'});
  const std::vector<std::byte> two(200, std::byte{'y'});
  std::vector<std::byte> framed;
  for (const unsigned byte : {0x82U, 'S' + 0U, 'N' + 0U, 'A' + 0U, 'P' + 0U, 'P' + 0U, 'Y' + 0U, 0U,
                              0U, 0U, 0U, 1U, 0U, 0U, 0U, 1U}) {
    framed.push_back(static_cast<std::byte>(byte));
  }
  for (const auto& block : {one, two}) {
    const auto small = *compress(Codec::kSnappy, block);
    for (const std::size_t byte :
         {std::size_t{0}, std::size_t{0}, small.size() / 256, small.size() % 256}) {
      framed.push_back(static_cast<std::byte>(byte));
    }
    framed.insert(framed.end(), small.begin(), small.end());
  }
  auto both = one;
  both.insert(both.end(), two.begin(), two.end());
  EXPECT_EQ(decompress(Codec::kSnappy, framed, 500), both);
  EXPECT_EQ(errc_of(decompress(Codec::kSnappy, framed, 499)), Errc::kTooLarge);
  EXPECT_EQ(errc_of(decompress(Codec::kSnappy, Bytes(framed).first(framed.size() - 1), 500)),
            Errc::kCorrupt);
  EXPECT_EQ(errc_of(decompress(Codec::kSnappy, Bytes(framed).first(18), 500)), Errc::kCorrupt);
}

}  // namespace
}  // namespace lignum
