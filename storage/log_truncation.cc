// How SegmentedLog forgets its newest entries (rule B3): nothing is overwritten; the manifest says
// where the log ends, and what replaces them goes to a new segment.

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <memory>
#include <utility>
#include <vector>

#include "raft/check.h"
#include "raft/error.h"
#include "raft/types.h"
#include "storage/file.h"
#include "storage/frame_codec.h"
#include "storage/log_flush.h"
#include "storage/manifest.h"
#include "storage/segment.h"
#include "storage/segment_index.h"
#include "storage/segmented_log.h"

namespace lignum::storage {

LogMark SegmentedLog::mark_at(Index index) const {
  for (const SegmentPtr& segment : segments_) {
    if (segment->record().before.id.index == index) return segment->record().before;
  }
  if (index > durable_) {
    CHECK(!unflushed_.empty() && unflushed_.front().id.index <= index);
    return unflushed_[index - unflushed_.front().id.index];
  }
  // Rare: a leader lost its office with entries that were flushed here only.
  const auto after =
      std::partition_point(segments_.begin(), segments_.end(), [index](const SegmentPtr& segment) {
        return segment->record().before.id.index < index;
      });
  CHECK(after != segments_.begin());
  const SegmentPtr& segment = *std::prev(after);
  const auto sealed = segment->record().sealed ? index_of(segment) : nullptr;
  if (segment->record().sealed && sealed == nullptr) {
    stop_for_failed_disk(segment->path() + ": its footer cannot be read");
  }
  const std::vector<IndexEntry>& entries =
      sealed != nullptr ? sealed->entries() : active_index_.entries();
  const auto at = std::lower_bound(
      entries.begin(), entries.end(), index,
      [](const IndexEntry& entry, Index wanted) { return entry.index < wanted; });
  CHECK(at != entries.end() && at->index == index);
  const auto read = segment->read({{.position = at->position, .bytes = at->bytes}}, 1);
  if (!read) stop_for_failed_disk(read.error().describe());
  const EntryHeader& header = read->front().header;
  return {.id = header.id(), .chain = chain_after(header), .append_time = header.append_time};
}

SegmentRecord SegmentedLog::cut_sealed(SegmentPtr& segment, const LogMark& end) {
  SegmentRecord record = segment->record();
  record.after = end;
  const auto whole = index_of(segment);
  auto reader = directory_.open(segment_file_name(record.id), OpenMode::kRead);
  if (whole == nullptr || !reader) stop_for_failed_disk(segment->path() + ": cannot be read");
  SegmentIndex index = *whole;
  index.truncate_after(end.id.index);
  // Another object: plans that were made before go on reading from the one they hold.
  auto cut = std::make_shared<Segment>(record, std::move(*reader), segment->path());
  cut->seal(record, std::make_shared<const SegmentIndex>(std::move(index)));
  staged_->sealed.push_back(cut);
  segment = std::move(cut);
  return record;
}

void SegmentedLog::truncate_after(Index last_kept) {
  CHECK(last_kept <= mark_.id.index);
  if (last_kept == mark_.id.index) return;
  CHECK(last_kept.next() >= first_index());
  const LogMark end = mark_at(last_kept);
  cache_.clear();
  while (!unflushed_.empty() && unflushed_.back().id.index > last_kept) unflushed_.pop_back();
  durable_ = std::min(durable_, last_kept);
  // A job that is out still makes them durable; they count no more.
  durable_after_flush_ = std::min(durable_after_flush_, last_kept);
  ++truncation_;
  mark_ = end;
  if (staged_ == nullptr) staged_ = std::make_unique<Flush>(directory_, manifest_);

  // The last segment of which something stays; the frames behind its end stay too, unread.
  const auto last = std::prev(std::find_if(
      std::next(segments_.begin()), segments_.end(), [last_kept](const SegmentPtr& segment) {
        return segment->record().before.id.index > last_kept;
      }));
  std::vector<SegmentId> dropped;
  for (auto at = std::next(last); at != segments_.end(); ++at) dropped.push_back((*at)->id());
  segments_.erase(std::next(last), segments_.end());
  SegmentRecord record;
  if (dropped.empty()) {
    active_index_.truncate_after(last_kept);
    record = seal_active();
  } else {
    active_index_ = {};
    record = cut_sealed(segments_.back(), end);
  }
  begin_segment([record, dropped, truncation = truncation_](Manifest& manifest) {
    std::erase_if(manifest.segments, [&](const SegmentRecord& listed) {
      return std::find(dropped.begin(), dropped.end(), listed.id) != dropped.end();
    });
    for (SegmentRecord& listed : manifest.segments) {
      if (listed.id == record.id) listed = record;
    }
    manifest.truncation = truncation;
  });
  for (const SegmentId id : dropped) staged_->remove(segment_file_name(id));
}

}  // namespace lignum::storage
