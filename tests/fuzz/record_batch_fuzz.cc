// Record batches: whatever the front door lets in, the reader reads to its end, and finds what the
// front door said. The first byte of the input chooses whether length, magic and CRC are put right
// first, so that the fuzzer gets at the records.

#include <cstddef>
#include <cstdint>
#include <vector>

#include "raft/check.h"
#include "raft/payload.h"
#include "storage/byte_order.h"
#include "storage/crc32c.h"
#include "storage/record.h"
#include "storage/record_batch.h"
#include "storage/record_batch_reader.h"
#include "tests/fuzz/fuzz.h"

namespace lignum::fuzz {

namespace {

constexpr std::size_t kLengthAt = 8;
constexpr std::size_t kEpochAt = 12;
constexpr std::size_t kMagicAt = 16;
constexpr std::size_t kCrcAt = 17;
constexpr std::size_t kCrcFrom = 21;
constexpr BatchLimits kLimits{.record_bytes_max = std::size_t{64} << 10,
                              .batch_bytes_max = std::size_t{256} << 10,
                              .decompressed_bytes_max = std::size_t{1} << 20};

void put_right(std::vector<std::byte>& batch) {
  if (batch.size() < kBatchHeaderBytes) return;
  constexpr std::size_t kBytesBeforeLengthEnds = 12;
  store_be<std::int32_t>(batch, kLengthAt,
                         static_cast<std::int32_t>(batch.size() - kBytesBeforeLengthEnds));
  store_be<std::int32_t>(batch, kEpochAt, -1);
  batch[kMagicAt] = std::byte{2};
  store_be<std::uint32_t>(batch, kCrcAt, crc32c(Bytes(batch).subspan(kCrcFrom)));
}

// True when it was read to the end.
bool read_all(Bytes batch, std::uint32_t& records) {
  auto reader = BatchReader::open(batch, kLimits);
  if (!reader) return false;
  while (true) {
    const auto record = reader->next();
    if (!record) return false;
    if (*record == nullptr) return true;
    ++records;
    CHECK((*record)->headers.size() <= kRecordHeadersMax);
    static_cast<void>((*record)->level());
  }
}

}  // namespace

void fuzz_one(Bytes bytes) {
  Input input(bytes);
  const bool right = input.take<std::uint8_t>() % 2 == 1;
  std::vector<std::byte> batch(input.rest().begin(), input.rest().end());
  if (right) put_right(batch);
  const auto summary = validate_batch(batch, kLimits);
  std::uint32_t records = 0;
  const bool read = read_all(batch, records);
  if (!summary) return;
  CHECK(read);
  CHECK(records == summary->record_count);
  CHECK(summary->event_time_min <= summary->event_time_max);
  CHECK(summary->bytes == batch.size());
}

}  // namespace lignum::fuzz
