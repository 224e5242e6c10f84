// How SegmentedLog gives its kept entries to another replica, and takes over a staged log: by the
// manifest, like a truncation.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "raft/check.h"
#include "raft/error.h"
#include "raft/types.h"
#include "storage/aligned_buffer.h"
#include "storage/file.h"
#include "storage/frame_format.h"
#include "storage/kept_entries.h"
#include "storage/log.h"
#include "storage/log_mark.h"
#include "storage/log_stage.h"
#include "storage/manifest.h"
#include "storage/segment.h"
#include "storage/segment_header.h"
#include "storage/segment_index.h"
#include "storage/segment_writer.h"
#include "storage/segmented_log.h"

namespace lignum::storage {

namespace {

bool stays(const SegmentRecord& record, Index after) {
  return record.sealed && record.after.id.index <= after;
}

}  // namespace

// Makes the new active segment, switches the manifest, removes what is listed no more.
class SegmentedLog::Restore final : public FlushJob {
 public:
  Restore(Directory& directory, std::shared_ptr<ManifestFile> manifest,
          std::unique_ptr<LogStage> staged)
      : directory_(directory), manifest_(std::move(manifest)), stage(std::move(staged)) {}

  Result<void> run() override {
    TRY(make_active());
    for (const SegmentRecord& record : stage->records()) {
      const std::string name = segment_file_name(record.id);
      TRY_ASSIGN(reader, directory_.open(name, OpenMode::kRead));
      auto segment =
          std::make_shared<Segment>(SegmentOwner{.group = header.incarnation, .node = header.node},
                                    record, std::move(reader), directory_.path() + "/" + name);
      TRY_ASSIGN(index, segment->load_index());
      segment->seal(record, index);
      segment->release_index();
      segments.push_back(std::move(segment));
    }
    // The switch.
    TRY(manifest_->edit([this](Manifest& manifest) {
      std::erase_if(manifest.segments, [this](const SegmentRecord& record) {
        return !stays(record, stage->after().id.index);
      });
      manifest.segments.insert(manifest.segments.end(), stage->records().begin(),
                               stage->records().end());
      manifest.segments.push_back(active);
      manifest.truncation = truncation;
      manifest.next_segment = std::max(manifest.next_segment, next_segment);
    }));
    // What cannot be removed now is debris at the next boot.
    for (const SegmentId id : dropped) (void)directory_.remove(segment_file_name(id));
    return {};
  }

 private:
  Result<void> make_active() {
    TRY(directory_.open(segment_file_name(active.id), OpenMode::kCreate));
    TRY_ASSIGN(made, open_segment_files(directory_, active.id));
    files = std::move(made);
    AlignedBuffer bytes(active.file_bytes);
    const AlignedBuffer block = encode_segment_header(header);
    std::ranges::copy(block.bytes(), bytes.span().begin());
    TRY(files.writer->write_at(0, bytes.bytes()));
    TRY(files.writer->sync());
    return directory_.sync();
  }

  Directory& directory_;
  std::shared_ptr<ManifestFile> manifest_;

 public:
  std::unique_ptr<LogStage> stage;
  SegmentHeader header;
  SegmentRecord active;
  std::uint64_t truncation = 0;
  SegmentId next_segment;
  std::vector<SegmentId> dropped;
  // Made by run().
  std::vector<SegmentPtr> segments;
  SegmentFiles files;
};

std::vector<LogMark> SegmentedLog::boundaries(std::size_t count_max) const {
  std::vector<LogMark> marks;
  for (auto at = segments_.rbegin(); at != segments_.rend() && marks.size() < count_max; ++at) {
    const bool listed = (*at)->record().sealed && !(*at)->index_resident();
    if (listed) marks.push_back((*at)->record().after);
  }
  return marks;
}

MarkSearch SegmentedLog::find_mark(std::vector<LogMark> known) {
  KeptSource source = kept_source();
  for (const LogMark& mark : known) {
    const auto at =
        std::ranges::lower_bound(active_index_.entries(), mark.id.index, {}, &IndexEntry::index);
    const bool here = at != active_index_.entries().end() && at->index == mark.id.index;
    if (here && mark.id.index <= durable_) {
      source.candidates.emplace_back(mark, Location{.position = at->position, .bytes = at->bytes});
    }
  }
  return [source = std::move(source), known = std::move(known)] {
    return find_known_mark(source, known);
  };
}

KeptRead SegmentedLog::read_kept(Index after, Index to, std::size_t bytes_max) {
  CHECK(after < to);
  CHECK(to <= durable_);
  KeptSource source = kept_source();
  std::size_t bytes = 0;
  const Index from = std::max(after, source.active_before.id.index).next();
  auto at = std::ranges::lower_bound(active_index_.entries(), from, {}, &IndexEntry::index);
  for (; at != active_index_.entries().end() && at->index <= to && bytes < bytes_max; ++at) {
    bytes += at->bytes;
    source.found.push_back({.position = at->position, .bytes = at->bytes});
  }
  return [source = std::move(source), after, to, bytes_max] {
    return read_kept_items(source, after, to, bytes_max);
  };
}

KeptSource SegmentedLog::kept_source() const {
  KeptSource source{.sealed = segments_,
                    .active = segments_.back(),
                    .active_before = segments_.back()->record().before,
                    .found = {},
                    .candidates = {},
                    .footers = footers_};
  source.sealed.pop_back();
  return source;
}

std::unique_ptr<LogStage> SegmentedLog::begin_stage(const LogMark& after) {
  return std::make_unique<LogStage>(LogStage::Parts{.directory = directory_,
                                                    .group = options_.group,
                                                    .incarnation = options_.incarnation,
                                                    .node = options_.node,
                                                    .segment_bytes = options_.segment_bytes_max},
                                    after);
}

void SegmentedLog::extend(LogStage& stage) {
  if (!stage.needs_segment()) return;
  stage.give_segment(next_segment_);
  next_segment_ = SegmentId(next_segment_.value() + 1);
}

std::unique_ptr<FlushJob> SegmentedLog::take_restore(std::unique_ptr<LogStage> stage) {
  CHECK(flushes_out_ == 0);
  CHECK(staged_ == nullptr);
  CHECK(!writer_->dirty());
  CHECK(!clean_out_);
  const Index after = stage->after().id.index;
  const SegmentId number = next_segment_;
  next_segment_ = SegmentId(next_segment_.value() + 1);
  auto job = std::make_unique<Restore>(directory_, manifest_, std::move(stage));
  job->header = {.group = options_.group,
                 .incarnation = options_.incarnation,
                 .segment = number,
                 .node = options_.node};
  job->active = {
      .id = number, .before = job->stage->mark(), .file_bytes = options_.segment_bytes_min};
  job->truncation = truncation_ + 1;
  job->next_segment = next_segment_;
  for (const SegmentPtr& segment : segments_) {
    if (!stays(segment->record(), after)) job->dropped.push_back(segment->id());
  }
  ++flushes_out_;
  if (preparing_) preparing_->on_flush_taken();
  return job;
}

void SegmentedLog::complete_restore(std::unique_ptr<FlushJob> job) {
  CHECK(flushes_out_ == 1);
  --flushes_out_;
  auto& restore = dynamic_cast<Restore&>(*job);
  std::erase_if(segments_, [&](const SegmentPtr& segment) {
    return !stays(segment->record(), restore.stage->after().id.index);
  });
  segments_.insert(segments_.end(), restore.segments.begin(), restore.segments.end());
  segments_.push_back(
      std::make_shared<Segment>(options_.owner(), restore.active, std::move(restore.files.reader),
                                directory_.path() + "/" + segment_file_name(restore.active.id)));
  writer_ = std::make_unique<SegmentWriter>(std::move(restore.files.writer), kFramesStart, Bytes());
  active_index_ = {};
  cache_.clear();
  capacity_ = restore.active.file_bytes;
  flushed_end_ = kFramesStart;
  marked_end_ = 0;
  truncation_ = restore.truncation;
  mark_ = restore.stage->mark();
  durable_ = mark_.id.index;
  if (const auto preparation = preparing_) {
    preparation->on_flushed(flush_bytes_, active_room(kSegmentReserve), false);
  }
}

}  // namespace lignum::storage
