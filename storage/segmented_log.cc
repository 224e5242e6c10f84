#include "storage/segmented_log.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "raft/buggify.h"
#include "raft/check.h"
#include "raft/entry.h"
#include "raft/error.h"
#include "raft/mutant.h"
#include "raft/payload.h"
#include "raft/types.h"
#include "storage/aligned_buffer.h"
#include "storage/file.h"
#include "storage/frame_codec.h"
#include "storage/frame_format.h"
#include "storage/log.h"
#include "storage/log_flush.h"
#include "storage/manifest.h"
#include "storage/segment.h"
#include "storage/segment_header.h"
#include "storage/segment_index.h"
#include "storage/segment_preparation.h"
#include "storage/segment_writer.h"

namespace lignum::storage {

namespace {

// Filling a spare with zeros goes in pieces of this.
constexpr std::size_t kZeroBytes = std::size_t{1} << 20;
// What one entry adds to the footer, at most (a new shard and a new term).
constexpr std::size_t kFooterBytesPerEntry = 80;
// What an entry takes beside header and payload, at most.
constexpr std::size_t kEntryOverhead = kFooterBytesPerEntry + kEnvelopeBytes + kFrameAlignment;
// Larger ones have no part in the reserve.
constexpr std::size_t kSmallEntryBytes = kSegmentReserve / 8;
// Flushes that the average of their size looks back on.
constexpr std::size_t kFlushAverage = 16;

// Fills a new file, around the page cache: pages of zeros would push out what readers want, and the
// kernel would have to drop them again under every direct write of the log.
Result<void> fill_with_zeros(Directory& directory, const std::string& name, std::size_t bytes) {
  TRY_ASSIGN(file, directory.open(name, OpenMode::kWriteDirect));
  const AlignedBuffer zeros(std::min(bytes, kZeroBytes));
  for (std::size_t at = 0; at < bytes; at += zeros.size()) {
    TRY(file->write_at(at, zeros.bytes().first(std::min(zeros.size(), bytes - at))));
  }
  return file->sync();
}

// Stands in for a file that could not be made on the lane: every call fails as that did, so the
// flush does that it would have been written by.
class FailedFile final : public File {
 public:
  explicit FailedFile(Error error) : error_(std::move(error)) {}
  Result<std::size_t> read_at(std::uint64_t, std::span<std::byte>) const override {
    return std::unexpected(error_);
  }
  Result<void> write_at(std::uint64_t, Bytes) override { return std::unexpected(error_); }
  Result<void> sync() override { return std::unexpected(error_); }
  Result<std::uint64_t> size() const override { return std::unexpected(error_); }
  Result<void> resize(std::uint64_t) override { return std::unexpected(error_); }
  [[nodiscard]] bool direct() const override { return true; }

 private:
  Error error_;
};

}  // namespace

Result<SegmentedLog::SegmentFiles> SegmentedLog::open_segment_files(Directory& directory,
                                                                    SegmentId id) {
  const std::string name = segment_file_name(id);
  TRY_ASSIGN(writer, directory.open(name, OpenMode::kWriteSynced));
  TRY_ASSIGN(reader, directory.open(name, OpenMode::kRead));
  return SegmentFiles{.writer = std::move(writer), .reader = std::move(reader)};
}

SegmentedLog::SegmentedLog(Directory& directory, const SegmentedLogOptions& options,
                           std::unique_ptr<ManifestFile> manifest)
    : directory_(directory),
      options_(options),
      manifest_(std::move(manifest)),
      cache_(options.tail_cache_bytes) {}

SegmentedLog::~SegmentedLog() {
  if (preparing_) preparing_->abandon();
}

Result<void> SegmentedLog::create(Directory& directory, const SegmentedLogOptions& options) {
  const SegmentRecord record{.id = SegmentId(1),
                             .before = {},
                             .file_bytes = options.segment_bytes_min,
                             .sealed = false,
                             .after = {}};
  const std::string name = segment_file_name(record.id);
  TRY_ASSIGN(file, directory.open(name, OpenMode::kCreate));
  TRY(fill_with_zeros(directory, name, record.file_bytes));
  const AlignedBuffer header = encode_segment_header({.group = options.group,
                                                      .incarnation = options.incarnation,
                                                      .segment = record.id,
                                                      .node = options.node});
  TRY(file->write_at(0, header.bytes()));
  TRY(file->sync());
  TRY(directory.sync());
  // Last: with it the log exists.
  TRY_ASSIGN(manifest, ManifestFile::create(directory, {.group = options.group,
                                                        .incarnation = options.incarnation,
                                                        .truncation = 0,
                                                        .next_segment = SegmentId(2),
                                                        .segments = {record}}));
  return {};
}

std::size_t SegmentedLog::next_segment_bytes(std::size_t least) const {
  const std::size_t grown = std::min(
      std::max(capacity_, options_.segment_bytes_min) * kSegmentGrowth, options_.segment_bytes_max);
  return std::max(grown, round_up_to_block(kFramesStart + least + 2 * kSegmentReserve));
}

std::size_t SegmentedLog::active_room(std::size_t reserve) const {
  const std::size_t used = writer_->end() + active_index_.encoded_bytes() + kBlockBytes + reserve;
  return used < capacity_ ? capacity_ - used : 0;
}

Room SegmentedLog::room(std::size_t bytes) {
  const std::size_t needed = bytes + kEntryOverhead;
  const std::size_t available = active_room(kSegmentReserve);
  // In good time; where that failed, retry_preparation() comes before the segment is needed.
  const bool soon = available < capacity_ / 2 && !prepare_error_;
  if (!spare_ && !preparing_ && (soon || available < needed)) prepare_spare(needed);
  if (buggify(Buggify::kStorageNotPrepared)) return Room::kPreparing;
  if (available >= needed) return Room::kReady;
  if (spare_ && spare_->bytes < kFramesStart + needed + 2 * kSegmentReserve) {
    // Too small for this batch.
    release_spare();
    prepare_spare(needed);
  }
  if (spare_) return Room::kReady;
  // A copy: it may end at once.
  if (const auto preparation = preparing_) preparation->hurry();
  if (spare_) return Room::kReady;
  if (!prepare_error_) return Room::kPreparing;
  return prepare_error_->code() == Errc::kNoSpace ? Room::kNoSpace : Room::kFailed;
}

Room SegmentedLog::upkeep_room(std::size_t bytes) {
  const Room usual = room(bytes);
  const bool small = bytes + kEntryOverhead <= kSmallEntryBytes;
  if (usual == Room::kReady || !small) return usual;
  return active_room(kSegmentReserve / 2) >= bytes + kEntryOverhead ? Room::kReady : usual;
}

void SegmentedLog::retry_preparation() {
  if (prepare_error_ && !spare_) prepare_spare(wanted_bytes_);
}

void SegmentedLog::release_spare() {
  if (!spare_) return;
  // What cannot be removed now is debris at the next boot.
  options_.background(
      [&directory = directory_, name = segment_file_name(spare_->id)]() -> Result<void> {
        return directory.remove(name);
      },
      [](const Result<void>&) {});
  spare_.reset();
}

void SegmentedLog::prepare_spare(std::size_t bytes) {
  if (preparing_) return;
  wanted_bytes_ = bytes;
  const SegmentId id = next_segment_;
  next_segment_ = SegmentId(next_segment_.value() + 1);
  const bool zeroed = flush_bytes_ < options_.reserve_from_bytes;
  preparing_ = std::make_shared<SegmentPreparation>(
      directory_, manifest_, options_.background,
      SegmentPreparation::Plan{.id = id,
                               .bytes = next_segment_bytes(bytes),
                               .blocks = zeroed ? SegmentPreparation::Blocks::kZeroed
                                                : SegmentPreparation::Blocks::kReserved,
                               .free_bytes_min = options_.free_bytes_min,
                               .file_name = segment_file_name(id)},
      [this](const Result<void>& outcome) { prepared(outcome); });
  const auto preparation = preparing_;
  preparation->start(flushes_out_ != 0);
}

void SegmentedLog::prepared(const Result<void>& outcome) {
  const auto preparation = std::exchange(preparing_, nullptr);
  const bool failed_before = prepare_error_.has_value();
  prepare_error_.reset();
  if (outcome) {
    spare_ = Spare{
        .id = preparation->plan().id,
        .bytes = preparation->plan().bytes,
        .files = {.writer = preparation->take_writer(), .reader = preparation->take_reader()}};
  } else {
    prepare_error_ = outcome.error();
  }
  if (preparation_changed_ && (prepare_error_ || failed_before)) preparation_changed_();
}

Envelope SegmentedLog::envelope(FrameKind kind) const {
  return {.kind = kind,
          .node = options_.node,
          .segment = segments_.back()->id(),
          .position = writer_->end(),
          .truncation = truncation_,
          .flushed = flushed_end_};
}

bool SegmentedLog::fits(std::size_t frame) const {
  return writer_->end() + frame + active_index_.encoded_bytes() + kFooterBytesPerEntry +
             kBlockBytes <=
         capacity_;
}

void SegmentedLog::append(std::span<const Entry> entries) {
  for (const Entry& entry : entries) append_one(entry);
}

void SegmentedLog::append_one(const Entry& entry) {
  CHECK(entry.header.index == mark_.id.index.next());
  CHECK(entry.header.previous_chain == mark_.chain);
  CHECK(entry.header.term >= mark_.id.term);
  const std::size_t frame = frame_bytes(kEntryHeaderBytes, entry.payload.size());
  // Ordinary entries leave the reserve to those that must not fail.
  const bool small = frame <= kSmallEntryBytes;
  const bool roomy = active_room(kSegmentReserve) >= frame + kFooterBytesPerEntry;
  const bool early = spare_ && writer_->end() > kFramesStart && buggify(Buggify::kStorageEarlyRoll);
  if (early || (!roomy && (spare_ || !small || !fits(frame)))) roll();
  const std::uint64_t position = writer_->end();
  encode_entry(envelope(FrameKind::kEntry), entry, writer_->room(frame));
  writer_->advance(frame);
  active_index_.add(entry.header, static_cast<std::uint32_t>(position),
                    static_cast<std::uint32_t>(frame));
  if (entry.header.kind == EntryKind::kBatch) cache_.add(entry);
  mark_ = {.id = entry.header.id(),
           .chain = chain_after(entry.header),
           .append_time = entry.header.append_time};
}

void SegmentedLog::roll() {
  const SegmentRecord sealed = seal_active(writer_->end());
  begin_segment([sealed](Manifest& manifest) {
    for (SegmentRecord& listed : manifest.segments) {
      if (listed.id == sealed.id) listed = sealed;
    }
  });
}

SegmentRecord SegmentedLog::seal_active(std::uint64_t frames_end) {
  if (staged_ == nullptr) staged_ = std::make_unique<Flush>(directory_, manifest_);
  const SegmentPtr sealed = segments_.back();
  SegmentRecord record = sealed->record();
  auto index = std::make_shared<const SegmentIndex>(std::exchange(active_index_, {}));
  const std::vector<std::byte> footer = index->encode(options_.incarnation, record.id);
  record.sealed = true;
  record.after = mark_;
  record.frames_end = frames_end;
  record.cut = frames_end < writer_->end();
  record.footer_at = round_up_to_block(writer_->end());
  record.footer_bytes = footer.size();
  AlignedBuffer block(footer.size());
  std::copy(footer.begin(), footer.end(), block.span().begin());
  record.file_bytes = std::max(record.file_bytes, record.footer_at + block.size());
  if (writer_->dirty()) staged_->write(writer_->take());
  const std::size_t footer_bytes = block.size();
  staged_->write({.file = writer_->file(),
                  .position = record.footer_at,
                  .buffer = std::move(block),
                  .bytes = footer_bytes});
  if (!mutant(Mutant::kSealedTailNotSynced)) staged_->sync(writer_->file());
  sealed->seal(record, std::move(index));
  staged_->sealed.push_back(sealed);
  return record;
}

SegmentedLog::Spare SegmentedLog::unprepared_segment() {
  // Only what the node itself must write comes here while no segment could be prepared: it lives
  // on the space that preparations leave free.
  Spare made{.id = next_segment_, .bytes = options_.segment_bytes_min, .files = {}};
  next_segment_ = SegmentId(next_segment_.value() + 1);
  auto created = directory_.open(segment_file_name(made.id), OpenMode::kCreate);
  auto opened = created ? open_segment_files(directory_, made.id)
                        : Result<SegmentFiles>(std::unexpected(created.error()));
  if (opened) {
    made.files = std::move(*opened);
  } else {
    made.files = {.writer = std::make_unique<FailedFile>(opened.error()),
                  .reader = std::make_unique<FailedFile>(opened.error())};
  }
  staged_->write({.file = made.files.writer,
                  .position = 0,
                  .buffer = AlignedBuffer(made.bytes),
                  .bytes = made.bytes});
  // Before the manifest lists it.
  staged_->sync(made.files.writer);
  staged_->sync_directory();
  return made;
}

void SegmentedLog::begin_segment(std::function<void(Manifest&)> change) {
  Spare spare = spare_ ? std::move(*spare_) : unprepared_segment();
  spare_.reset();
  const SegmentRecord next{.id = spare.id, .before = mark_, .file_bytes = spare.bytes};
  capacity_ = spare.bytes;
  staged_->edit([change = std::move(change), next, upcoming = next_segment_](Manifest& manifest) {
    change(manifest);
    manifest.segments.push_back(next);
    manifest.next_segment = std::max(manifest.next_segment, upcoming);
  });
  AlignedBuffer header = encode_segment_header({.group = options_.group,
                                                .incarnation = options_.incarnation,
                                                .segment = next.id,
                                                .node = options_.node});
  staged_->write({.file = spare.files.writer,
                  .position = 0,
                  .buffer = std::move(header),
                  .bytes = kBlockBytes});
  staged_->sync(spare.files.writer);
  segments_.push_back(
      std::make_shared<Segment>(options_.owner(), next, std::move(spare.files.reader),
                                directory_.path() + "/" + segment_file_name(next.id)));
  writer_ = std::make_unique<SegmentWriter>(std::move(spare.files.writer), kFramesStart, Bytes());
  flushed_end_ = kFramesStart;
  marked_end_ = 0;
}

std::unique_ptr<FlushJob> SegmentedLog::take_flush() {
  if (staged_ == nullptr && !writer_->dirty()) return nullptr;
  if (flushes_out_ == kFlushesOutMax) return nullptr;
  const bool early =
      writer_->pending() >= options_.early_flush_bytes || buggify(Buggify::kStorageEarlyFlush);
  if (flushes_out_ != 0 && !early) return nullptr;
  auto job =
      staged_ != nullptr ? std::move(staged_) : std::make_unique<Flush>(directory_, manifest_);
  flush_bytes_ += writer_->pending() / kFlushAverage;
  flush_bytes_ -= flush_bytes_ / kFlushAverage;
  if (writer_->dirty()) {
    job->write(writer_->take());
    if (!mutant(Mutant::kLogNotSynced)) job->sync(writer_->file());
  }
  job->durable = mark_.id.index;
  job->active = segments_.back()->id();
  job->flushed_end = writer_->end();
  ++flushes_out_;
  if (preparing_) preparing_->on_flush_taken();
  return job;
}

void SegmentedLog::complete_flush(std::unique_ptr<FlushJob> job) {
  CHECK(flushes_out_ != 0);
  --flushes_out_;
  auto& flush = dynamic_cast<Flush&>(*job);
  durable_ = flush.durable;
  if (flush.active == segments_.back()->id()) flushed_end_ = flush.flushed_end;
  for (const SegmentPtr& segment : flush.sealed) segment->release_index();
  writer_->give_back(flush.take_buffer());
  if (const auto preparation = preparing_) {
    preparation->on_flushed(flush_bytes_, active_room(kSegmentReserve), flushes_out_ != 0);
  }
}

bool SegmentedLog::stage_marker() {
  if (flushes_out_ != 0 || staged_ != nullptr || writer_->dirty()) return false;
  const std::size_t frame = frame_bytes(kMarkerBytes, 0);
  if (buggify(Buggify::kStorageMarkerDelayed)) return false;
  if (writer_->end() == marked_end_ || writer_->end() == kFramesStart || !fits(frame)) return false;
  encode_marker(envelope(FrameKind::kMarker),
                {.group = options_.incarnation, .last = mark_.id.index, .chain = mark_.chain},
                writer_->room(frame));
  writer_->advance(frame);
  writer_->drop_spare();
  marked_end_ = writer_->end();
  return true;
}

}  // namespace lignum::storage
