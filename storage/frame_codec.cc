#include "storage/frame_codec.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <variant>

#include "raft/check.h"
#include "raft/entry.h"
#include "raft/payload.h"
#include "raft/types.h"
#include "storage/byte_order.h"
#include "storage/chain.h"
#include "storage/crc32c.h"
#include "storage/frame_format.h"

namespace lignum::storage {

namespace {

constexpr std::size_t kCrcAt = 4;
constexpr std::size_t kCrcFrom = 8;
constexpr std::size_t kKindAt = 8;
constexpr std::size_t kNodeAt = 16;
constexpr std::size_t kSegmentAt = 24;
constexpr std::size_t kPositionAt = 32;
constexpr std::size_t kTruncationAt = 40;
constexpr std::size_t kFlushedAt = 48;
static_assert(kFlushedAt + 8 == kEnvelopeBytes);

// Offsets inside the entry header.
constexpr std::size_t kGroupAt = 0;
constexpr std::size_t kIndexAt = 8;
constexpr std::size_t kTermAt = 16;
constexpr std::size_t kBaseOffsetAt = 24;
constexpr std::size_t kAppendTimeAt = 32;
constexpr std::size_t kEventMinAt = 40;
constexpr std::size_t kEventMaxAt = 48;
constexpr std::size_t kStreamAt = 56;
constexpr std::size_t kChainAt = 64;
constexpr std::size_t kShardAt = 80;
constexpr std::size_t kCountAt = 84;
constexpr std::size_t kMaskAt = 88;
constexpr std::size_t kPayloadBytesAt = 92;
constexpr std::size_t kPayloadCrcAt = 96;
constexpr std::size_t kEntryKindAt = 100;
static_assert(kEntryKindAt + 4 == kEntryHeaderBytes);

using Out = std::span<std::byte>;

void store_hash(Out out, std::size_t at, const Hash128& hash) {
  store_le<std::uint64_t>(out, at, hash.low);
  store_le<std::uint64_t>(out, at + 8, hash.high);
}

Hash128 load_hash(Bytes in, std::size_t at) {
  return {.low = load_le<std::uint64_t>(in, at), .high = load_le<std::uint64_t>(in, at + 8)};
}

std::size_t body_bytes(FrameKind kind) {
  switch (kind) {
    case FrameKind::kEntry:
      return kEntryHeaderBytes;
    case FrameKind::kMarker:
      return kMarkerBytes;
    case FrameKind::kSkip:
      return kSkipBytes;
  }
  return 0;
}

// The body is in place: fills the envelope before it.
void seal_envelope(const Envelope& envelope, Out out) {
  std::fill_n(out.begin(), kEnvelopeBytes, std::byte{0});
  store_le<std::uint32_t>(out, 0, kFrameMagic);
  out[kKindAt] = static_cast<std::byte>(envelope.kind);
  store_le<std::uint64_t>(out, kNodeAt, envelope.node.value());
  store_le<std::uint64_t>(out, kSegmentAt, envelope.segment.value());
  store_le<std::uint64_t>(out, kPositionAt, envelope.position);
  store_le<std::uint64_t>(out, kTruncationAt, envelope.truncation);
  store_le<std::uint64_t>(out, kFlushedAt, envelope.flushed);
  const std::size_t end = kEnvelopeBytes + body_bytes(envelope.kind);
  store_le<std::uint32_t>(out, kCrcAt, crc32c(Bytes(out).subspan(kCrcFrom, end - kCrcFrom)));
}

EntryHeader decode_entry_header(Bytes in) {
  return {.group = GroupIncarnation(load_le<std::uint64_t>(in, kGroupAt)),
          .index = Index(load_le<std::uint64_t>(in, kIndexAt)),
          .term = Term(load_le<std::uint64_t>(in, kTermAt)),
          .kind = static_cast<EntryKind>(in[kEntryKindAt]),
          .shard = {.stream = StreamId(load_le<std::uint64_t>(in, kStreamAt)),
                    .shard = ShardNumber(load_le<std::uint32_t>(in, kShardAt))},
          .base_offset = Offset(load_le<std::uint64_t>(in, kBaseOffsetAt)),
          .record_count = load_le<std::uint32_t>(in, kCountAt),
          .append_time = load_le<std::int64_t>(in, kAppendTimeAt),
          .level_mask = load_le<std::uint32_t>(in, kMaskAt),
          .event_time_min = load_le<std::int64_t>(in, kEventMinAt),
          .event_time_max = load_le<std::int64_t>(in, kEventMaxAt),
          .previous_chain = load_hash(in, kChainAt),
          .payload_bytes = load_le<std::uint32_t>(in, kPayloadBytesAt),
          .payload_crc = load_le<std::uint32_t>(in, kPayloadCrcAt)};
}

}  // namespace

void encode_entry_header(const EntryHeader& header, std::span<std::byte, kEntryHeaderBytes> out) {
  std::fill(out.begin(), out.end(), std::byte{0});
  store_le<std::uint64_t>(out, kGroupAt, header.group.value());
  store_le<std::uint64_t>(out, kIndexAt, header.index.value());
  store_le<std::uint64_t>(out, kTermAt, header.term.value());
  store_le<std::uint64_t>(out, kBaseOffsetAt, header.base_offset.value());
  store_le<std::int64_t>(out, kAppendTimeAt, header.append_time);
  store_le<std::int64_t>(out, kEventMinAt, header.event_time_min);
  store_le<std::int64_t>(out, kEventMaxAt, header.event_time_max);
  store_le<std::uint64_t>(out, kStreamAt, header.shard.stream.value());
  store_hash(out, kChainAt, header.previous_chain);
  store_le<std::uint32_t>(out, kShardAt, header.shard.shard.value());
  store_le<std::uint32_t>(out, kCountAt, header.record_count);
  store_le<std::uint32_t>(out, kMaskAt, header.level_mask);
  store_le<std::uint32_t>(out, kPayloadBytesAt, header.payload_bytes);
  store_le<std::uint32_t>(out, kPayloadCrcAt, header.payload_crc);
  out[kEntryKindAt] = static_cast<std::byte>(header.kind);
}

Hash128 chain_after(const EntryHeader& header) {
  std::array<std::byte, kEntryHeaderBytes> bytes;
  encode_entry_header(header, bytes);
  return group_chain(bytes);
}

std::size_t encode_entry(const Envelope& envelope, const Entry& entry, Out out) {
  const Bytes payload = entry.payload.bytes();
  CHECK(entry.header.payload_bytes == payload.size());
  const std::size_t total = frame_bytes(kEntryHeaderBytes, payload.size());
  encode_entry_header(entry.header, out.subspan<kEnvelopeBytes, kEntryHeaderBytes>());
  const Out rest =
      out.subspan(kEnvelopeBytes + kEntryHeaderBytes, total - kEnvelopeBytes - kEntryHeaderBytes);
  std::copy(payload.begin(), payload.end(), rest.begin());
  std::fill(rest.begin() + static_cast<std::ptrdiff_t>(payload.size()), rest.end(), std::byte{0});
  seal_envelope(envelope, out);
  return total;
}

std::size_t encode_marker(const Envelope& envelope, const Marker& marker, Out out) {
  const Out body = out.subspan(kEnvelopeBytes);
  store_le<std::uint64_t>(body, 0, marker.group.value());
  store_le<std::uint64_t>(body, 8, marker.last.value());
  store_hash(body, 16, marker.chain);
  seal_envelope(envelope, out);
  return frame_bytes(kMarkerBytes, 0);
}

std::size_t encode_skip(const Envelope& envelope, const Skip& skip, Out out) {
  const Out body = out.subspan(kEnvelopeBytes);
  store_le<std::uint64_t>(body, 0, skip.group.value());
  store_le<std::uint64_t>(body, 8, skip.first.value());
  store_le<std::uint64_t>(body, 16, skip.last.index.value());
  store_le<std::uint64_t>(body, 24, skip.last.term.value());
  store_hash(body, 32, skip.chain_before);
  store_hash(body, 48, skip.chain_after);
  store_le<std::int64_t>(body, 64, skip.append_time);
  seal_envelope(envelope, out);
  return frame_bytes(kSkipBytes, 0);
}

std::optional<Frame> decode_frame(Bytes bytes, SegmentId segment, std::uint64_t position) {
  if (bytes.size() < kEnvelopeBytes || load_le<std::uint32_t>(bytes) != kFrameMagic) {
    return std::nullopt;
  }
  const auto kind = static_cast<FrameKind>(bytes[kKindAt]);
  const std::size_t body = body_bytes(kind);
  if (body == 0 || bytes.size() < kEnvelopeBytes + body) return std::nullopt;
  const Bytes covered = bytes.subspan(kCrcFrom, kEnvelopeBytes + body - kCrcFrom);
  if (crc32c(covered) != load_le<std::uint32_t>(bytes, kCrcAt)) return std::nullopt;
  Frame frame;
  frame.envelope = {.kind = kind,
                    .node = NodeIncarnation(load_le<std::uint64_t>(bytes, kNodeAt)),
                    .segment = SegmentId(load_le<std::uint64_t>(bytes, kSegmentAt)),
                    .position = load_le<std::uint64_t>(bytes, kPositionAt),
                    .truncation = load_le<std::uint64_t>(bytes, kTruncationAt),
                    .flushed = load_le<std::uint64_t>(bytes, kFlushedAt)};
  if (frame.envelope.segment != segment || frame.envelope.position != position) {
    return std::nullopt;
  }
  const Bytes in = bytes.subspan(kEnvelopeBytes);
  std::size_t payload = 0;
  if (kind == FrameKind::kEntry) {
    const EntryHeader header = decode_entry_header(in);
    payload = header.payload_bytes;
    if (payload > kPayloadBytesMax) return std::nullopt;
    frame.body = header;
  } else if (kind == FrameKind::kMarker) {
    frame.body = Marker{.group = GroupIncarnation(load_le<std::uint64_t>(in)),
                        .last = Index(load_le<std::uint64_t>(in, 8)),
                        .chain = load_hash(in, 16)};
  } else {
    frame.body = Skip{.group = GroupIncarnation(load_le<std::uint64_t>(in)),
                      .first = Index(load_le<std::uint64_t>(in, 8)),
                      .last = {.term = Term(load_le<std::uint64_t>(in, 24)),
                               .index = Index(load_le<std::uint64_t>(in, 16))},
                      .chain_before = load_hash(in, 32),
                      .chain_after = load_hash(in, 48),
                      .append_time = load_le<std::int64_t>(in, 64)};
  }
  frame.bytes = frame_bytes(body, payload);
  return frame;
}

GroupIncarnation group_of(const Frame& frame) {
  return std::visit([](const auto& body) { return body.group; }, frame.body);
}

bool payload_intact(const EntryHeader& header, Bytes payload) {
  return payload.size() == header.payload_bytes && crc32c(payload) == header.payload_crc;
}

}  // namespace lignum::storage
