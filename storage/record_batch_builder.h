#pragma once

// Makes record batches: used by the client library, by tools and by tests.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "raft/error.h"
#include "raft/payload.h"
#include "raft/types.h"
#include "storage/compression.h"
#include "storage/level.h"
#include "storage/record.h"
#include "storage/record_batch.h"

namespace lignum {

// Collects records into one batch, encoded as they come. Owned and called by one thread at a time;
// borrows nothing after add() returns. Reusable: build() leaves it as it was, clear() empties it
// and keeps its memory.
class BatchBuilder {
 public:
  explicit BatchBuilder(const BatchLimits& limits = {}) : limits_(limits) {}

  // Appends one record. kTooLarge when the record is over its limit, or when the batch would pass
  // batch_bytes_max (build and clear, then add again); kInvalidArgument for more headers than
  // kRecordHeadersMax, a header "level" the front door would refuse, or a timestamp too far from
  // the first to be encoded. A refused record changes nothing: one bad record never spoils a batch.
  [[nodiscard]] Result<void> add(const RecordInput& record);

  [[nodiscard]] std::uint32_t record_count() const { return record_count_; }
  [[nodiscard]] bool empty() const { return record_count_ == 0; }
  // Size of the batch so far, header included, before compression. 61 when empty.
  [[nodiscard]] std::size_t bytes() const { return kBatchHeaderBytes + records_.size(); }
  // What bytes() would be after add(record), exactly.
  [[nodiscard]] std::size_t bytes_with(const RecordInput& record) const;

  // The finished batch: base offset 0, leader epoch -1, CRC set. Records that do not become
  // smaller are stored with codec none. Without a stamp the producer fields are -1. Not empty
  // (CHECKed). Fails only where compress() does.
  [[nodiscard]] Result<std::vector<std::byte>> build(const std::optional<ProducerStamp>& producer,
                                                     Codec codec) const;

  void clear();

 private:
  struct Sizes {
    std::size_t body = 0;   // of the record without its length field
    std::size_t total = 0;  // with it
  };
  [[nodiscard]] Sizes sizes_of(const RecordInput& record) const;

  BatchLimits limits_;
  std::vector<std::byte> records_;
  std::uint32_t record_count_ = 0;
  TimeMs base_timestamp_ = 0;
  TimeMs max_timestamp_ = 0;
};

// The reserved header that carries a level. Its text is static.
[[nodiscard]] HeaderView level_header(Level level);

}  // namespace lignum
