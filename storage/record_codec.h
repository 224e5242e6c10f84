#pragma once

// The bytes of one record inside a batch: zigzag varints and length-prefixed fields.
//
// Shared by the front door's walk, the reader and the builder; others use those. Pure; allocates
// nothing.

#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "raft/check.h"
#include "raft/payload.h"
#include "storage/record.h"

namespace lignum {

[[nodiscard]] inline std::uint64_t zigzag(std::int64_t value) {
  return (static_cast<std::uint64_t>(value) << 1U) ^ static_cast<std::uint64_t>(value >> 63);
}

// Bytes that `value` takes as a zigzag varint: 1..10.
[[nodiscard]] inline std::size_t varint_bytes(std::int64_t value) {
  return (static_cast<std::size_t>(std::bit_width(zigzag(value) | 1U)) + 6) / 7;
}

// Fills borrowed memory from the front. The caller has computed how much is needed (CHECKed).
class RecordWriter {
 public:
  explicit RecordWriter(std::span<std::byte> out) : out_(out) {}

  [[nodiscard]] bool full() const { return out_.empty(); }
  // Most are of one byte: that much is inline.
  void varint(std::int64_t value) {
    const std::uint64_t bits = zigzag(value);
    return bits < 0x80 ? byte(static_cast<std::uint8_t>(bits)) : long_varint(bits);
  }
  void byte(std::uint8_t value) {
    CHECK(!out_.empty());
    out_.front() = std::byte{value};
    out_ = out_.subspan(1);
  }
  // A length and the bytes; only the length -1 for none.
  void nullable_bytes(const std::optional<Bytes>& bytes);

 private:
  void long_varint(std::uint64_t bits);

  std::span<std::byte> out_;
};

// A reader of varints and fields over borrowed bytes. The first read past the end, or of a varint
// over 10 bytes, makes it broken; later reads then give zeros and nothing.
class RecordCursor {
 public:
  RecordCursor() = default;
  explicit RecordCursor(Bytes bytes) : bytes_(bytes) {}

  [[nodiscard]] bool broken() const { return broken_; }
  [[nodiscard]] bool at_end() const { return bytes_.empty(); }

  std::int64_t varint() {
    if (bytes_.empty() || std::to_integer<unsigned>(bytes_.front()) >= 0x80) return long_varint();
    const auto bits = std::to_integer<std::int64_t>(bytes_.front());
    bytes_ = bytes_.subspan(1);
    return (bits >> 1) ^ -(bits & 1);
  }
  std::uint8_t byte();
  // A length and that many bytes; none for the length -1.
  std::optional<Bytes> nullable_bytes();
  Bytes take(std::int64_t count);

 private:
  std::int64_t long_varint();

  Bytes bytes_;
  bool broken_ = false;
};

// One record taken apart, headers excepted.
struct RecordFields {
  std::size_t body_bytes = 0;
  std::int64_t timestamp_delta = 0;
  std::int64_t offset_delta = 0;
  std::optional<Bytes> key;
  std::optional<Bytes> value;
  std::int64_t header_count = 0;
  RecordCursor headers;  // exactly the rest of the body
};

// Takes the next record from `records`. Returns nothing, or what is wrong with it: static text.
[[nodiscard]] std::optional<std::string_view> parse_record(RecordCursor& records,
                                                           RecordFields& fields);
// Takes one header of a record. As parse_record().
[[nodiscard]] std::optional<std::string_view> parse_header(RecordCursor& headers,
                                                           HeaderView& header);

}  // namespace lignum
