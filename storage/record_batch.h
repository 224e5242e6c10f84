#pragma once

// The Kafka record batch, version 2 (KIP-98): the unit that is appended, replicated, stored, read.
//
// Header of 61 bytes, big-endian, then the records (compressed together, where a codec is set):
//
//    0 base offset i64     12 leader epoch i32   21 attributes i16         43 producer id i64
//    8 length i32          16 magic i8 = 2       23 last offset delta i32  51 producer epoch i16
//      (bytes after it)    17 CRC-32C u32        27 base timestamp i64     53 base sequence i32
//                             (of 21 .. end)     35 max timestamp i64      57 record count i32
//
// Base offset and leader epoch lie outside the CRC: an offset is assigned by patching 8 bytes.
// A record: length, attributes i8 = 0, timestamp delta, offset delta, key, value, headers; all
// numbers are zigzag varints, a length of -1 is null. docs/log_format.md says what we add: the
// header "level" is the record's severity, other headers are its fields.
//
// Everything here is pure and safe from any thread.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "raft/error.h"
#include "raft/payload.h"
#include "raft/types.h"
#include "storage/compression.h"

namespace lignum {

inline constexpr std::size_t kBatchHeaderBytes = 61;
inline constexpr std::size_t kRecordBytesMax = std::size_t{1} << 20;
inline constexpr std::size_t kBatchBytesMax = std::size_t{8} << 20;
// No batch decompresses to more than this, nor to more than kDecompressRatioMax times its size
// once it is above kBatchBytesMax: what is legal uncompressed is legal compressed.
inline constexpr std::size_t kDecompressedBytesMax = std::size_t{16} << 20;
inline constexpr std::size_t kDecompressRatioMax = 256;
inline constexpr std::size_t kRecordHeadersMax = 1024;
static_assert(kRecordBytesMax <= kBatchBytesMax && kBatchBytesMax <= kDecompressedBytesMax);

struct BatchLimits {
  // Of one record as encoded, without its own length field.
  std::size_t record_bytes_max = kRecordBytesMax;
  // Of the batch as sent, header included.
  std::size_t batch_bytes_max = kBatchBytesMax;
  std::size_t decompressed_bytes_max = kDecompressedBytesMax;
};

// Who wrote a batch, and as which of its batches (KIP-98). Sequences count records and wrap from
// 2^31 - 1 to 0.
struct ProducerStamp {
  ProducerId id;
  std::int16_t epoch = 0;
  std::int32_t base_sequence = 0;
  friend bool operator==(const ProducerStamp&, const ProducerStamp&) = default;
};

// The fixed part, as the bytes say it.
struct BatchHeader {
  std::int64_t base_offset = 0;
  std::int32_t length = 0;
  std::int32_t leader_epoch = 0;
  std::int8_t magic = 0;
  std::uint32_t crc = 0;
  std::uint16_t attributes = 0;
  std::int32_t last_offset_delta = 0;
  TimeMs base_timestamp = 0;
  TimeMs max_timestamp = 0;
  std::int64_t producer_id = 0;
  std::int16_t producer_epoch = 0;
  std::int32_t base_sequence = 0;
  std::int32_t record_count = 0;

  // None for codec numbers 5, 6 and 7, which are not assigned.
  [[nodiscard]] std::optional<Codec> codec() const;
  // None for a producer id of -1.
  [[nodiscard]] std::optional<ProducerStamp> producer() const;
};

// Attribute bits.
inline constexpr std::uint16_t kBatchCodecMask = 0x07;
inline constexpr std::uint16_t kBatchAppendTimeBit = 0x08;
inline constexpr std::uint16_t kBatchTransactionalBit = 0x10;
inline constexpr std::uint16_t kBatchControlBit = 0x20;
inline constexpr std::uint16_t kBatchDeleteHorizonBit = 0x40;

// Reads the fixed part and judges only its shape: kInvalidArgument when there are fewer than 61
// bytes or `length` does not end exactly at the end of `batch`, kUnsupported for another magic.
// Does not check the CRC.
[[nodiscard]] Result<BatchHeader> parse_batch_header(Bytes batch);

// kCorrupt when the bytes from 21 on do not match the header's CRC.
[[nodiscard]] Result<void> check_batch_crc(Bytes batch, const BatchHeader& header);

// The records of a batch whose codec is not kNone, decompressed: kCorrupt or, over the limits,
// kTooLarge. `batch` was parsed.
[[nodiscard]] Result<std::vector<std::byte>> decompress_records(Bytes batch, Codec codec,
                                                                const BatchLimits& limits);

// What the front door learned about a batch; it goes into the entry header.
struct BatchSummary {
  std::uint32_t record_count = 0;
  TimeMs event_time_min = 0;
  TimeMs event_time_max = 0;
  // See level_bit(): the levels that occur, bit 0 where a record has none.
  std::uint32_t level_mask = 0;
  std::optional<ProducerStamp> producer;
  Codec codec = Codec::kNone;
  std::size_t bytes = 0;
};

// The one walk over a batch before it is admitted (rules A6); afterwards its bytes are opaque.
// (Kafka's producers send a leader epoch of 0 or -1: their front end sets -1 first, outside the
// CRC.) Bounded by `limits`; allocates only to decompress. Checks lengths, magic, CRC, attributes,
// base offset 0, leader epoch -1, producer (all of it or none), record count, offset deltas
// 0 .. n-1, every record's shape and size, and the reserved header "level" (decimal 1..24, at most
// once a record).
//   kCorrupt          the CRC does not match, or the compressed records are damaged
//   kTooLarge         batch, record or decompressed size is over its limit
//   kUnsupported      magic, codec or attribute bits that this build does not take
//   kInvalidArgument  anything else; the message names the record and what is wrong with it
[[nodiscard]] Result<BatchSummary> validate_batch(Bytes batch, const BatchLimits& limits = {});

// Assigns the batch's first offset. `batch` was validated.
void patch_base_offset(std::span<std::byte> batch, Offset base);

// The base offset as it stands in the bytes. `batch` has at least 8 bytes.
[[nodiscard]] Offset base_offset_of(Bytes batch);

}  // namespace lignum
