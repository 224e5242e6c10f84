#pragma once

// One entry of a group's Raft log: a fixed header and an opaque payload.
//
// The header is what replicas agree on: it is replicated and hashed into the group chain. The
// payload of a data entry is a Kafka record batch v2 with its base offset filled in; everywhere
// between the front door and the reader it is opaque. The bytes on disk are described in
// docs/log_format.md and made by storage/frame_codec; the raft core never looks at a payload.

#include <cstdint>

#include "raft/payload.h"
#include "raft/types.h"

namespace lignum {

// Numbers are disk values: never reuse one.
enum class EntryKind : std::uint8_t {
  kNoOp = 1,        // a new leader's first entry; also a closed-time mark when asked for (rules of
                    // the merged tail): carries nothing but its append time
  kMembership = 2,  // a raft configuration
  kBatch = 3,       // a record batch of one shard
  kCommand = 4,     // a state machine command (protobuf, server/proto)
};

struct EntryHeader {
  GroupIncarnation group;
  Index index;
  Term term;
  EntryKind kind = EntryKind::kNoOp;
  // The shard of a kBatch; zero for other kinds.
  ShardKey shard;
  // First offset and number of records of a kBatch; zero for other kinds.
  Offset base_offset;
  std::uint32_t record_count = 0;
  // The leader's wall clock, strictly rising along the log of a group.
  TimeUs append_time = 0;
  // Bit n: some record has severity number n (1..24); bit 0: some record has none. All ones: not
  // known. Bits above 24 are zero otherwise.
  std::uint32_t level_mask = 0;
  // Smallest and largest event time of the records; min > max never happens, unbounded when not
  // known (INT64_MIN, INT64_MAX).
  TimeMs event_time_min = 0;
  TimeMs event_time_max = 0;
  // Group chain of the entry before this one (zero before the first).
  Hash128 previous_chain;
  std::uint32_t payload_bytes = 0;
  // CRC-32C of the payload.
  std::uint32_t payload_crc = 0;

  [[nodiscard]] LogId id() const { return {.term = term, .index = index}; }
  friend bool operator==(const EntryHeader&, const EntryHeader&) = default;
};

struct Entry {
  EntryHeader header;
  Payload payload;
};

inline constexpr std::uint32_t kLevelMaskAll = 0xFFFFFFFFU;

}  // namespace lignum
