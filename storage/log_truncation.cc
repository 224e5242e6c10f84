// How SegmentedLog takes entries back: by the manifest, never by writing over them (rule B3).

#include <algorithm>
#include <iterator>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "raft/check.h"
#include "raft/entry.h"
#include "raft/error.h"
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

Result<SegmentedLog::Cut> SegmentedLog::cut_point(const Segment& segment, const SegmentIndex& index,
                                                  Index last_kept) {
  const auto gone = first_above(index, last_kept);
  CHECK(gone != index.entries().begin());
  CHECK(gone != index.entries().end());
  const IndexEntry& kept = *std::prev(gone);
  CHECK(kept.index == last_kept);
  const Location place{.position = kept.position, .bytes = kept.bytes};
  TRY_ASSIGN(entry, segment.read_sound({&place, 1}, 1));
  const EntryHeader& header = entry.front().header;
  return Cut{
      .mark = {.id = header.id(), .chain = chain_after(header), .append_time = header.append_time},
      .frames_end = gone->position};
}

Result<SegmentedLog::Cut> SegmentedLog::sealed_cut_point(const SegmentPtr& segment,
                                                         Index last_kept) const {
  TRY_ASSIGN(index, footers_->get(*segment));
  TRY_ASSIGN(cut, cut_point(*segment, *index, last_kept));
  // Readers still hold the segment as it is.
  TRY_ASSIGN(reader, directory_.open(segment_file_name(segment->id()), OpenMode::kRead));
  cut.reader = std::move(reader);
  cut.index = std::make_shared<SegmentIndex>(*index);
  cut.index->truncate_after(last_kept);
  return cut;
}

SegmentRecord SegmentedLog::cut_sealed(SegmentPtr& segment, Cut cut) {
  SegmentRecord record = segment->record();
  record.after = cut.mark;
  record.frames_end = cut.frames_end;
  record.cut = true;
  auto shorter =
      std::make_shared<Segment>(segment->owner(), record, std::move(cut.reader), segment->path());
  shorter->seal(record, std::move(cut.index));
  staged_->sealed.push_back(shorter);
  segment = std::move(shorter);
  mark_ = cut.mark;
  return record;
}

SegmentRecord SegmentedLog::cut_active(const Cut& cut) {
  active_index_.truncate_after(cut.mark.id.index);
  mark_ = cut.mark;
  return seal_active(cut.frames_end);
}

Result<void> SegmentedLog::truncate_after(Index last_kept) {
  CHECK(last_kept <= mark_.id.index);
  if (last_kept == mark_.id.index) return {};
  CHECK(flushes_out_ == 0);
  CHECK(staged_ == nullptr);
  CHECK(!writer_->dirty());
  CHECK(last_kept.next() >= first_index());
  // From here on nothing is kept.
  const auto gone = std::partition_point(segments_.begin(), segments_.end(),
                                         [last_kept](const SegmentPtr& segment) {
                                           return segment->record().before.id.index < last_kept;
                                         });
  const bool in_active = gone == segments_.end();
  const bool in_sealed = !in_active && (*gone)->record().before.id.index != last_kept;
  Cut point;
  if (in_active || in_sealed) {
    TRY_ASSIGN(found, in_active ? cut_point(*segments_.back(), active_index_, last_kept)
                                : sealed_cut_point(*std::prev(gone), last_kept));
    point = std::move(found);
  }
  staged_ = std::make_unique<Flush>(directory_, manifest_);
  if (!mutant(Mutant::kCacheSurvivesTruncation)) cache_.clear();
  durable_ = std::min(durable_, last_kept);
  ++truncation_;
  std::optional<SegmentRecord> cut;
  std::vector<SegmentId> dropped;
  if (in_active) {
    cut = cut_active(point);
  } else {
    const LogMark end = (*gone)->record().before;
    for (auto at = gone; at != segments_.end(); ++at) dropped.push_back((*at)->id());
    segments_.erase(gone, segments_.end());
    active_index_ = {};
    if (in_sealed) {
      cut = cut_sealed(segments_.back(), std::move(point));
    } else {
      mark_ = end;
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
  return {};
}

}  // namespace lignum::storage
