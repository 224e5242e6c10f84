// How SegmentedLog takes entries back: by the manifest, never by writing over them (rule B3).

#include <algorithm>
#include <iterator>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "raft/check.h"
#include "raft/entry.h"
#include "raft/mutant.h"
#include "raft/types.h"
#include "storage/file.h"
#include "storage/frame_codec.h"
#include "storage/log_flush.h"
#include "storage/manifest.h"
#include "storage/segment.h"
#include "storage/segment_index.h"
#include "storage/segmented_log.h"

namespace lignum::storage {

namespace {

// The first entry above `last`.
std::vector<IndexEntry>::const_iterator first_above(const SegmentIndex& index, Index last) {
  return std::upper_bound(
      index.entries().begin(), index.entries().end(), last,
      [](Index wanted, const IndexEntry& entry) { return wanted < entry.index; });
}

}  // namespace

SegmentedLog::Cut SegmentedLog::cut_point(const Segment& segment, const SegmentIndex& index,
                                          Index last_kept) {
  const auto gone = first_above(index, last_kept);
  CHECK(gone != index.entries().begin() && gone != index.entries().end());
  const IndexEntry& kept = *std::prev(gone);
  CHECK(kept.index == last_kept);
  const Location place{.position = kept.position, .bytes = kept.bytes};
  const auto entry = segment.read_sound({&place, 1}, 1);
  if (!entry) stop_for_failed_disk(entry.error().describe());
  const EntryHeader& header = entry->front().header;
  return {
      .mark = {.id = header.id(), .chain = chain_after(header), .append_time = header.append_time},
      .frames_end = gone->position};
}

SegmentRecord SegmentedLog::cut_sealed(SegmentPtr& segment, Index last_kept) {
  const auto index = index_of(segment);
  if (index == nullptr) stop_for_failed_disk(segment->path() + ": the footer cannot be read");
  const Cut cut = cut_point(*segment, *index, last_kept);
  SegmentRecord record = segment->record();
  record.after = cut.mark;
  record.frames_end = cut.frames_end;
  record.cut = true;
  // Readers still hold the segment as it was.
  auto reader = directory_.open(segment_file_name(record.id), OpenMode::kRead);
  if (!reader) stop_for_failed_disk(segment->path() + ": cannot be opened");
  auto shorter = std::make_shared<Segment>(record, std::move(*reader), segment->path());
  auto kept = std::make_shared<SegmentIndex>(*index);
  kept->truncate_after(last_kept);
  shorter->seal(record, std::move(kept));
  staged_->sealed.push_back(shorter);
  segment = std::move(shorter);
  mark_ = cut.mark;
  return record;
}

SegmentRecord SegmentedLog::cut_active(Index last_kept) {
  const Cut cut = cut_point(*segments_.back(), active_index_, last_kept);
  active_index_.truncate_after(last_kept);
  mark_ = cut.mark;
  return seal_active(cut.frames_end);
}

void SegmentedLog::truncate_after(Index last_kept) {
  CHECK(last_kept <= mark_.id.index);
  if (last_kept == mark_.id.index) return;
  CHECK(flushes_out_ == 0 && staged_ == nullptr && !writer_->dirty());
  CHECK(last_kept.next() >= first_index());
  staged_ = std::make_unique<Flush>(directory_, manifest_);
  if (!mutant(Mutant::kCacheSurvivesTruncation)) cache_.clear();
  durable_ = std::min(durable_, last_kept);
  ++truncation_;
  // From here on nothing is kept.
  const auto gone = std::partition_point(segments_.begin(), segments_.end(),
                                         [last_kept](const SegmentPtr& segment) {
                                           return segment->record().before.id.index < last_kept;
                                         });
  std::optional<SegmentRecord> cut;
  std::vector<SegmentId> dropped;
  if (gone == segments_.end()) {
    cut = cut_active(last_kept);
  } else {
    const LogMark end = (*gone)->record().before;
    for (auto at = gone; at != segments_.end(); ++at) dropped.push_back((*at)->id());
    segments_.erase(gone, segments_.end());
    active_index_ = {};
    if (end.id.index == last_kept) {
      mark_ = end;
    } else {
      cut = cut_sealed(segments_.back(), last_kept);
    }
  }
  begin_segment([cut, dropped, truncation = truncation_](Manifest& manifest) {
    manifest.truncation = truncation;
    std::erase_if(manifest.segments, [&dropped](const SegmentRecord& record) {
      return std::find(dropped.begin(), dropped.end(), record.id) != dropped.end();
    });
    for (SegmentRecord& listed : manifest.segments) {
      const bool told = !mutant(Mutant::kTruncationNotRecorded);
      if (cut && told && listed.id == cut->id) listed = *cut;
    }
  });
  for (const SegmentId id : dropped) staged_->remove(segment_file_name(id));
}

}  // namespace lignum::storage
