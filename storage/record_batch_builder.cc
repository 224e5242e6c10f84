#include "storage/record_batch_builder.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "raft/check.h"
#include "raft/error.h"
#include "raft/payload.h"
#include "raft/types.h"
#include "storage/byte_order.h"
#include "storage/chain.h"
#include "storage/compression.h"
#include "storage/crc32c.h"
#include "storage/level.h"
#include "storage/record.h"
#include "storage/record_batch.h"
#include "storage/record_codec.h"

namespace lignum {

namespace {

std::size_t field_bytes(const std::optional<Bytes>& field) {
  return field ? varint_bytes(static_cast<std::int64_t>(field->size())) + field->size()
               : varint_bytes(-1);
}

Bytes bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

Result<void> check_headers(std::span<const HeaderView> headers) {
  if (headers.size() > kRecordHeadersMax) {
    return fail(Errc::kInvalidArgument, "a record has " + std::to_string(headers.size()) +
                                            " headers, the limit is " +
                                            std::to_string(kRecordHeadersMax));
  }
  bool has_level = false;
  for (const HeaderView& header : headers) {
    if (header.key != kLevelHeader) {
      continue;
    }
    const Bytes text = header.value.value_or(Bytes{});
    if (has_level ||
        !level_from_header({reinterpret_cast<const char*>(text.data()), text.size()})) {
      return fail(Errc::kInvalidArgument,
                  "the header 'level' is reserved: a decimal number 1..24, once a record");
    }
    has_level = true;
  }
  return {};
}

// Deltas wrap as the reader's sum does; add() refuses those that would not come back.
std::int64_t delta_of(TimeMs timestamp, TimeMs base) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(timestamp) -
                                   static_cast<std::uint64_t>(base));
}

}  // namespace

BatchBuilder::Sizes BatchBuilder::sizes_of(const RecordInput& record) const {
  const TimeMs base = empty() ? record.timestamp : base_timestamp_;
  std::size_t body = 1 + varint_bytes(delta_of(record.timestamp, base)) +
                     varint_bytes(record_count_) + field_bytes(record.key) +
                     field_bytes(record.value) +
                     varint_bytes(static_cast<std::int64_t>(record.headers.size()));
  for (const HeaderView& header : record.headers) {
    body += varint_bytes(static_cast<std::int64_t>(header.key.size())) + header.key.size() +
            field_bytes(header.value);
  }
  return {.body = body, .total = varint_bytes(static_cast<std::int64_t>(body)) + body};
}

std::size_t BatchBuilder::bytes_with(const RecordInput& record) const {
  return bytes() + sizes_of(record).total;
}

Result<void> BatchBuilder::add(const RecordInput& record) {
  TRY(check_headers(record.headers));
  const Sizes sizes = sizes_of(record);
  if (sizes.body > limits_.record_bytes_max) {
    return fail(Errc::kTooLarge, "a record of " + std::to_string(sizes.body) +
                                     " bytes is over the limit of " +
                                     std::to_string(limits_.record_bytes_max));
  }
  if (bytes() + sizes.total > limits_.batch_bytes_max) {
    return fail(Errc::kTooLarge, "the batch would pass its limit of " +
                                     std::to_string(limits_.batch_bytes_max) + " bytes");
  }
  TimeMs delta = 0;
  if (!empty() && __builtin_sub_overflow(record.timestamp, base_timestamp_, &delta)) {
    return fail(Errc::kInvalidArgument, "a timestamp is too far from the batch's first one");
  }
  if (empty()) {
    base_timestamp_ = record.timestamp;
    max_timestamp_ = record.timestamp;
  }
  max_timestamp_ = std::max(max_timestamp_, record.timestamp);
  const std::size_t at = records_.size();
  records_.resize(at + sizes.total);
  RecordWriter writer(std::span(records_).subspan(at));
  writer.varint(static_cast<std::int64_t>(sizes.body));
  writer.byte(0);
  writer.varint(delta);
  writer.varint(record_count_);
  writer.nullable_bytes(record.key);
  writer.nullable_bytes(record.value);
  writer.varint(static_cast<std::int64_t>(record.headers.size()));
  for (const HeaderView& header : record.headers) {
    writer.nullable_bytes(bytes_of(header.key));
    writer.nullable_bytes(header.value);
  }
  CHECK(writer.full());
  ++record_count_;
  return {};
}

Result<std::vector<std::byte>> BatchBuilder::build(const std::optional<ProducerStamp>& producer,
                                                   Codec codec) const {
  CHECK(!empty());
  Bytes records = records_;
  std::vector<std::byte> compressed;
  if (codec != Codec::kNone) {
    TRY_ASSIGN(smaller, compress(codec, records_));
    compressed = std::move(smaller);
    if (compressed.size() < records.size()) {
      records = compressed;
    } else {
      codec = Codec::kNone;
    }
  }
  std::vector<std::byte> batch;
  batch.reserve(kBatchHeaderBytes + records.size());
  batch.resize(kBatchHeaderBytes);
  batch.insert(batch.end(), records.begin(), records.end());
  // The length field counts what follows it.
  store_be<std::int32_t>(batch, 8, static_cast<std::int32_t>(batch.size() - 12));
  store_be<std::int32_t>(batch, 12, -1);
  store_be<std::int8_t>(batch, 16, 2);
  store_be<std::uint16_t>(batch, 21, static_cast<std::uint16_t>(codec));
  store_be<std::int32_t>(batch, 23, static_cast<std::int32_t>(record_count_ - 1));
  store_be<std::int64_t>(batch, 27, base_timestamp_);
  store_be<std::int64_t>(batch, 35, max_timestamp_);
  store_be<std::int64_t>(batch, 43, producer ? producer->id.value() : -1);
  store_be<std::int16_t>(batch, 51, producer ? producer->epoch : std::int16_t{-1});
  store_be<std::int32_t>(batch, 53, producer ? producer->base_sequence : -1);
  store_be<std::int32_t>(batch, 57, static_cast<std::int32_t>(record_count_));
  store_be<std::uint32_t>(batch, 17, crc32c(Bytes(batch).subspan(kBatchHashedFrom)));
  return batch;
}

void BatchBuilder::clear() {
  records_.clear();
  record_count_ = 0;
}

HeaderView level_header(Level level) {
  constexpr std::array<std::string_view, 24> kTexts = {
      "1",  "2",  "3",  "4",  "5",  "6",  "7",  "8",  "9",  "10", "11", "12",
      "13", "14", "15", "16", "17", "18", "19", "20", "21", "22", "23", "24"};
  const std::string_view text = kTexts.at(static_cast<std::size_t>(level) - 1);
  return {.key = kLevelHeader, .value = bytes_of(text)};
}

}  // namespace lignum
