#pragma once

// Frames to bytes and back. Pure. The bytes are those of storage/frame_format.h.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <variant>

#include "raft/entry.h"
#include "raft/error.h"
#include "raft/payload.h"
#include "raft/types.h"
#include "storage/frame_format.h"

namespace lignum::storage {

// What the writer of a frame says about itself; local to one disk, neither sent nor hashed.
struct Envelope {
  FrameKind kind = FrameKind::kEntry;
  NodeIncarnation node;
  SegmentId segment;
  std::uint64_t position = 0;
  std::uint64_t truncation = 0;
  // Everything in this segment below this position was flushed when the frame was written.
  std::uint64_t flushed = 0;
};

// Says that everything before it is flushed, and where the log stands.
struct Marker {
  GroupIncarnation group;
  Index last;
  Hash128 chain;
};

// Stands for entries that nobody needs any more: [first, last].
struct Skip {
  GroupIncarnation group;
  Index first;
  LogId last;
  Hash128 chain_before;
  Hash128 chain_after;
  TimeUs append_time = 0;
};

struct Frame {
  Envelope envelope;
  std::variant<EntryHeader, Marker, Skip> body;
  // Payload included; where the next frame begins, counted from this one.
  std::size_t bytes = 0;

  [[nodiscard]] std::size_t payload_at() const { return kEnvelopeBytes + kEntryHeaderBytes; }
};

// The hashed bytes of an entry header.
void encode_entry_header(const EntryHeader& header, std::span<std::byte, kEntryHeaderBytes> out);
// The group chain after an entry with this header.
[[nodiscard]] Hash128 chain_after(const EntryHeader& header);

// Writes a whole frame at the front of `out`, which has frame_bytes() room, padding included;
// returns its length.
std::size_t encode_entry(const Envelope& envelope, const Entry& entry, std::span<std::byte> out);
std::size_t encode_marker(const Envelope& envelope, const Marker& marker, std::span<std::byte> out);
std::size_t encode_skip(const Envelope& envelope, const Skip& skip, std::span<std::byte> out);

// Reads the frame at the front of `bytes`: none unless magic and CRC are right and the envelope
// names this segment and position. The payload may lie beyond the end of `bytes`; it is not
// checked here.
[[nodiscard]] std::optional<Frame> decode_frame(Bytes bytes, SegmentId segment,
                                                std::uint64_t position);

// Whose log it is of: segments of two groups have the same numbers.
[[nodiscard]] GroupIncarnation group_of(const Frame& frame);

// True when the payload's CRC is right.
[[nodiscard]] bool payload_intact(const EntryHeader& header, Bytes payload);

}  // namespace lignum::storage
