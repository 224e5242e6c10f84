// The bytes of a configuration (docs/log_format.md).

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "raft/error.h"
#include "raft/membership.h"
#include "raft/payload.h"
#include "raft/random.h"
#include "tests/raft/values.h"

namespace lignum::raft {
namespace {

using ::testing::HasSubstr;

using Buffer = std::vector<std::byte>;

// With every field in use.
Membership example() {
  return {.voters = {member(2), member(3, 0x1122334455667788)},
          .outgoing = members_of({1, 2}),
          .learners = {member(7, 9)},
          .learners_next = members_of({1}),
          .auto_leave = true,
          .recovery = 5};
}

// The same, written down by another program.
constexpr std::string_view kExampleHex =
    "4c4c4c43e4bb0d39"
    "01010000020201010500000000000000"
    "020000000100000000000000"
    "030000008877665544332211"
    "010000000100000000000000"
    "020000000100000000000000"
    "070000000900000000000000"
    "010000000100000000000000";

std::string hex_of(Bytes bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const std::byte byte : bytes) {
    text += kDigits[std::to_integer<unsigned>(byte) >> 4U];
    text += kDigits[std::to_integer<unsigned>(byte) & 0xFU];
  }
  return text;
}

Buffer example_bytes() {
  const Payload payload = encode(example());
  return {payload.bytes().begin(), payload.bytes().end()};
}

// A change that the checksum covers, so that it is not what refuses.
void seal(Buffer& bytes) {
  std::uint32_t crc = ~std::uint32_t{0};
  for (std::size_t i = 8; i < bytes.size(); ++i) {
    crc ^= std::to_integer<std::uint32_t>(bytes[i]);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1U) ^ ((crc & 1U) != 0 ? 0x82F63B78U : 0U);
  }
  for (std::size_t i = 0; i < 4; ++i) bytes[4 + i] = std::byte(~crc >> (8 * i));
}

Error refusal(const Buffer& bytes) {
  const auto decoded = decode_membership(bytes);
  EXPECT_FALSE(decoded);
  return decoded ? Error(Errc::kInternal, "") : decoded.error();
}

TEST(MembershipCodec, WritesTheDocumentedBytes) {
  EXPECT_EQ(hex_of(encode(example()).bytes()), kExampleHex);
  EXPECT_EQ(decode_membership(example_bytes()), example());
}

TEST(MembershipCodec, EveryFlippedBitIsFound) {
  Buffer bytes = example_bytes();
  for (std::size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
    bytes[bit / 8] ^= std::byte(1U << (bit % 8));
    EXPECT_EQ(refusal(bytes).code(), Errc::kCorrupt) << bit;
    bytes[bit / 8] ^= std::byte(1U << (bit % 8));
  }
}

TEST(MembershipCodec, AnotherLengthIsFound) {
  const Buffer bytes = example_bytes();
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    Buffer cut(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
    EXPECT_EQ(refusal(cut).code(), Errc::kCorrupt) << size;
    if (size < 8) continue;
    seal(cut);
    EXPECT_EQ(refusal(cut).code(), Errc::kCorrupt) << size;
  }
  Buffer longer = bytes;
  longer.resize(bytes.size() + 12);
  seal(longer);
  EXPECT_THAT(refusal(longer).message(), HasSubstr("bytes follow"));
}

TEST(MembershipCodec, ALaterVersionIsNoDamage) {
  Buffer bytes = example_bytes();
  bytes[8] = std::byte{2};
  seal(bytes);
  EXPECT_EQ(refusal(bytes).code(), Errc::kUnsupported);
  EXPECT_THAT(refusal(bytes).message(), HasSubstr("version 2"));
  bytes[8] = std::byte{0};
  seal(bytes);
  EXPECT_EQ(refusal(bytes).code(), Errc::kCorrupt);
}

TEST(MembershipCodec, WhatHasNoMeaningIsRefused) {
  for (const std::size_t at : {std::size_t{9}, std::size_t{10}, std::size_t{11}}) {
    Buffer bytes = example_bytes();
    bytes[at] = std::byte{2};
    seal(bytes);
    EXPECT_EQ(refusal(bytes).code(), Errc::kCorrupt) << at;
  }
  // The first voter is raised above the second.
  Buffer unordered = example_bytes();
  unordered[24] = std::byte{4};
  seal(unordered);
  EXPECT_THAT(refusal(unordered).message(), HasSubstr("rising order"));
  Buffer nobody(24);
  const Buffer head = example_bytes();
  for (std::size_t i = 0; i < 9; ++i) nobody[i] = head[i];
  seal(nobody);
  EXPECT_THAT(refusal(nobody).message(), HasSubstr("nobody"));
}

TEST(MembershipCodec, TheLargestConfigurationComesBack) {
  Membership full{.auto_leave = true, .recovery = ~std::uint64_t{0}};
  for (std::uint32_t node = 1; node <= kMembersMax; ++node) {
    (node % 2 == 0 ? full.voters : full.learners_next).push_back(member(node, ~node));
    full.outgoing.push_back(member(node, ~node));
  }
  EXPECT_EQ(decode_membership(encode(full).bytes()), full);
}

// Whatever decodes is what encode() makes of it: there is one form for each configuration.
TEST(MembershipCodec, NoiseUnderARightChecksumIsRefusedOrIsTheOneForm) {
  Random random(1, "membership codec");
  int decoded = 0;
  for (int round = 0; round < 20'000; ++round) {
    Buffer bytes = example_bytes();
    for (std::uint64_t i = 1 + random.below(4); i > 0; --i) {
      bytes[8 + random.below(bytes.size() - 8)] = std::byte(random.below(6));
    }
    seal(bytes);
    const auto membership = decode_membership(bytes);
    if (!membership) continue;
    ++decoded;
    ASSERT_EQ(hex_of(encode(*membership).bytes()), hex_of(bytes));
  }
  EXPECT_GT(decoded, 100);
}

TEST(MembershipCodecDeathTest, OnlyAValidConfigurationIsWritten) {
  EXPECT_DEATH(static_cast<void>(encode(Membership{})), "validate");
}

}  // namespace
}  // namespace lignum::raft
