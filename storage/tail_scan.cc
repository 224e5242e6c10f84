#include "storage/tail_scan.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <variant>

#include "raft/entry.h"
#include "raft/mutant.h"
#include "raft/payload.h"
#include "raft/types.h"
#include "storage/byte_order.h"
#include "storage/file.h"
#include "storage/frame_codec.h"
#include "storage/frame_format.h"
#include "storage/manifest.h"

namespace lignum::storage {

namespace {

// A frame that begins behind `after`, as far as envelopes tell.
struct LaterFrame {
  std::uint64_t position = 0;
  std::uint64_t flushed = 0;
};

// What the frames behind `after` say: the highest position that was flushed when one of them was
// written, and where the last of them lies.
std::optional<LaterFrame> evidence_behind(Bytes bytes, SegmentId segment, std::uint64_t after) {
  std::optional<LaterFrame> found;
  const std::uint64_t first = (after / kFrameAlignment + 1) * kFrameAlignment;
  // No frame begins in zeros.
  const std::uint64_t last = content_end(bytes, after);
  for (std::uint64_t at = first; at < last && at + kEnvelopeBytes <= bytes.size();
       at += kFrameAlignment) {
    if (load_le<std::uint32_t>(bytes, at) != kFrameMagic) continue;
    const auto frame = decode_frame(bytes.subspan(at), segment, at);
    if (!frame) continue;
    if (!found) found.emplace();
    found->position = at;
    found->flushed = std::max(found->flushed, frame->envelope.flushed);
  }
  return found;
}

// False where the entry does not continue the log.
bool take_entry(TailScan& scan, const Frame& frame, Bytes bytes) {
  const auto& header = std::get<EntryHeader>(frame.body);
  // A frame of a log that was cut here earlier does not continue this chain.
  if (header.index != scan.mark.id.index.next() || header.previous_chain != scan.mark.chain) {
    return false;
  }
  const Bytes payload = bytes.subspan(scan.end + frame.payload_at(), header.payload_bytes);
  if (!payload_intact(header, payload) && !mutant(Mutant::kTornPayloadAccepted)) return false;
  scan.index.add(header, static_cast<std::uint32_t>(scan.end),
                 static_cast<std::uint32_t>(frame.bytes));
  scan.mark = {.id = header.id(), .chain = chain_after(header), .append_time = header.append_time};
  return true;
}

// Takes the frames up to the first position that does not check.
void take_frames(TailScan& scan, Bytes bytes, SegmentId segment, GroupIncarnation incarnation) {
  while (scan.end < bytes.size()) {
    const auto frame = decode_frame(bytes.subspan(scan.end), segment, scan.end);
    if (!frame || frame->bytes > bytes.size() - scan.end) return;
    if (group_of(*frame) != incarnation) return;
    if (std::holds_alternative<EntryHeader>(frame->body)) {
      if (!take_entry(scan, *frame, bytes)) return;
    } else if (const auto* marker = std::get_if<Marker>(&frame->body)) {
      if (marker->last != scan.mark.id.index || marker->chain != scan.mark.chain) return;
      scan.marked_end = scan.end + frame->bytes;
    } else {
      return;  // the active segment holds no skips
    }
    scan.flushed = std::max(scan.flushed, frame->envelope.flushed);
    scan.end += frame->bytes;
  }
}

}  // namespace

std::string proof_of_flush(Bytes bytes, SegmentId segment, std::uint64_t position) {
  if (mutant(Mutant::kDamageTakenForTornTail)) return "";
  const auto later = evidence_behind(bytes, segment, position);
  const bool flushed_past = later && later->flushed > position;
  const bool too_far = later && later->position - position > kInFlightWindowMax;
  if (flushed_past) return fmt::format("byte {} was flushed after it", later->flushed);
  if (too_far) return fmt::format("an entry stands at byte {}", later->position);
  return "";
}

std::uint64_t content_end(Bytes bytes, std::uint64_t from) {
  std::uint64_t end = bytes.size();
  // Most of a segment that was prepared is zeros: a block at a time.
  constexpr std::array<std::byte, kBlockBytes> kZeros{};
  while (end >= from + kBlockBytes &&
         std::memcmp(bytes.data() + end - kBlockBytes, kZeros.data(), kBlockBytes) == 0) {
    end -= kBlockBytes;
  }
  while (end > from && bytes[end - 1] == std::byte{0}) --end;
  return std::max(end, from);
}

TailScan scan_tail(Bytes bytes, const SegmentRecord& record, GroupIncarnation incarnation) {
  TailScan scan;
  scan.mark = record.before;
  scan.end = kFramesStart;
  scan.flushed = kFramesStart;
  take_frames(scan, bytes, record.id, incarnation);
  scan.content_end = content_end(bytes, scan.end);
  scan.damage = proof_of_flush(bytes, record.id, scan.end);
  return scan;
}

}  // namespace lignum::storage
