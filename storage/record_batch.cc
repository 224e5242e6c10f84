#include "storage/record_batch.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "raft/error.h"
#include "raft/payload.h"
#include "raft/types.h"
#include "storage/byte_order.h"
#include "storage/chain.h"
#include "storage/compression.h"
#include "storage/crc32c.h"
#include "storage/level.h"
#include "storage/record.h"
#include "storage/record_codec.h"

namespace lignum {

namespace {

constexpr std::int8_t kMagic = 2;
// The length field counts what follows it.
constexpr std::size_t kLengthCoversFrom = 12;
constexpr std::uint16_t kBatchKnownBits = kBatchCodecMask | kBatchAppendTimeBit |
                                          kBatchTransactionalBit | kBatchControlBit |
                                          kBatchDeleteHorizonBit;

Result<Codec> check_attributes(const BatchHeader& header) {
  const auto codec = header.codec();
  if (!codec) {
    return fail(Errc::kUnsupported, "record batch: codec number " +
                                        std::to_string(header.attributes & kBatchCodecMask) +
                                        " is not assigned");
  }
  std::string_view refused;
  if ((header.attributes & kBatchTransactionalBit) != 0) {
    refused = "transactional batches";
  } else if ((header.attributes & kBatchControlBit) != 0) {
    refused = "control batches";
  } else if ((header.attributes & kBatchDeleteHorizonBit) != 0) {
    refused = "a delete horizon";
  } else if ((header.attributes & kBatchAppendTimeBit) != 0) {
    refused = "timestamps of type LogAppendTime";
  } else if ((header.attributes & ~kBatchKnownBits) != 0) {
    refused = "unknown attribute bits";
  } else {
    return *codec;
  }
  return fail(Errc::kUnsupported,
              "record batch: " + std::string(refused) + " are not accepted from producers");
}

Result<Codec> check_fixed_part(const BatchHeader& header) {
  TRY_ASSIGN(codec, check_attributes(header));
  if (header.base_offset != 0) {
    return fail(Errc::kInvalidArgument, "record batch: base offset is " +
                                            std::to_string(header.base_offset) +
                                            ", not 0: the node assigns it");
  }
  if (header.leader_epoch != -1) {
    return fail(Errc::kInvalidArgument, "record batch: partition leader epoch is " +
                                            std::to_string(header.leader_epoch) + ", not -1");
  }
  if (header.record_count < 1 || header.last_offset_delta != header.record_count - 1) {
    return fail(Errc::kInvalidArgument,
                "record batch: record count " + std::to_string(header.record_count) +
                    " and last offset delta " + std::to_string(header.last_offset_delta) +
                    " do not agree");
  }
  const bool anonymous = header.producer_id == -1;
  const bool fits = anonymous ? header.producer_epoch == -1 && header.base_sequence == -1
                              : header.producer_epoch >= 0 && header.base_sequence >= 0;
  if (header.producer_id < -1 || !fits) {
    return fail(Errc::kInvalidArgument,
                "record batch: producer id " + std::to_string(header.producer_id) + ", epoch " +
                    std::to_string(header.producer_epoch) + ", sequence " +
                    std::to_string(header.base_sequence) + " is no producer");
  }
  return codec;
}

std::unexpected<Error> bad_record(std::int32_t number, std::string_view what) {
  return fail(Errc::kInvalidArgument,
              "record " + std::to_string(number) + " of the batch: " + std::string(what));
}

// The level bit of one record, its headers walked.
Result<std::uint32_t> level_bit_of(RecordFields& fields, std::int32_t number) {
  std::optional<Level> level;
  HeaderView header;
  for (std::int64_t i = 0; i < fields.header_count; ++i) {
    if (const auto trouble = parse_header(fields.headers, header)) {
      return bad_record(number, *trouble);
    }
    if (header.key != kLevelHeader) {
      continue;
    }
    if (level) {
      return bad_record(number, "it has more than one header 'level'");
    }
    const Bytes text = header.value.value_or(Bytes{});
    level = level_from_header({reinterpret_cast<const char*>(text.data()), text.size()});
    if (!level) {
      return bad_record(number, "its reserved header 'level' is not a decimal number 1..24");
    }
  }
  if (!fields.headers.at_end()) {
    return bad_record(number, "bytes follow its last header");
  }
  return level_bit(level);
}

Result<void> walk_records(Bytes bytes, const BatchHeader& header, std::size_t record_bytes_max,
                          BatchSummary& summary) {
  RecordCursor records(bytes);
  RecordFields fields;
  summary.event_time_min = std::numeric_limits<TimeMs>::max();
  summary.event_time_max = std::numeric_limits<TimeMs>::min();
  for (std::int32_t number = 0; number < header.record_count; ++number) {
    if (const auto trouble = parse_record(records, fields)) {
      return bad_record(number, *trouble);
    }
    if (fields.body_bytes > record_bytes_max) {
      return fail(Errc::kTooLarge, "record " + std::to_string(number) + " of the batch has " +
                                       std::to_string(fields.body_bytes) + " bytes, the limit is " +
                                       std::to_string(record_bytes_max));
    }
    if (fields.offset_delta != number) {
      return bad_record(number, "its offset delta is " + std::to_string(fields.offset_delta));
    }
    TimeMs timestamp = 0;
    if (__builtin_add_overflow(header.base_timestamp, fields.timestamp_delta, &timestamp)) {
      return bad_record(number, "its timestamp does not fit 64 bits");
    }
    summary.event_time_min = std::min(summary.event_time_min, timestamp);
    summary.event_time_max = std::max(summary.event_time_max, timestamp);
    TRY_ASSIGN(bit, level_bit_of(fields, number));
    summary.level_mask |= bit;
  }
  if (!records.at_end()) {
    return fail(Errc::kInvalidArgument, "record batch: bytes follow its last record");
  }
  return {};
}

}  // namespace

std::optional<Codec> BatchHeader::codec() const {
  const auto number = static_cast<std::uint8_t>(attributes & kBatchCodecMask);
  if (number > static_cast<std::uint8_t>(Codec::kZstd)) {
    return std::nullopt;
  }
  return Codec{number};
}

std::optional<ProducerStamp> BatchHeader::producer() const {
  if (producer_id == -1) {
    return std::nullopt;
  }
  return ProducerStamp{
      .id = ProducerId(producer_id), .epoch = producer_epoch, .base_sequence = base_sequence};
}

Result<BatchHeader> parse_batch_header(Bytes batch) {
  if (batch.size() < kBatchHeaderBytes) {
    return fail(Errc::kInvalidArgument, "record batch: " + std::to_string(batch.size()) +
                                            " bytes are less than its header");
  }
  BatchHeader header{.base_offset = load_be<std::int64_t>(batch, 0),
                     .length = load_be<std::int32_t>(batch, 8),
                     .leader_epoch = load_be<std::int32_t>(batch, 12),
                     .magic = load_be<std::int8_t>(batch, 16),
                     .crc = load_be<std::uint32_t>(batch, 17),
                     .attributes = load_be<std::uint16_t>(batch, 21),
                     .last_offset_delta = load_be<std::int32_t>(batch, 23),
                     .base_timestamp = load_be<std::int64_t>(batch, 27),
                     .max_timestamp = load_be<std::int64_t>(batch, 35),
                     .producer_id = load_be<std::int64_t>(batch, 43),
                     .producer_epoch = load_be<std::int16_t>(batch, 51),
                     .base_sequence = load_be<std::int32_t>(batch, 53),
                     .record_count = load_be<std::int32_t>(batch, 57)};
  if (header.magic != kMagic) {
    return fail(Errc::kUnsupported, "record batch: format version (magic) " +
                                        std::to_string(header.magic) + ", only 2 is supported");
  }
  if (header.length < 0 ||
      static_cast<std::size_t>(header.length) != batch.size() - kLengthCoversFrom) {
    return fail(Errc::kInvalidArgument,
                "record batch: its length field says " + std::to_string(header.length) + ", " +
                    std::to_string(batch.size() - kLengthCoversFrom) + " bytes follow it");
  }
  return header;
}

Result<void> check_batch_crc(Bytes batch, const BatchHeader& header) {
  if (crc32c(batch.subspan(kBatchHashedFrom)) != header.crc) {
    return fail(Errc::kCorrupt, "record batch: its checksum does not match its bytes");
  }
  return {};
}

Result<std::vector<std::byte>> decompress_records(Bytes batch, Codec codec,
                                                  const BatchLimits& limits) {
  const Bytes records = batch.subspan(kBatchHeaderBytes);
  const std::size_t by_ratio =
      std::max(limits.batch_bytes_max, records.size() * kDecompressRatioMax);
  return decompress(codec, records, std::min(limits.decompressed_bytes_max, by_ratio));
}

Result<BatchSummary> validate_batch(Bytes batch, const BatchLimits& limits) {
  if (batch.size() > limits.batch_bytes_max) {
    return fail(Errc::kTooLarge, "record batch: " + std::to_string(batch.size()) +
                                     " bytes, the limit is " +
                                     std::to_string(limits.batch_bytes_max));
  }
  TRY_ASSIGN(header, parse_batch_header(batch));
  TRY(check_batch_crc(batch, header));
  TRY_ASSIGN(codec, check_fixed_part(header));
  BatchSummary summary{.record_count = static_cast<std::uint32_t>(header.record_count),
                       .producer = header.producer(),
                       .codec = codec,
                       .bytes = batch.size()};
  if (summary.codec == Codec::kNone) {
    TRY(walk_records(batch.subspan(kBatchHeaderBytes), header, limits.record_bytes_max, summary));
  } else {
    TRY_ASSIGN(records, decompress_records(batch, summary.codec, limits));
    TRY(walk_records(records, header, limits.record_bytes_max, summary));
  }
  return summary;
}

void patch_base_offset(std::span<std::byte> batch, Offset base) {
  store_be<std::uint64_t>(batch, 0, base.value());
}

Offset base_offset_of(Bytes batch) { return Offset(load_be<std::uint64_t>(batch, 0)); }

}  // namespace lignum
