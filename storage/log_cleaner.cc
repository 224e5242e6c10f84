// What SegmentedLog keeps, what it frees, and the cleaner that rewrites (rule E).

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "raft/buggify.h"
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
#include "storage/manifest.h"
#include "storage/segment.h"
#include "storage/segment_header.h"
#include "storage/segment_index.h"
#include "storage/segmented_log.h"

namespace lignum::storage {

namespace {

// A segment to free, or to replace by a copy of what is alive in it.
struct Target {
  SegmentPtr segment;
  // Of the copy; none: nothing is alive.
  std::optional<SegmentId> copy;
};

// Reads the alive entries of one segment and writes the copy.
class Copier {
 public:
  Copier(const Segment& source, SegmentId id, const std::map<ShardKey, Offset>& starts,
         NodeIncarnation node)
      : source_(source), id_(id), starts_(starts), node_(node) {}

  Result<void> gather() {
    TRY_ASSIGN(index, source_.load_index());
    source_index_ = std::move(index);
    std::vector<Location> alive;
    for (const auto& [key, batches] : source_index_->shards()) {
      const auto start = starts_.find(key);
      for (const ShardEntry& batch : batches) {
        if (start != starts_.end() && batch.base + batch.count <= start->second) continue;
        alive.push_back({.position = batch.position, .bytes = batch.bytes});
      }
    }
    std::sort(alive.begin(), alive.end(),
              [](const Location& a, const Location& b) { return a.position < b.position; });
    mark_ = source_.record().before;
    for (const Location& at : alive) {
      TRY_ASSIGN(entries, source_.read_sound({&at, 1}, at.bytes));
      TRY(add(entries.front()));
    }
    if (mark_.id.index < source_.record().after.id.index) {
      skip_to(source_.record().after);
    }
    return {};
  }

  [[nodiscard]] SegmentRecord record() const {
    SegmentRecord record = source_.record();
    record.id = id_;
    record.holes = true;
    record.cut = false;
    record.frames_end = kFramesStart + frames_.size();
    record.footer_at = round_up_to_block(record.frames_end);
    record.footer_bytes = index_.encoded_bytes();
    record.file_bytes = record.footer_at + round_up_to_block(record.footer_bytes);
    return record;
  }
  [[nodiscard]] const SegmentIndex& index() const { return index_; }

  Result<void> write(Directory& directory, const SegmentHeader& header) const {
    const SegmentRecord record = this->record();
    const std::string name = segment_file_name(id_);
    TRY_ASSIGN(file, directory.open(name, OpenMode::kCreate));
    TRY(file->write_at(0, encode_segment_header(header).bytes()));
    TRY(file->write_at(kFramesStart, frames_));
    AlignedBuffer footer(record.footer_bytes);
    const auto bytes = index_.encode(source_.owner().group, id_);
    std::copy(bytes.begin(), bytes.end(), footer.span().begin());
    TRY(file->write_at(record.footer_at, footer.bytes()));
    TRY(file->sync());
    return directory.sync();
  }

 private:
  [[nodiscard]] Envelope envelope(FrameKind kind) const {
    return {.kind = kind,
            .node = node_,
            .segment = id_,
            .position = kFramesStart + frames_.size(),
            .truncation = 0,
            .flushed = 0};
  }

  std::span<std::byte> grow(std::size_t bytes) {
    frames_.resize(frames_.size() + bytes);
    return std::span(frames_).last(bytes);
  }

  void skip_to(const LogMark& to) {
    const Envelope local = envelope(FrameKind::kSkip);
    encode_skip(local,
                {.group = source_.owner().group,
                 .first = mark_.id.index.next(),
                 .last = to.id,
                 .chain_before = mark_.chain,
                 .chain_after = to.chain,
                 .append_time = to.append_time},
                grow(frame_bytes(kSkipBytes, 0)));
    mark_ = to;
  }

  Result<void> add(const Entry& entry) {
    const EntryHeader& header = entry.header;
    if (mark_.id.index.next() != header.index) {
      TRY_ASSIGN(before, mark_before(source_, *source_index_, header));
      skip_to(before);
    }
    const Envelope local = envelope(FrameKind::kEntry);
    const std::size_t bytes = frame_bytes(kEntryHeaderBytes, entry.payload.size());
    encode_entry(local, entry, grow(bytes));
    index_.add(header, static_cast<std::uint32_t>(local.position),
               static_cast<std::uint32_t>(bytes));
    mark_ = mark_after(header);
    return {};
  }

  const Segment& source_;
  SegmentId id_;
  const std::map<ShardKey, Offset>& starts_;
  NodeIncarnation node_;
  std::shared_ptr<const SegmentIndex> source_index_;
  LogMark mark_;
  std::vector<std::byte> frames_;
  SegmentIndex index_;
};

class CleanJob final : public FlushJob {
 public:
  CleanJob(Directory& directory, std::shared_ptr<ManifestFile> manifest, SegmentHeader header,
           std::map<ShardKey, Offset> starts)
      : directory_(directory),
        manifest_(std::move(manifest)),
        header_(header),
        starts_(std::move(starts)) {}

  std::vector<Target> targets;
  // By the id of what it replaces; filled in by run().
  std::map<SegmentId, SegmentPtr> copies;

  Result<void> run() override {
    for (const Target& target : targets) {
      if (target.copy) TRY(copy(*target.segment, *target.copy));
    }
    TRY(manifest_->reserve());
    TRY(manifest_->edit([this](Manifest& manifest) { change(manifest); }));
    // What cannot be removed now is debris at the next boot.
    for (const Target& target : targets) {
      (void)directory_.remove(segment_file_name(target.segment->id()));
    }
    return {};
  }

 private:
  Result<void> copy(const Segment& source, SegmentId id) {
    Copier copier(source, id, starts_, header_.node);
    TRY(copier.gather());
    header_.segment = id;
    const std::string name = segment_file_name(id);
    if (auto written = copier.write(directory_, header_); !written) {
      (void)directory_.remove(name);
      return written;
    }
    TRY_ASSIGN(reader, directory_.open(name, OpenMode::kRead));
    auto made = std::make_shared<Segment>(source.owner(), copier.record(), std::move(reader),
                                          directory_.path() + "/" + name);
    made->seal(copier.record(), std::make_shared<const SegmentIndex>(copier.index()));
    made->release_index();
    copies.emplace(source.id(), std::move(made));
    return {};
  }

  void change(Manifest& manifest) const {
    for (const Target& target : targets) {
      const auto listed = std::find_if(
          manifest.segments.begin(), manifest.segments.end(),
          [&](const SegmentRecord& record) { return record.id == target.segment->id(); });
      CHECK(listed != manifest.segments.end());
      const auto made = copies.find(target.segment->id());
      if (made == copies.end()) {
        manifest.segments.erase(listed);
      } else {
        *listed = made->second->record();
        manifest.next_segment = std::max(manifest.next_segment, SegmentId(listed->id.value() + 1));
      }
    }
  }

  Directory& directory_;
  std::shared_ptr<ManifestFile> manifest_;
  SegmentHeader header_;
  const std::map<ShardKey, Offset> starts_;
};

}  // namespace

void SegmentedLog::set_shard_start(ShardKey shard, Offset start, Index at) {
  CHECK(told_starts_.empty() || told_starts_.back().at <= at);
  Offset& known = starts_[shard];
  if (known >= start) return;
  known = start;
  told_starts_.push_back({.at = at, .shard = shard, .start = start});
}

std::uint64_t SegmentedLog::bytes_below(const Segment& segment, ShardKey shard,
                                        Offset offset) const {
  const auto summary = segment.shards().find(shard);
  if (summary == segment.shards().end() || offset <= summary->second.first) return 0;
  if (offset >= summary->second.end) return summary->second.bytes;
  // Unreadable footers show elsewhere; nothing is freed because of them.
  const auto index = footers_->get(segment);
  if (!index) return 0;
  const auto* const batches = (*index)->find(shard);
  if (batches == nullptr) return 0;
  std::uint64_t bytes = 0;
  for (const ShardEntry& batch : *batches) {
    if (batch.base + batch.count > offset) break;
    bytes += batch.bytes;
  }
  return bytes;
}

std::uint64_t SegmentedLog::live_bytes(const Segment& segment, const Starts& starts) const {
  std::uint64_t bytes = 0;
  for (const auto& [shard, summary] : segment.shards()) {
    const auto start = starts.find(shard);
    bytes += summary.bytes;
    if (start != starts.end()) bytes -= bytes_below(segment, shard, start->second);
  }
  return bytes;
}

std::unique_ptr<FlushJob> SegmentedLog::take_clean(Index durable_image) {
  if (clean_out_ || buggify(Buggify::kStorageNothingToClean)) return nullptr;
  for (; !told_starts_.empty() && told_starts_.front().at <= durable_image;
       told_starts_.pop_front()) {
    const ToldStart& told = told_starts_.front();
    Offset& known = imaged_starts_[told.shard];
    known = std::max(known, told.start);
  }
  auto job = std::make_unique<CleanJob>(directory_, manifest_,
                                        SegmentHeader{.group = options_.group,
                                                      .incarnation = options_.incarnation,
                                                      .segment = {},
                                                      .node = options_.node},
                                        imaged_starts_);
  for (const SegmentPtr& segment : segments_) {
    const SegmentRecord& record = segment->record();
    // A segment whose sealing is still being flushed is not in the manifest as sealed, also where
    // all its entries are durable.
    if (!record.sealed || segment->index_resident() || record.after.id.index > durable_image) {
      break;
    }
    const std::uint64_t live = live_bytes(*segment, imaged_starts_);
    if (live == 0) {
      job->targets.push_back({.segment = segment, .copy = std::nullopt});
    } else if (live < record.frames_end / 2 && live < segment->entry_bytes()) {
      job->targets.push_back({.segment = segment, .copy = next_segment_});
      next_segment_ = SegmentId(next_segment_.value() + 1);
    }
  }
  if (job->targets.empty()) return nullptr;
  clean_out_ = true;
  return job;
}

void SegmentedLog::complete_clean(std::unique_ptr<FlushJob> job, bool ok) {
  CHECK(clean_out_);
  clean_out_ = false;
  if (!ok) return;
  auto& clean = dynamic_cast<CleanJob&>(*job);
  for (const Target& target : clean.targets) {
    const auto at = std::find(segments_.begin(), segments_.end(), target.segment);
    CHECK(at != segments_.end());
    const auto made = clean.copies.find(target.segment->id());
    if (made == clean.copies.end()) {
      segments_.erase(at);
    } else {
      *at = made->second;
    }
  }
}

Log::Usage SegmentedLog::usage() const {
  Usage usage{.bytes = 0, .live_bytes = 0, .segments = segments_.size()};
  for (const SegmentPtr& segment : segments_) {
    usage.bytes += segment->record().file_bytes;
    if (segment->record().sealed) usage.live_bytes += live_bytes(*segment, starts_);
  }
  for (const auto& [shard, batches] : active_index_.shards()) {
    for (const ShardEntry& batch : batches) usage.live_bytes += batch.bytes;
  }
  return usage;
}

std::uint64_t SegmentedLog::shard_bytes_below(ShardKey shard, Offset offset) const {
  const auto start = starts_.find(shard);
  const Offset from = start == starts_.end() ? Offset(0) : start->second;
  if (offset <= from) return 0;
  std::uint64_t bytes = 0;
  for (const SegmentPtr& segment : segments_) {
    if (!segment->record().sealed) continue;
    bytes += bytes_below(*segment, shard, offset) - bytes_below(*segment, shard, from);
  }
  const auto active = active_index_.shards().find(shard);
  if (active == active_index_.shards().end()) return bytes;
  for (const ShardEntry& batch : active->second) {
    const Offset end = batch.base + batch.count;
    if (end > offset) break;
    if (end > from) bytes += batch.bytes;
  }
  return bytes;
}

std::vector<ShardKey> SegmentedLog::shards() const {
  std::set<ShardKey> found;
  for (const SegmentPtr& segment : segments_) {
    if (!segment->record().sealed) continue;
    for (const auto& [shard, summary] : segment->shards()) found.insert(shard);
  }
  for (const auto& [shard, batches] : active_index_.shards()) found.insert(shard);
  return {found.begin(), found.end()};
}

std::uint64_t SegmentedLog::shard_bytes(ShardKey shard) const {
  constexpr Offset kEnd(UINT64_MAX);
  return shard_bytes_below(shard, kEnd);
}

}  // namespace lignum::storage
