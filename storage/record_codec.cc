#include "storage/record_codec.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "raft/check.h"
#include "raft/payload.h"
#include "storage/record.h"
#include "storage/record_batch.h"

namespace lignum {

namespace {

constexpr unsigned kVarintBytesMax = 10;

}  // namespace

void RecordWriter::long_varint(std::uint64_t bits) {
  while (bits >= 0x80) {
    byte(static_cast<std::uint8_t>((bits & 0x7FU) | 0x80U));
    bits >>= 7U;
  }
  byte(static_cast<std::uint8_t>(bits));
}

void RecordWriter::nullable_bytes(const std::optional<Bytes>& bytes) {
  if (!bytes) {
    varint(-1);
    return;
  }
  varint(static_cast<std::int64_t>(bytes->size()));
  CHECK(bytes->size() <= out_.size());
  std::ranges::copy(*bytes, out_.begin());
  out_ = out_.subspan(bytes->size());
}

std::int64_t RecordCursor::long_varint() {
  std::uint64_t value = 0;
  for (unsigned i = 0; i < kVarintBytesMax && i < bytes_.size(); ++i) {
    const auto byte = std::to_integer<std::uint64_t>(bytes_[i]);
    value |= (byte & 0x7FU) << (7U * i);
    if (byte < 0x80) {
      bytes_ = bytes_.subspan(i + 1);
      return static_cast<std::int64_t>(value >> 1U) ^ -static_cast<std::int64_t>(value & 1U);
    }
  }
  broken_ = true;
  bytes_ = {};
  return 0;
}

std::uint8_t RecordCursor::byte() {
  const Bytes one = take(1);
  return one.empty() ? std::uint8_t{0} : std::to_integer<std::uint8_t>(one[0]);
}

std::optional<Bytes> RecordCursor::nullable_bytes() {
  const std::int64_t length = varint();
  if (length == -1) {
    return std::nullopt;
  }
  return take(length);
}

Bytes RecordCursor::take(std::int64_t count) {
  if (count < 0 || static_cast<std::uint64_t>(count) > bytes_.size()) {
    broken_ = true;
    bytes_ = {};
    return {};
  }
  const Bytes taken = bytes_.first(static_cast<std::size_t>(count));
  bytes_ = bytes_.subspan(taken.size());
  return taken;
}

std::optional<std::string_view> parse_record(RecordCursor& records, RecordFields& fields) {
  const Bytes bytes = records.take(records.varint());
  if (records.broken()) {
    return "its length passes the end of the batch";
  }
  RecordCursor body(bytes);
  fields.body_bytes = bytes.size();
  if (body.byte() != 0) {
    return "its attributes are not 0";
  }
  fields.timestamp_delta = body.varint();
  fields.offset_delta = body.varint();
  fields.key = body.nullable_bytes();
  fields.value = body.nullable_bytes();
  fields.header_count = body.varint();
  if (body.broken()) {
    return "a field passes its end";
  }
  if (fields.header_count < 0 ||
      static_cast<std::uint64_t>(fields.header_count) > kRecordHeadersMax) {
    return "its number of headers is negative or over 1024";
  }
  fields.headers = body;
  return std::nullopt;
}

std::optional<std::string_view> parse_header(RecordCursor& headers, HeaderView& header) {
  const Bytes key = headers.take(headers.varint());
  header.key = std::string_view(reinterpret_cast<const char*>(key.data()), key.size());
  header.value = headers.nullable_bytes();
  if (headers.broken()) {
    return "a header passes its end";
  }
  return std::nullopt;
}

}  // namespace lignum
