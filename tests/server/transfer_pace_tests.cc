#include "server/group/transfer_pace.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>

namespace lignum::server {
namespace {

constexpr std::size_t kPiece = std::size_t{1} << 20;
constexpr std::int64_t kSecondUs = 1'000'000;

// Pieces that are let through in so much time, asked for every millisecond.
std::int64_t pieces_in(TransferPace& pace, std::int64_t from_us, std::int64_t until_us) {
  std::int64_t pieces = 0;
  for (std::int64_t now = from_us; now < until_us; now += 1000) {
    while (pace.take(kPiece, now)) ++pieces;
  }
  return pieces;
}

TEST(TransferPace, OverTimeItIsTheRate) {
  TransferPace pace(50 * kPiece);
  const std::int64_t pieces = pieces_in(pace, 0, 10 * kSecondUs);
  EXPECT_GE(pieces, 500);
  // A tenth of a second at once, and one piece that began within it.
  EXPECT_LE(pieces, 506);
}

TEST(TransferPace, WhatWasNotUsedIsNotSavedUp) {
  TransferPace pace(50 * kPiece);
  EXPECT_TRUE(pace.take(kPiece, 0));
  EXPECT_LE(pieces_in(pace, 100 * kSecondUs, 101 * kSecondUs), 56);
}

TEST(TransferPace, APieceLargerThanASecondIsLetThroughAlone) {
  TransferPace pace(kPiece / 4);
  // At 0, before 4 s and before 8 s, each a tenth of a second early.
  EXPECT_EQ(pieces_in(pace, 0, 8 * kSecondUs), 3);
}

TEST(TransferPace, NoneLetsEverythingThrough) {
  TransferPace pace(0);
  for (int i = 0; i < 10'000; ++i) ASSERT_TRUE(pace.take(kPiece, 0));
}

}  // namespace
}  // namespace lignum::server
