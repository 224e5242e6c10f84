#include "net/producer_stamp.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "raft/check.h"
#include "raft/payload.h"
#include "storage/byte_order.h"
#include "storage/crc32c.h"
#include "storage/record_batch.h"

namespace lignum::net {

namespace {

// Offsets in the batch header (storage/record_batch.h).
constexpr std::size_t kCrcAt = 17;
constexpr std::size_t kChecksummedFrom = 21;
constexpr std::size_t kProducerIdAt = 43;
constexpr std::size_t kProducerEpochAt = 51;
constexpr std::size_t kBaseSequenceAt = 53;
static_assert(kBaseSequenceAt + sizeof(std::int32_t) + sizeof(std::int32_t) == kBatchHeaderBytes);

}  // namespace

std::int32_t sequence_after(std::int32_t sequence, std::uint32_t count) {
  return static_cast<std::int32_t>((static_cast<std::uint64_t>(sequence) + count) & 0x7FFFFFFFU);
}

Payload restamp(const Payload& batch, const ProducerStamp& stamp) {
  CHECK(batch.size() >= kBatchHeaderBytes);
  std::vector<std::byte> bytes(batch.bytes().begin(), batch.bytes().end());
  store_be<std::int64_t>(bytes, kProducerIdAt, stamp.id.value());
  store_be<std::int16_t>(bytes, kProducerEpochAt, stamp.epoch);
  store_be<std::int32_t>(bytes, kBaseSequenceAt, stamp.base_sequence);
  store_be<std::uint32_t>(bytes, kCrcAt, crc32c(std::span(bytes).subspan(kChecksummedFrom)));
  return Payload(std::move(bytes));
}

}  // namespace lignum::net
