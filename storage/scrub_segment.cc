#include "storage/scrub_segment.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <string>

#include "raft/payload.h"
#include "raft/types.h"
#include "storage/file.h"
#include "storage/frame_format.h"
#include "storage/manifest.h"
#include "storage/scrub_frames.h"
#include "storage/scrub_report.h"
#include "storage/segment_header.h"
#include "storage/segment_index.h"
#include "storage/tail_scan.h"

namespace lignum::storage {

namespace {

constexpr const char* kGroupHalts = "the group is halted at the next start; nothing is changed";
constexpr const char* kReadsFail =
    "reads fail at these records and name this place, the first halts the group; the rest is "
    "served";
constexpr const char* kNobodyReads =
    "no record is touched; the disk changed bytes that nobody reads";

// The header block in the ledger; `unreadable` goes with one that fails its checksum.
void check_header(ScrubLedger& ledger, const ScrubbedGroup& group, const SegmentRecord& record,
                  Bytes file, const char* unreadable) {
  const auto header = decode_segment_header(file.first(kBlockBytes));
  const NodeIncarnation found = header ? header->node : NodeIncarnation();
  const SegmentHeader ours{.group = group.group,
                           .incarnation = group.incarnation,
                           .segment = record.id,
                           .node = group.node.value_or(found)};
  const bool right = header && *header == ours;
  if (!header) {
    ledger.damage(0, kBlockBytes, "the header block does not check", unreadable);
  } else if (!right) {
    ledger.damage(
        0, kBlockBytes,
        fmt::format("this is segment {:016x} of group {} of incarnation {:x} of node incarnation "
                    "{:x}: was a file copied here?",
                    header->segment.value(), header->group.value(), header->incarnation.value(),
                    header->node.value()),
        kGroupHalts);
  }
  ledger.use_until(kFramesStart, right ? ByteUse::kHeader : ByteUse::kDamaged);
}

// False where the file is too short to hold a frame.
bool check_length(ScrubLedger& ledger, const SegmentRecord& record, Bytes file) {
  const std::uint64_t wanted = std::max<std::uint64_t>(record.file_bytes, kFramesStart);
  if (file.size() < wanted) {
    ledger.damage(file.size(), 0, fmt::format("the file ends here; it was {} bytes long", wanted),
                  kGroupHalts);
  }
  if (file.size() >= kFramesStart) return true;
  ledger.use_until(file.size(), ByteUse::kDamaged);
  return false;
}

void check_footer(ScrubLedger& ledger, const ScrubbedGroup& group, const SegmentRecord& record,
                  Bytes file, const FrameWalk& walk) {
  const std::uint64_t begin = ledger.position();
  const std::uint64_t end = std::min<std::uint64_t>(begin + record.footer_bytes, file.size());
  const Bytes footer = file.subspan(begin, end - begin);
  auto index = SegmentIndex::decode(footer, group.incarnation, record.id);
  std::string trouble;
  if (!index) {
    trouble = "the footer fails its checksum";
  } else if (walk.whole()) {
    // It may have been written before a truncation cut the segment.
    index->truncate_after(record.after.id.index);
    if (!std::ranges::equal(walk.index().encode(group.incarnation, record.id),
                            index->encode(group.incarnation, record.id))) {
      trouble = "the footer tells of other entries than the segment holds";
    }
  }
  if (!trouble.empty()) ledger.damage(begin, end - begin, trouble, kGroupHalts);
  ledger.use_until(end, trouble.empty() ? ByteUse::kFooter : ByteUse::kDamaged);
}

}  // namespace

LogMark scrub_sealed_segment(ScrubLedger& ledger, const ScrubbedGroup& group,
                             const SegmentRecord& record, Bytes file) {
  if (!check_length(ledger, record, file)) return record.after;
  check_header(ledger, group, record, file, "no record is touched: nothing is read from it");
  const std::uint64_t frames_end =
      std::clamp<std::uint64_t>(record.frames_end, kFramesStart, file.size());
  const FrameWalk::Segment segment{
      .record = record, .incarnation = group.incarnation, .file = file};
  FrameWalk walk(ledger, segment);
  walk.run(frames_end, frames_end, kReadsFail);
  if (walk.whole() && walk.mark() != record.after) {
    ledger.damage(frames_end, 0,
                  fmt::format("the entries end with {}, and the manifest says {}",
                              walk.mark().id.index.value(), record.after.id.index.value()),
                  kReadsFail);
  }
  const std::uint64_t footer_at =
      std::clamp<std::uint64_t>(record.footer_at, frames_end, file.size());
  // Frames that a truncation took back lie there still.
  if (record.cut) walk.run(content_end(file.first(footer_at), frames_end), footer_at, kNobodyReads);
  ledger.zeros_until(footer_at, ByteUse::kPadding, file, kNobodyReads);
  check_footer(ledger, group, record, file, walk);
  ledger.zeros_until(file.size(), ByteUse::kZeroTail, file, kNobodyReads);
  return record.after;
}

LogMark scrub_active_segment(ScrubLedger& ledger, const ScrubbedGroup& group,
                             const SegmentRecord& record, Bytes file) {
  if (!check_length(ledger, record, file)) return record.before;
  const TailScan scan = scan_tail(file, record, group.incarnation);
  const bool blank = content_end(file.first(kBlockBytes), 0) == 0;
  if (blank && scan.damage.empty() && scan.flushed == kFramesStart) {
    // Rolled into, and a crash came before the first flush.
    if (content_end(file, 0) != 0) {
      ledger.find({.kind = FindingKind::kTorn,
                   .path = ledger.path(),
                   .byte = 0,
                   .bytes = kBlockBytes,
                   .what = "the header block was not written any more",
                   .meaning = "the next start writes it; no record is touched"});
    }
    ledger.use_until(kFramesStart, ByteUse::kZeroTail);
  } else {
    check_header(ledger, group, record, file,
                 "the next start writes it anew; no record is touched");
  }
  const FrameWalk::Segment segment{
      .record = record, .incarnation = group.incarnation, .file = file};
  FrameWalk walk(ledger, segment);
  walk.run(scan.end, file.size(), kGroupHalts);
  if (scan.torn()) {
    ledger.find(
        {.kind = FindingKind::kTorn,
         .path = ledger.path(),
         .byte = scan.end,
         .bytes = scan.content_end - scan.end,
         .what = fmt::format("a write that was cut short, of entry {} and what came after",
                             scan.mark.id.index.next().value()),
         .meaning = "never acknowledged, as far as the bytes tell; the next start cuts it"});
    ledger.use_until(scan.content_end, ByteUse::kTorn);
  } else if (!scan.damage.empty()) {
    walk.run(scan.content_end, file.size(),
             fmt::format("no torn write, for {}: {}", scan.damage, kGroupHalts));
  }
  ledger.zeros_until(file.size(), ByteUse::kZeroTail, file, kNobodyReads);
  return walk.mark();
}

}  // namespace lignum::storage
