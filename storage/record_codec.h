#pragma once

// The bytes of one record inside a batch: zigzag varints and length-prefixed fields.
//
// Shared by the front door's walk, the reader and the builder; others use those. Pure; allocates
// nothing.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "raft/payload.h"
#include "storage/record.h"

namespace lignum {

// Bytes that `value` takes as a zigzag varint: 1..10.
[[nodiscard]] std::size_t varint_bytes(std::int64_t value);

// Fills borrowed memory from the front. The caller has computed how much is needed (CHECKed).
class RecordWriter {
 public:
  explicit RecordWriter(std::span<std::byte> out) : out_(out) {}

  [[nodiscard]] bool full() const { return out_.empty(); }
  void varint(std::int64_t value);
  void byte(std::uint8_t value);
  // A length and the bytes; only the length -1 for none.
  void nullable_bytes(const std::optional<Bytes>& bytes);

 private:
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
  [[nodiscard]] Bytes rest() const { return bytes_; }

  std::int64_t varint();
  std::uint8_t byte();
  // A length and that many bytes; none for the length -1.
  std::optional<Bytes> nullable_bytes();
  Bytes take(std::int64_t count);

 private:
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
