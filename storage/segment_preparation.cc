#include "storage/segment_preparation.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

#include "raft/check.h"
#include "raft/error.h"
#include "storage/aligned_buffer.h"
#include "storage/file.h"
#include "storage/manifest.h"

namespace lignum::storage {

SegmentPreparation::SegmentPreparation(Directory& directory, std::shared_ptr<ManifestFile> manifest,
                                       BackgroundRunner runner, Plan plan, Done done)
    : directory_(directory),
      manifest_(std::move(manifest)),
      runner_(std::move(runner)),
      plan_(std::move(plan)),
      done_(std::move(done)) {
  CHECK(plan_.bytes % kBlockBytes == 0);
}

void SegmentPreparation::start(bool flushing) {
  flushing_ = flushing;
  run([this] { return make_file(); });
}

void SegmentPreparation::on_flushed(std::size_t flush_bytes, std::size_t room, bool flushing) {
  flushing_ = flushing;
  if (running_) return;
  // Ready when three quarters of the room are used: rates change.
  const std::uint64_t flushes =
      std::max<std::uint64_t>(room / 4 * 3 / std::max<std::size_t>(flush_bytes, 1), 1);
  const std::size_t piece = round_up_to_block((plan_.bytes - filled_) / flushes);
  go_on(hurried_ ? kPieceMax : std::clamp(piece, kPieceMin, kPieceMax));
}

void SegmentPreparation::hurry() {
  hurried_ = true;
  if (!running_) go_on(kPieceMax);
}

void SegmentPreparation::abandon() {
  finishing_ = true;
  done_ = nullptr;
}

void SegmentPreparation::run(std::move_only_function<Result<void>()> work) {
  CHECK(!running_);
  running_ = true;
  runner_(
      [self = shared_from_this(), moved = std::move(work)]() mutable -> Result<void> {
        auto outcome = moved();
        // Half a segment helps nobody; what cannot be removed now is debris at the next boot.
        if (!outcome && self->file_ != nullptr)
          (void)self->directory_.remove(self->plan_.file_name);
        return outcome;
      },
      [self = shared_from_this()](const Result<void>& outcome) { self->on_ran(outcome); });
}

void SegmentPreparation::on_ran(const Result<void>& outcome) {
  running_ = false;
  if (!outcome || finishing_) {
    finishing_ = true;
    if (done_) std::exchange(done_, nullptr)(outcome);
    return;
  }
  if (hurried_) return go_on(kPieceMax);
  if (filled_ == plan_.bytes || !flushing_) go_on(kPieceIdle);
}

void SegmentPreparation::go_on(std::size_t piece) {
  if (finishing_) return;
  if (filled_ == plan_.bytes) {
    finishing_ = true;
    return run([this] { return finish(); });
  }
  const std::size_t from = filled_;
  const std::size_t bytes = std::min(piece, plan_.bytes - filled_);
  filled_ += bytes;
  run([this, from, bytes] { return write_zeros(from, bytes); });
}

Result<void> SegmentPreparation::make_file() {
  TRY(directory_.check_place());
  TRY_ASSIGN(free, directory_.free_bytes());
  if (free < plan_.bytes + plan_.free_bytes_min) {
    return fail(Errc::kNoSpace,
                fmt::format("{}: {} bytes are free; the next segment takes {} and must leave {}",
                            directory_.path(), free, plan_.bytes, plan_.free_bytes_min));
  }
  TRY(manifest_->reserve());
  // Not a file that was there before: that would be a segment of the log.
  TRY_ASSIGN(made, directory_.open(plan_.file_name, OpenMode::kCreate));
  file_ = std::move(made);
  if (plan_.blocks == Blocks::kReserved) {
    auto reserved = file_->resize(plan_.bytes);
    if (reserved || reserved.error().code() != Errc::kUnsupported) {
      filled_ = plan_.bytes;
      return reserved;
    }
  }
  // Around the page cache: pages of zeros would push out what readers want.
  TRY_ASSIGN(direct, directory_.open(plan_.file_name, OpenMode::kWriteDirect));
  file_ = std::move(direct);
  return {};
}

Result<void> SegmentPreparation::write_zeros(std::size_t from, std::size_t bytes) {
  const AlignedBuffer zeros(bytes);
  return file_->write_at(from, zeros.bytes());
}

Result<void> SegmentPreparation::finish() {
  TRY(file_->sync());
  TRY(directory_.sync());
  TRY_ASSIGN(writer, directory_.open(plan_.file_name, OpenMode::kWriteSynced));
  file_ = std::move(writer);
  TRY_ASSIGN(reader, directory_.open(plan_.file_name, OpenMode::kRead));
  reader_ = std::move(reader);
  return {};
}

}  // namespace lignum::storage
