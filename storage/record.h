#pragma once

// One record, as views: what goes into a batch and what comes out of it.

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "raft/payload.h"
#include "raft/types.h"
#include "storage/level.h"

namespace lignum {

// A field of a record. No value is not the same as an empty one.
struct HeaderView {
  std::string_view key;
  std::optional<Bytes> value;
};

// A record to be added to a batch; borrows everything.
struct RecordInput {
  TimeMs timestamp = 0;
  std::optional<Bytes> key;
  std::optional<Bytes> value;
  std::span<const HeaderView> headers;
};

// A record of a batch. Key, value and the headers' text live as long as the reader that gave it
// out; the span of headers only until its next record is read.
struct RecordView {
  Offset offset;
  TimeMs timestamp = 0;
  std::optional<Bytes> key;
  std::optional<Bytes> value;
  std::span<const HeaderView> headers;

  // From the reserved header; none when there is none, or it is not a decimal 1..24.
  [[nodiscard]] std::optional<Level> level() const;
};

}  // namespace lignum
