#pragma once

// The two hash chains of the log: XXH3-128 values, each of which stands for everything before it.
//
// The group chain runs through all entries of a Raft group: two replicas with the same value at an
// index hold the same bytes up to there. The shard chain runs through the batches of one shard and
// survives a move to another group; a client can verify it. They detect accident, not an
// adversary. Pure functions, safe from any thread. docs/log_format.md gives the exact bytes.

#include <cstddef>
#include <cstdint>

#include "raft/payload.h"
#include "raft/types.h"

namespace lignum {

// Where a record batch begins to be opaque: everything before is patched on its way (offset,
// leader epoch) or derived (magic, CRC), so neither the CRC nor the shard chain covers it.
inline constexpr std::size_t kBatchHashedFrom = 21;

// What one batch adds to its shard's chain, beside its bytes.
struct ShardLink {
  Offset base;
  std::uint32_t count = 0;
  TimeUs append_time = 0;
};

// The shard chain after `batch`: XXH3-128 over previous.low, previous.high, base, count and append
// time (little-endian, 8+8+8+4+8 bytes), then the batch's bytes from kBatchHashedFrom on. The batch
// was validated (at least 61 bytes; CHECKed).
[[nodiscard]] Hash128 shard_chain(Hash128 previous, const ShardLink& link, Bytes batch);

// The group chain after an entry: XXH3-128 of its encoded header, which holds the previous chain
// and the payload's length and CRC.
[[nodiscard]] Hash128 group_chain(Bytes encoded_entry_header);

}  // namespace lignum
