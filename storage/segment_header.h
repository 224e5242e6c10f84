#pragma once

// The first block of a segment file: whose it is. Local frames repeat the segment's id, so a lost
// header costs nothing; a wrong one tells `verify` and people that a file was mixed up.

#include <optional>

#include "raft/payload.h"
#include "raft/types.h"
#include "storage/aligned_buffer.h"

namespace lignum::storage {

struct SegmentHeader {
  GroupId group;
  GroupIncarnation incarnation;
  SegmentId segment;
  // Of the data directory: another node's segments of the group have the same numbers, too.
  NodeIncarnation node;
  friend bool operator==(const SegmentHeader&, const SegmentHeader&) = default;
};

// One block: magic u32, CRC u32 (of the rest of the block), version u32, group u32, incarnation
// u64, segment u64, node incarnation u64, zeros.
[[nodiscard]] AlignedBuffer encode_segment_header(const SegmentHeader& header);
// None unless the block checks.
[[nodiscard]] std::optional<SegmentHeader> decode_segment_header(Bytes block);

}  // namespace lignum::storage
