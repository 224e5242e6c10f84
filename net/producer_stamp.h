#pragma once

// Sequence numbers of a producer, and putting a batch under another one.

#include <cstdint>

#include "raft/payload.h"
#include "storage/record_batch.h"

namespace lignum::net {

// The number after `count` records from `sequence` on: 2^31 - 1 is followed by 0 (KIP-98).
[[nodiscard]] std::int32_t sequence_after(std::int32_t sequence, std::uint32_t count);

// A copy of the batch that carries another stamp; the records are untouched, the CRC is renewed.
// `batch` is one that BatchBuilder built.
[[nodiscard]] Payload restamp(const Payload& batch, const ProducerStamp& stamp);

}  // namespace lignum::net
