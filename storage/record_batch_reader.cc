#include "storage/record_batch_reader.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "raft/error.h"
#include "raft/payload.h"
#include "raft/types.h"
#include "storage/compression.h"
#include "storage/level.h"
#include "storage/record.h"
#include "storage/record_batch.h"
#include "storage/record_codec.h"

namespace lignum {

std::optional<Level> RecordView::level() const {
  for (const HeaderView& header : headers) {
    if (header.key == kLevelHeader) {
      const Bytes text = header.value.value_or(Bytes{});
      return level_from_header({reinterpret_cast<const char*>(text.data()), text.size()});
    }
  }
  return std::nullopt;
}

Result<BatchReader> BatchReader::open(Bytes batch, const BatchLimits& limits) {
  BatchReader reader;
  TRY_ASSIGN(header, parse_batch_header(batch));
  TRY(check_batch_crc(batch, header));
  reader.header_ = header;
  const auto codec = header.codec();
  if (!codec) {
    return fail(Errc::kUnsupported, "record batch: its codec number is not assigned");
  }
  if (*codec == Codec::kNone) {
    reader.records_ = RecordCursor(batch.subspan(kBatchHeaderBytes));
  } else {
    TRY_ASSIGN(records, decompress_records(batch, *codec, limits));
    reader.decompressed_ = std::move(records);
    reader.records_ = RecordCursor(reader.decompressed_);
  }
  return reader;
}

Result<const RecordView*> BatchReader::next() {
  if (next_record_ >= header_.record_count) {
    return nullptr;
  }
  const std::int32_t number = next_record_;
  const auto refuse = [&](std::string_view what) {
    next_record_ = header_.record_count;
    return fail(Errc::kInvalidArgument,
                "record " + std::to_string(number) + " of the batch: " + std::string(what));
  };
  RecordFields fields;
  if (const auto trouble = parse_record(records_, fields)) {
    return refuse(*trouble);
  }
  headers_.clear();
  for (std::int64_t i = 0; i < fields.header_count; ++i) {
    if (const auto trouble = parse_header(fields.headers, headers_.emplace_back())) {
      return refuse(*trouble);
    }
  }
  TimeMs timestamp = 0;
  if (__builtin_add_overflow(header_.base_timestamp, fields.timestamp_delta, &timestamp)) {
    return refuse("its timestamp does not fit 64 bits");
  }
  // By position, not by what the record claims: offsets of a batch are dense.
  current_ = {.offset = Offset(static_cast<std::uint64_t>(header_.base_offset)) +
                        static_cast<std::uint64_t>(number),
              .timestamp = timestamp,
              .key = fields.key,
              .value = fields.value,
              .headers = headers_};
  ++next_record_;
  return &current_;
}

}  // namespace lignum
