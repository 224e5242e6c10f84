#pragma once

// The numbers of the segment format; docs/log_format.md draws it. Everything is little-endian.
//
// A segment file:
//
//     | header block 4096 | frame | frame | ... | zeros, or old bytes | footer (once sealed) |
//
// A frame is an envelope, a body and a payload, padded with zeros to 8 bytes. Changing anything
// here raises kSegmentVersion.

#include <cstddef>
#include <cstdint>

#include "storage/file.h"

namespace lignum::storage {

inline constexpr std::uint32_t kSegmentMagic = 0x53474C4C;   // "LLGS"
inline constexpr std::uint32_t kFrameMagic = 0x464C4C4C;     // "LLLF"
inline constexpr std::uint32_t kFooterMagic = 0x544C4C4C;    // "LLLT"
inline constexpr std::uint32_t kManifestMagic = 0x4D4C4C4C;  // "LLLM"
inline constexpr std::uint32_t kSegmentVersion = 2;

inline constexpr std::size_t kFrameAlignment = 8;
// Frames begin here; the block before holds the segment's header.
inline constexpr std::size_t kFramesStart = kBlockBytes;

// Envelope: magic u32, CRC u32 (of all that follows in envelope and body), kind u8, 7 zero bytes,
// node incarnation u64, segment u64, position u64, truncation number u64, flushed-up-to u64.
inline constexpr std::size_t kEnvelopeBytes = 56;

// Body of an entry frame: the entry header, as it is hashed into the group chain. Fields in the
// order of EntryHeader's eight-byte members first; frame_codec.cc is the list.
inline constexpr std::size_t kEntryHeaderBytes = 104;
// Body of a marker: group incarnation u64, last index u64, chain 16 bytes.
inline constexpr std::size_t kMarkerBytes = 32;
// Body of a skip: group incarnation u64, first index u64, last index u64, last term u64, chain
// before 16, chain after 16, append time of the last entry i64.
inline constexpr std::size_t kSkipBytes = 72;

static_assert(kEnvelopeBytes % kFrameAlignment == 0);
static_assert(kEntryHeaderBytes % kFrameAlignment == 0);
static_assert(kMarkerBytes % kFrameAlignment == 0);
static_assert(kSkipBytes % kFrameAlignment == 0);

enum class FrameKind : std::uint8_t { kEntry = 1, kMarker = 2, kSkip = 3 };

// Payload of one entry: the largest batch.
inline constexpr std::size_t kPayloadBytesMax = std::size_t{8} << 20;

[[nodiscard]] constexpr std::size_t frame_bytes(std::size_t body, std::size_t payload) {
  return (kEnvelopeBytes + body + payload + kFrameAlignment - 1) / kFrameAlignment *
         kFrameAlignment;
}

// First segment of a group, then four times larger each time.
inline constexpr std::size_t kSegmentBytesMin = std::size_t{256} << 10;
inline constexpr std::size_t kSegmentBytesMax = std::size_t{64} << 20;
inline constexpr std::size_t kSegmentGrowth = 4;
// The end of every segment is kept for small entries: they must find room also while the disk is
// full. Half of it is for what gives space back (a trim, a dropped shard), the rest for a leader's
// no-op and markers.
inline constexpr std::size_t kSegmentReserve = std::size_t{32} << 10;
// No flush holds more than this (the raft core's uncommitted_bytes_max and one batch): a torn tail
// is never longer.
inline constexpr std::size_t kInFlightWindowMax = std::size_t{32} << 20;

static_assert(kSegmentReserve * 2 < kSegmentBytesMin);
static_assert(kPayloadBytesMax < kInFlightWindowMax && kInFlightWindowMax < kSegmentBytesMax);

}  // namespace lignum::storage
