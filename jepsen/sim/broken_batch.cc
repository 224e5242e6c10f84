#include "jepsen/sim/broken_batch.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "raft/check.h"
#include "raft/payload.h"
#include "raft/random.h"
#include "storage/byte_order.h"
#include "storage/chain.h"
#include "storage/compression.h"
#include "storage/crc32c.h"
#include "storage/level.h"
#include "storage/record_batch.h"
#include "storage/record_batch_builder.h"

namespace lignum::jepsen {

namespace {

// The record batch of Kafka, version 2 (docs/log_format.md).
constexpr std::size_t kLengthAt = 8;
constexpr std::size_t kLengthCoversFrom = 12;
constexpr std::size_t kLeaderEpochAt = 12;
constexpr std::size_t kMagicAt = 16;
constexpr std::size_t kCrcAt = 17;
constexpr std::size_t kAttributesAt = 21;
constexpr std::size_t kLastOffsetDeltaAt = 23;
constexpr std::size_t kProducerIdAt = 43;
constexpr std::size_t kProducerEpochAt = 51;
constexpr std::size_t kRecordCountAt = 57;
// Of the first record, whose length and delta of time are below 64: attributes, then offset delta.
constexpr std::size_t kRecordAttributesAt = kBatchHeaderBytes + 1;
constexpr std::size_t kOffsetDeltaAt = kBatchHeaderBytes + 3;

std::vector<std::byte> sound_batch(Codec codec) {
  static constexpr std::array<char, 400> kText{};
  // Of one byte, so that the header's text stands where it is looked for.
  const std::array headers = {level_header(Level::kTrace)};
  BatchBuilder builder;
  CHECK(
      builder.add({.timestamp = 1,
                   .key = std::nullopt,
                   .value = std::as_bytes(std::span(kText).first(codec == Codec::kNone ? 8 : 400)),
                   .headers = headers}));
  auto batch = builder.build(std::nullopt, codec);
  CHECK(batch.has_value());
  return *std::move(batch);
}

void sign(std::vector<std::byte>& batch) {
  if (batch.size() <= kBatchHashedFrom) return;
  store_be<std::uint32_t>(batch, kLengthAt,
                          static_cast<std::uint32_t>(batch.size() - kLengthCoversFrom));
  store_be<std::uint32_t>(batch, kCrcAt, crc32c(Bytes(batch).subspan(kBatchHashedFrom)));
}

void spoil_level(std::vector<std::byte>& batch, std::byte by) {
  const auto name = std::as_bytes(std::span(kLevelHeader));
  const auto found = std::ranges::search(batch, name);
  CHECK(!found.empty());
  // The length of the value stands between them.
  *(found.end() + 1) = by;
}

void spoil(std::vector<std::byte>& batch, std::uint64_t way, Random& random) {
  switch (way) {
    case 0:
      return batch.resize(random.below(batch.size()));
    case 1:
      batch.insert(batch.end(), 1 + random.below(9), std::byte{0});
      return;
    case 2:
      return store_be<std::uint64_t>(batch, 0, 1 + random.below(1000));
    case 3:
      return store_be<std::uint32_t>(batch, kLeaderEpochAt, 0);
    case 4:
      batch[kMagicAt] = std::byte{1};
      return;
    case 5: {
      constexpr std::array<std::uint16_t, 8> kRefused = {5,    7,    0x08, 0x10,
                                                         0x20, 0x40, 0x80, 0x8000};
      return store_be<std::uint16_t>(batch, kAttributesAt,
                                     kRefused.at(random.below(kRefused.size())));
    }
    case 6:
      return store_be<std::uint32_t>(batch, kLastOffsetDeltaAt, 1);
    case 7:
      return store_be<std::uint32_t>(batch, kRecordCountAt, random.chance(1, 2) ? 0 : 0x80000000U);
    case 8:
      return store_be<std::uint64_t>(batch, kProducerIdAt, std::uint64_t{0} - 2);
    case 9:
      return store_be<std::uint16_t>(batch, kProducerEpochAt, 3);
    case 10:
      return spoil_level(batch, std::byte{'x'});
    case 11:
      return spoil_level(batch, std::byte{'0'});
    case 12:
      batch[kOffsetDeltaAt] = std::byte{2};
      return;
    case 13:
      batch[kBatchHeaderBytes] = std::byte{0x7E};
      return;
    case 14:
      batch[kRecordAttributesAt] = std::byte{1};
      return;
    default:
      return batch.resize(kBatchHeaderBytes + (batch.size() - kBatchHeaderBytes) / 2);
  }
}

}  // namespace

std::vector<std::byte> broken_batch(Random& random) {
  constexpr std::array kCodecs = {Codec::kGzip, Codec::kSnappy, Codec::kLz4, Codec::kZstd};
  if (random.chance(1, 8)) {
    std::vector<std::byte> batch = sound_batch(Codec::kNone);
    batch[kAttributesAt + random.below(batch.size() - kAttributesAt)] ^=
        static_cast<std::byte>(1U << random.below(8));
    return batch;
  }
  constexpr std::uint64_t kWays = 15;
  const std::uint64_t way = random.below(kWays + 4);
  // Of what is compressed a part is missing.
  std::vector<std::byte> batch =
      sound_batch(way < kWays ? Codec::kNone : kCodecs.at(random.below(kCodecs.size())));
  spoil(batch, way, random);
  sign(batch);
  return batch;
}

}  // namespace lignum::jepsen
