#pragma once

// Takes record batches apart, record by record.

#include <cstddef>
#include <cstdint>
#include <vector>

#include "raft/error.h"
#include "raft/payload.h"
#include "storage/record.h"
#include "storage/record_batch.h"
#include "storage/record_codec.h"

namespace lignum {

// One pass over the records of one batch. Borrows `batch`, and owns the decompressed records of a
// compressed one: views it gives out die with the reader or with the batch's bytes, whichever goes
// first (moving the reader keeps them). One thread at a time.
class BatchReader {
 public:
  // Parses the header, checks the CRC and decompresses. Fails with kInvalidArgument or kUnsupported
  // as parse_batch_header() does, kCorrupt for a CRC that does not match or damaged compressed
  // records, kTooLarge when they decompress beyond the limits.
  [[nodiscard]] static Result<BatchReader> open(Bytes batch, const BatchLimits& limits = {});

  BatchReader(BatchReader&&) noexcept = default;
  BatchReader& operator=(BatchReader&&) noexcept = default;
  BatchReader(const BatchReader&) = delete;
  BatchReader& operator=(const BatchReader&) = delete;
  ~BatchReader() = default;

  [[nodiscard]] const BatchHeader& header() const { return header_; }

  // The next record, or nullptr after the last. The record is overwritten by the next call.
  // kInvalidArgument, naming the record, when its bytes make no sense; then the reader is at its
  // end.
  [[nodiscard]] Result<const RecordView*> next();

 private:
  BatchReader() = default;

  BatchHeader header_;
  std::vector<std::byte> decompressed_;
  RecordCursor records_;
  std::int32_t next_record_ = 0;
  std::vector<HeaderView> headers_;
  RecordView current_;
};

}  // namespace lignum
