#include "jepsen/sim/broken_batch.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <span>
#include <string_view>
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
#include "storage/record_codec.h"

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
constexpr std::size_t kBaseTimestampAt = 27;
constexpr std::size_t kProducerIdAt = 43;
constexpr std::size_t kProducerEpochAt = 51;
constexpr std::size_t kBaseSequenceAt = 53;
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
      // Nobody; nobody, with a sequence; somebody without one.
      if (random.chance(1, 3)) return store_be<std::uint32_t>(batch, kBaseSequenceAt, 5);
      if (random.chance(1, 2)) {
        store_be<std::uint16_t>(batch, kProducerEpochAt, 0);
        return store_be<std::uint64_t>(batch, kProducerIdAt, 7);
      }
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
    default:
      batch[kRecordAttributesAt] = std::byte{1};
  }
}

constexpr std::uint64_t kWays = 15;

// Another batch of one record, whose bytes are these.
std::vector<std::byte> with_records(Bytes records, Codec codec) {
  std::vector<std::byte> batch = sound_batch(Codec::kNone);
  batch.resize(kBatchHeaderBytes);
  store_be<std::uint16_t>(batch, kAttributesAt, static_cast<std::uint8_t>(codec));
  batch.insert(batch.end(), records.begin(), records.end());
  return batch;
}

// What a record is written of; the rest of it is sound.
struct RawRecord {
  std::int64_t timestamp_delta = 0;
  std::optional<Bytes> value{};
  std::int64_t header_count = 0;
  Bytes headers{};
};

std::vector<std::byte> encode(const RawRecord& record) {
  const std::size_t value_bytes = record.value ? record.value->size() : 0;
  std::vector<std::byte> body(
      3 + varint_bytes(record.timestamp_delta) + varint_bytes(record.header_count) + value_bytes +
      varint_bytes(record.value ? static_cast<std::int64_t>(value_bytes) : -1));
  RecordWriter writer(body);
  writer.byte(0);
  writer.varint(record.timestamp_delta);
  writer.varint(0);
  writer.nullable_bytes(std::nullopt);
  writer.nullable_bytes(record.value);
  writer.varint(record.header_count);
  CHECK(writer.full());
  body.insert(body.end(), record.headers.begin(), record.headers.end());
  std::vector<std::byte> bytes(varint_bytes(static_cast<std::int64_t>(body.size())) + body.size());
  RecordWriter(bytes).nullable_bytes(body);
  return bytes;
}

std::vector<std::byte> header_bytes(std::string_view name, std::string_view value) {
  std::vector<std::byte> bytes(name.size() + value.size() + 2);
  RecordWriter writer(bytes);
  writer.nullable_bytes(std::as_bytes(std::span(name)));
  writer.nullable_bytes(std::as_bytes(std::span(value)));
  return bytes;
}

// One record that is not what the format says.
std::vector<std::byte> broken_record(Random& random) {
  std::vector<std::byte> header = header_bytes("trace", "7");
  constexpr std::array<std::string_view, 6> kNoLevels = {"", "25", "1x", "999", "-1", "300"};
  switch (random.below(11)) {
    case 9:
      header = header_bytes(kLevelHeader, kNoLevels.at(random.below(kNoLevels.size())));
      return with_records(encode({.header_count = 1, .headers = header}), Codec::kNone);
    case 10:
      // A length below that of nothing.
      header[0] = std::byte{3};
      return with_records(encode({.header_count = 1, .headers = header}), Codec::kNone);
    case 0:
      header[0] = std::byte{126};
      return with_records(encode({.header_count = 1, .headers = header}), Codec::kNone);
    case 1:
      return with_records(encode({.header_count = 0, .headers = header}), Codec::kNone);
    case 2: {
      header = header_bytes(kLevelHeader, "9");
      const std::vector<std::byte> again = header;
      header.insert(header.end(), again.begin(), again.end());
      return with_records(encode({.header_count = 2, .headers = header}), Codec::kNone);
    }
    case 3: {
      auto batch = with_records(encode({.timestamp_delta = 1}), Codec::kNone);
      store_be<std::uint64_t>(batch, kBaseTimestampAt, std::numeric_limits<std::int64_t>::max());
      return batch;
    }
    case 4: {
      constexpr auto kTooMany = static_cast<std::int64_t>(kRecordHeadersMax + 1);
      const std::int64_t count = random.chance(1, 2) ? -1 : kTooMany;
      return with_records(encode({.header_count = count}), Codec::kNone);
    }
    case 5: {
      // The length of its value is more than there is.
      auto record = encode({});
      record[record.size() - 2] = std::byte{126};
      return with_records(record, Codec::kNone);
    }
    case 6: {
      const std::array<std::byte, 1> empty{};
      return with_records(empty, Codec::kNone);
    }
    case 7: {
      std::array<std::byte, 12> endless{};
      endless.fill(std::byte{0xFF});
      return with_records(endless, Codec::kNone);
    }
    default: {
      const std::vector<std::byte> value(kRecordBytesMax + 1);
      const auto packed = compress(Codec::kZstd, encode({.value = Bytes(value)}));
      CHECK(packed.has_value());
      return with_records(*packed, Codec::kZstd);
    }
  }
}

// Zeros that take less room than they have.
const std::vector<std::byte>& bomb(Codec codec) {
  static const auto kBombs = [] {
    std::map<Codec, std::vector<std::byte>> bombs;
    const std::vector<std::byte> zeros(kDecompressedBytesMax + 1);
    for (const Codec each : {Codec::kGzip, Codec::kSnappy, Codec::kLz4, Codec::kZstd}) {
      auto packed = compress(each, zeros);
      CHECK(packed.has_value());
      // A length is enough, which snappy says first.
      if (each == Codec::kSnappy) packed->resize(4);
      bombs.emplace(each, *std::move(packed));
    }
    return bombs;
  }();
  return kBombs.at(codec);
}

// Records as snappy-java frames them, of which a part is missing.
std::vector<std::byte> broken_frames(Random& random) {
  constexpr std::array<std::uint8_t, 16> kHead = {0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0,
                                                  0,    0,   0,   1,   0,   0,   0,   1};
  const auto block = compress(Codec::kSnappy, Bytes(encode({})).first(4));
  CHECK(block.has_value());
  std::vector<std::byte> framed(kHead.size() + 4);
  std::ranges::transform(kHead, framed.begin(), [](std::uint8_t byte) { return std::byte{byte}; });
  const auto length = static_cast<std::uint32_t>(block->size() + random.below(2));
  store_be<std::uint32_t>(framed, kHead.size(), length);
  framed.insert(framed.end(), block->begin(), block->end());
  if (random.chance(1, 3)) framed.resize(framed.size() - block->size() - 1);
  return with_records(framed, Codec::kSnappy);
}

// What is compressed does not come apart, or into no records.
std::vector<std::byte> broken_packing(Random& random) {
  constexpr std::array kCodecs = {Codec::kGzip, Codec::kSnappy, Codec::kLz4, Codec::kZstd};
  const Codec codec = kCodecs.at(random.below(kCodecs.size()));
  std::vector<std::byte> batch = sound_batch(codec);
  switch (random.below(6)) {
    case 0:
      batch.resize(kBatchHeaderBytes + (batch.size() - kBatchHeaderBytes) / 2);
      return batch;
    case 1:
      std::fill(batch.begin() + kBatchHeaderBytes, batch.end(), std::byte{0xFF});
      return batch;
    case 2:
      batch.insert(batch.end(), 1 + random.below(9), std::byte{0});
      return batch;
    case 3: {
      // A sound length, and nothing that snappy would write behind it.
      const std::array<std::byte, 4> block = {std::byte{8}, std::byte{0xFF}, std::byte{0xFF},
                                              std::byte{0xFF}};
      return with_records(block, Codec::kSnappy);
    }
    case 4:
      return with_records(bomb(codec), codec);
    default:
      return broken_frames(random);
  }
}

}  // namespace

std::vector<std::byte> broken_batch(Random& random) {
  if (random.chance(1, 8)) {
    std::vector<std::byte> batch = sound_batch(Codec::kNone);
    batch[kAttributesAt + random.below(batch.size() - kAttributesAt)] ^=
        static_cast<std::byte>(1U << random.below(8));
    return batch;
  }
  std::vector<std::byte> batch;
  switch (random.below(3)) {
    case 0:
      batch = sound_batch(Codec::kNone);
      spoil(batch, random.below(kWays), random);
      break;
    case 1:
      batch = broken_record(random);
      break;
    default:
      batch = broken_packing(random);
  }
  sign(batch);
  // What it says of its own length is another thing.
  if (batch.size() > kBatchHashedFrom && random.chance(1, 16)) {
    store_be<std::uint32_t>(batch, kLengthAt, random.chance(1, 2) ? 0x80000000U : 1U);
  }
  return batch;
}

}  // namespace lignum::jepsen
