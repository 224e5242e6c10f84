#include "storage/log_stage.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include "raft/check.h"
#include "raft/entry.h"
#include "raft/error.h"
#include "raft/types.h"
#include "storage/aligned_buffer.h"
#include "storage/file.h"
#include "storage/frame_codec.h"
#include "storage/frame_format.h"
#include "storage/kept_entries.h"
#include "storage/log.h"
#include "storage/log_mark.h"
#include "storage/manifest.h"
#include "storage/segment_header.h"
#include "storage/segment_index.h"

namespace lignum::storage {

namespace {

// Stays free beside a segment: live data needs room, too.
constexpr std::uint64_t kFreeBytesMin = std::uint64_t{16} << 20;

}  // namespace

Envelope LogStage::envelope(FrameKind kind, std::uint64_t position) const {
  return {.kind = kind,
          .node = parts_.node,
          .segment = record_.id,
          .position = position,
          .truncation = 0,
          .flushed = 0};
}

Result<void> LogStage::add(std::span<const KeptItem> items) {
  if (file_ && full()) TRY(seal_segment());
  if (!file_) TRY(open_segment());
  std::vector<std::byte> frames;
  for (const KeptItem& item : items) TRY(put(item, frames));
  TRY(file_->write_at(position_, frames));
  position_ += frames.size();
  return {};
}

Result<void> LogStage::put(const KeptItem& item, std::vector<std::byte>& frames) {
  const std::uint64_t position = position_ + frames.size();
  const auto grow = [&frames](std::size_t bytes) {
    frames.resize(frames.size() + bytes);
    return std::span(frames).last(bytes);
  };
  const auto refuse = [](Index index, const char* what) {
    return fail(Errc::kCorrupt, fmt::format("entry {} of a snapshot {}", index.value(), what));
  };
  if (item.skip_to) {
    const LogMark& to = *item.skip_to;
    if (to.id.index <= mark_.id.index || to.id.term < mark_.id.term ||
        to.append_time < mark_.append_time) {
      return refuse(to.id.index, "ends a hole that leads backwards");
    }
    encode_skip(envelope(FrameKind::kSkip, position),
                {.group = parts_.incarnation,
                 .first = mark_.id.index.next(),
                 .last = to.id,
                 .chain_before = mark_.chain,
                 .chain_after = to.chain,
                 .append_time = to.append_time},
                grow(frame_bytes(kSkipBytes, 0)));
    record_.holes = true;
    mark_ = to;
    return {};
  }
  const EntryHeader& header = item.entry.header;
  if (header.group != parts_.incarnation || header.index != mark_.id.index.next() ||
      header.term < mark_.id.term || header.append_time <= mark_.append_time ||
      header.previous_chain != mark_.chain) {
    return refuse(header.index, "does not continue the chain of those before it");
  }
  if (header.payload_bytes != item.entry.payload.size() ||
      !payload_intact(header, item.entry.payload.bytes())) {
    return refuse(header.index, "fails its checksum");
  }
  const std::size_t bytes = frame_bytes(kEntryHeaderBytes, item.entry.payload.size());
  encode_entry(envelope(FrameKind::kEntry, position), item.entry, grow(bytes));
  index_.add(header, static_cast<std::uint32_t>(position), static_cast<std::uint32_t>(bytes));
  mark_ = mark_after(header);
  return {};
}

Result<void> LogStage::open_segment() {
  CHECK(number_.has_value());
  TRY_ASSIGN(free, parts_.directory.free_bytes());
  if (free < parts_.segment_bytes + kFreeBytesMin) {
    return fail(Errc::kNoSpace,
                fmt::format("{}: {} bytes are free; a segment of a snapshot, of {}, "
                            "must leave {}",
                            parts_.directory.path(), free, parts_.segment_bytes, kFreeBytesMin));
  }
  record_ = {.id = *number_, .before = mark_};
  number_.reset();
  index_ = {};
  closed_ = false;
  position_ = kFramesStart;
  TRY_ASSIGN(file, parts_.directory.open(segment_file_name(record_.id), OpenMode::kCreate));
  file_ = std::move(file);
  const AlignedBuffer header = encode_segment_header({.group = parts_.group,
                                                      .incarnation = parts_.incarnation,
                                                      .segment = record_.id,
                                                      .node = parts_.node});
  return file_->write_at(0, header.bytes());
}

Result<void> LogStage::seal_segment() {
  const std::vector<std::byte> footer = index_.encode(parts_.incarnation, record_.id);
  record_.sealed = true;
  record_.after = mark_;
  record_.frames_end = position_;
  record_.footer_at = round_up_to_block(position_);
  record_.footer_bytes = footer.size();
  AlignedBuffer block(footer.size());
  std::ranges::copy(footer, block.span().begin());
  record_.file_bytes = record_.footer_at + block.size();
  TRY(file_->write_at(record_.footer_at, block.bytes()));
  TRY(file_->sync());
  file_.reset();
  records_.push_back(record_);
  return {};
}

Result<void> LogStage::finish() {
  if (file_) TRY(seal_segment());
  return parts_.directory.sync();
}

void LogStage::discard() {
  const bool open = std::exchange(file_, nullptr) != nullptr;
  if (open) (void)parts_.directory.remove(segment_file_name(record_.id));
  for (const SegmentRecord& record : std::exchange(records_, {})) {
    (void)parts_.directory.remove(segment_file_name(record.id));
  }
}

}  // namespace lignum::storage
