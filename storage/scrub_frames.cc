#include "storage/scrub_frames.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "raft/entry.h"
#include "raft/payload.h"
#include "raft/types.h"
#include "storage/byte_order.h"
#include "storage/frame_codec.h"
#include "storage/frame_format.h"
#include "storage/record_batch.h"
#include "storage/scrub_report.h"
#include "storage/tail_scan.h"

namespace lignum::storage {

namespace {

// Empty where the batch is the one that its entry's header describes.
std::string batch_trouble(const EntryHeader& header, Bytes payload) {
  const auto batch = parse_batch_header(payload);
  if (!batch) return batch.error().message();
  if (const auto crc = check_batch_crc(payload, *batch); !crc) return crc.error().message();
  if (base_offset_of(payload) != header.base_offset ||
      batch->record_count != static_cast<std::int64_t>(header.record_count)) {
    return "it holds other offsets than its entry says";
  }
  return "";
}

std::string entry_name(const EntryHeader& header) {
  if (header.kind != EntryKind::kBatch) return fmt::format("entry {}", header.index.value());
  return fmt::format("entry {} (stream {}, shard {}, offsets {} to {})", header.index.value(),
                     header.shard.stream.value(), header.shard.shard.value(),
                     header.base_offset.value(),
                     (header.base_offset + header.record_count).value() - 1);
}

}  // namespace

void FrameWalk::run(std::uint64_t to, std::uint64_t limit, const std::string& meaning) {
  meaning_ = meaning;
  while (ledger_.position() < to) {
    const std::uint64_t at = ledger_.position();
    const auto frame = decode_frame(segment_.file.subspan(at), segment_.record.id, at);
    if (!frame || frame->bytes > limit - at) {
      take_garbage(to);
    } else if (const auto* header = std::get_if<EntryHeader>(&frame->body)) {
      take_entry(*frame, *header);
    } else if (const auto* marker = std::get_if<Marker>(&frame->body)) {
      take_marker(*frame, *marker);
    } else {
      take_skip(*frame, std::get<Skip>(frame->body));
    }
  }
}

void FrameWalk::take_garbage(std::uint64_t to) {
  const std::uint64_t begin = ledger_.position();
  std::uint64_t end = begin + kFrameAlignment;
  while (end < to && (to - end < sizeof(kFrameMagic) ||
                      load_le<std::uint32_t>(segment_.file, end) != kFrameMagic ||
                      !decode_frame(segment_.file.subspan(end), segment_.record.id, end))) {
    end += kFrameAlignment;
  }
  end = std::min(end, to);
  damage(end - begin, fmt::format("no frame checks here; entry {} should follow",
                                  mark_.id.index.next().value()));
  ledger_.use_until(end, ByteUse::kDamaged);
  whole_ = false;
  gap_ = true;
}

void FrameWalk::take_entry(const Frame& frame, const EntryHeader& header) {
  const SegmentRecord& record = segment_.record;
  if (record.sealed && !kept_ && header.index > record.after.id.index) kept_ = mark_;
  ByteUse use = kept_ ? ByteUse::kCutOff : ByteUse::kEntries;
  const Bytes payload =
      segment_.file.subspan(ledger_.position() + frame.payload_at(), header.payload_bytes);
  if (std::string link = broken_link(header); !link.empty()) {
    damage(frame.bytes, std::move(link));
    use = ByteUse::kDamaged;
  } else if (!payload_intact(header, payload)) {
    damage(frame.bytes, entry_name(header) + ": its payload fails its checksum");
    use = ByteUse::kDamaged;
  } else if (header.kind == EntryKind::kBatch) {
    if (const std::string trouble = batch_trouble(header, payload); !trouble.empty()) {
      damage(frame.bytes, entry_name(header) + ": its record batch is damaged: " + trouble);
      use = ByteUse::kDamaged;
    }
  }
  if (!kept_ && header.index > mark_.id.index) {
    index_.add(header, static_cast<std::uint32_t>(ledger_.position()),
               static_cast<std::uint32_t>(frame.bytes));
    ledger_.totals().entries += 1;
    ledger_.totals().records += header.record_count;
  }
  mark_ = {.id = header.id(), .chain = chain_after(header), .append_time = header.append_time};
  gap_ = false;
  use_frame(frame, frame.payload_at() + header.payload_bytes, use);
}

std::string FrameWalk::broken_link(const EntryHeader& header) const {
  if (header.group != segment_.incarnation) {
    return fmt::format("entry {} is one of another group", header.index.value());
  }
  if (gap_ ? header.index > mark_.id.index
           : header.index == mark_.id.index.next() && header.previous_chain == mark_.chain) {
    return "";
  }
  return fmt::format("entry {} does not continue the log after entry {}", header.index.value(),
                     mark_.id.index.value());
}

void FrameWalk::take_marker(const Frame& frame, const Marker& marker) {
  const bool right = marker.group == segment_.incarnation &&
                     (gap_ || (marker.last == mark_.id.index && marker.chain == mark_.chain));
  if (!right) {
    damage(frame.bytes, fmt::format("a marker that tells of entry {} stands after entry {}",
                                    marker.last.value(), mark_.id.index.value()));
  }
  const ByteUse use = kept_ ? ByteUse::kCutOff : ByteUse::kMarkers;
  use_frame(frame, frame.bytes, right ? use : ByteUse::kDamaged);
}

void FrameWalk::take_skip(const Frame& frame, const Skip& skip) {
  const bool right =
      segment_.record.holes && skip.group == segment_.incarnation &&
      (gap_ || (skip.first == mark_.id.index.next() && skip.chain_before == mark_.chain));
  if (!right) {
    damage(frame.bytes,
           fmt::format("a skip of entries {} to {} stands after entry {}", skip.first.value(),
                       skip.last.index.value(), mark_.id.index.value()));
  }
  mark_ = {.id = skip.last, .chain = skip.chain_after, .append_time = skip.append_time};
  gap_ = false;
  use_frame(frame, frame.bytes, right ? ByteUse::kSkips : ByteUse::kDamaged);
}

void FrameWalk::damage(std::uint64_t bytes, std::string what) {
  ledger_.damage(ledger_.position(), bytes, std::move(what), meaning_);
}

void FrameWalk::use_frame(const Frame& frame, std::uint64_t content, ByteUse use) {
  const std::uint64_t end = ledger_.position() + frame.bytes;
  ledger_.use_until(ledger_.position() + content, use);
  if (content_end(segment_.file.first(end), ledger_.position()) == ledger_.position()) {
    ledger_.use_until(end, use);
  } else {
    ledger_.zeros_until(end, ByteUse::kPadding, segment_.file,
                        "no record is touched; the disk changed bytes that nobody reads");
  }
}

}  // namespace lignum::storage
