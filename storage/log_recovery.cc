#include "storage/log_recovery.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "raft/error.h"
#include "raft/mutant.h"
#include "raft/payload.h"
#include "raft/types.h"
#include "storage/aligned_buffer.h"
#include "storage/file.h"
#include "storage/frame_codec.h"
#include "storage/frame_format.h"
#include "storage/manifest.h"
#include "storage/segment.h"
#include "storage/segment_header.h"
#include "storage/segment_index.h"
#include "storage/segment_writer.h"
#include "storage/segmented_log.h"
#include "storage/tail_scan.h"

namespace lignum::storage {

namespace {

constexpr std::size_t kZeroBytes = std::size_t{1} << 20;
constexpr std::size_t kRewriteBytes = std::size_t{1} << 20;

}  // namespace

Result<SegmentedLog::Opened> SegmentedLog::open(Directory& directory,
                                                const SegmentedLogOptions& options,
                                                const LogEvidence& evidence) {
  return LogRecovery(directory, options, evidence).run();
}

Result<SegmentedLog::Opened> LogRecovery::run() {
  auto found = ManifestFile::load(directory_);
  if (!found) {
    if (found.error().code() != Errc::kNotFound) return std::unexpected(found.error());
    return fail(Errc::kCorrupt, fmt::format("{}: the file '{}' is missing, so the list of this "
                                            "group's segments is lost; nothing was changed",
                                            directory_.path(), kManifestName));
  }
  ManifestFile::Loaded loaded = std::move(*found);
  if (loaded.remark) report_.remarks.push_back(*loaded.remark);
  const Manifest manifest = loaded.file->current();
  TRY(check_identity(manifest));
  log_ =
      std::unique_ptr<SegmentedLog>(new SegmentedLog(directory_, options_, std::move(loaded.file)));
  log_->truncation_ = manifest.truncation;
  log_->next_segment_ = manifest.next_segment;
  TRY(open_segments(manifest));
  TRY(remove_debris(manifest));
  // After kill -9 all of this was read from the page cache; a rename there may not be on the disk
  // yet, and entries appended from now on must not depend on it.
  TRY(directory_.sync());
  return SegmentedLog::Opened{.log = std::move(log_), .report = std::move(report_)};
}

Result<void> LogRecovery::check_identity(const Manifest& manifest) const {
  if (manifest.group == options_.group && manifest.incarnation == options_.incarnation) return {};
  return fail(Errc::kCorrupt,
              fmt::format("{}/{}: it belongs to group {} of incarnation {:x}, not to group {} of "
                          "{:x}: was a directory copied here?",
                          directory_.path(), kManifestName, manifest.group.value(),
                          manifest.incarnation.value(), options_.group.value(),
                          options_.incarnation.value()));
}

Result<void> LogRecovery::open_segments(const Manifest& manifest) {
  for (const SegmentRecord& record : manifest.segments) {
    log_->next_segment_ = std::max(log_->next_segment_, SegmentId(record.id.value() + 1));
    const bool active = &record == &manifest.segments.back();
    if (record.sealed == active) {
      return fail(Errc::kCorrupt, fmt::format("{}/{}: segment {:016x} is in the wrong state",
                                              directory_.path(), kManifestName, record.id.value()));
    }
    const std::string name = segment_file_name(record.id);
    auto file = directory_.open(name, OpenMode::kRead);
    if (!file && file.error().code() != Errc::kNotFound) return std::unexpected(file.error());
    if (!file) {
      return fail(Errc::kCorrupt, fmt::format("{}/{}: a segment of the log is missing: {}",
                                              directory_.path(), name, file.error().message()));
    }
    TRY_ASSIGN(size, (*file)->size());
    if (size < record.file_bytes) {
      return fail(Errc::kCorrupt, fmt::format("{}/{}: byte {}: the file ends here; it was {} bytes "
                                              "long",
                                              directory_.path(), name, size, record.file_bytes));
    }
    log_->segments_.push_back(std::make_shared<Segment>(options_.owner(), record, std::move(*file),
                                                        directory_.path() + "/" + name));
    TRY(active ? open_active(record) : open_sealed(record));
  }
  return {};
}

Result<void> LogRecovery::check_header(const Segment& segment) const {
  std::vector<std::byte> block(kBlockBytes);
  TRY(segment.read_exactly(0, block));
  const SegmentHeader ours{.group = options_.group,
                           .incarnation = options_.incarnation,
                           .segment = segment.id(),
                           .node = options_.node};
  // Without a header the frames still say which segment this is.
  const auto header = decode_segment_header(block);
  if (header && *header != ours) {
    return fail(
        Errc::kCorrupt,
        fmt::format("{}: byte 0: this is segment {:016x} of group {} of incarnation {:x} of "
                    "node incarnation {:x}: was a file copied here? Nothing was changed",
                    segment.path(), header->segment.value(), header->group.value(),
                    header->incarnation.value(), header->node.value()));
  }
  if (segment.record().file_bytes <= kFramesStart) return {};
  std::vector<std::byte> first(frame_bytes(kEntryHeaderBytes, 0));
  TRY(segment.read_exactly(kFramesStart, first));
  const auto frame = decode_frame(first, segment.id(), kFramesStart);
  if (!frame || frame->envelope.node == options_.node) return {};
  return fail(Errc::kCorrupt,
              fmt::format("{}: byte {}: this was written by node incarnation {:x}, "
                          "not by {:x}: was a file copied here? Nothing was changed",
                          segment.path(), kFramesStart, frame->envelope.node.value(),
                          options_.node.value()));
}

Result<void> LogRecovery::open_sealed(const SegmentRecord& record) {
  const SegmentPtr& segment = log_->segments_.back();
  TRY(check_header(*segment));
  TRY_ASSIGN(index, segment->load_index());
  segment->seal(record, index);
  segment->release_index();
  return {};
}

Result<void> LogRecovery::open_active(const SegmentRecord& record) {
  const SegmentPtr& segment = log_->segments_.back();
  active_ = record;
  active_path_ = segment->path();
  TRY(check_header(*segment));
  const std::string name = segment_file_name(record.id);
  TRY_ASSIGN(file, directory_.open(name, OpenMode::kWriteDirect));
  TRY_ASSIGN(size, file->size());
  std::vector<std::byte> bytes(size);
  TRY(segment->read_exactly(0, bytes));
  report_.scanned_bytes = size;
  log_->capacity_ = std::max<std::size_t>(record.file_bytes, size);
  TailScan scan = scan_tail(bytes, record, options_.incarnation);
  TRY(judge(scan));
  if (scan.torn()) TRY(cut(scan));
  const std::uint64_t end = scan.end;
  log_->mark_ = scan.mark;
  log_->durable_ = scan.mark.id.index;
  log_->marked_end_ = scan.marked_end;
  log_->active_index_ = std::move(scan.index);
  if (!decode_segment_header(Bytes(bytes).first(kBlockBytes))) {
    const AlignedBuffer header = encode_segment_header({.group = options_.group,
                                                        .incarnation = options_.incarnation,
                                                        .segment = record.id,
                                                        .node = options_.node});
    TRY(file->write_at(0, header.bytes()));
    TRY(file->sync());
    if (end > kFramesStart) {
      report_.remarks.push_back(
          fmt::format("{}: byte 0: the header block was damaged and has been rewritten; the "
                      "entries are whole",
                      active_path_));
    }
  }
  TRY(write_again(*file, bytes, scan));
  const std::uint64_t block = end / kBlockBytes * kBlockBytes;
  log_->writer_ = std::make_unique<SegmentWriter>(std::move(file), end,
                                                  Bytes(bytes).subspan(block, end - block));
  log_->flushed_end_ = end;
  return {};
}

// What was read is what will be built on, so it must be on the disk and not only in the page cache.
// Where the process before this one died of a failed sync, the kernel has marked those pages clean:
// another sync would succeed and save nothing. So all that no frame says was flushed is written
// once more.
Result<void> LogRecovery::write_again(File& file, Bytes bytes, const TailScan& scan) {
  std::uint64_t at = std::min(scan.flushed, scan.end) / kBlockBytes * kBlockBytes;
  const std::uint64_t left = scan.end - std::min(at, scan.end);
  AlignedBuffer buffer = AlignedBuffer::for_overwrite(std::min<std::uint64_t>(kRewriteBytes, left));
  while (at < scan.end) {
    const std::size_t kept = std::min<std::uint64_t>(kRewriteBytes, scan.end - at);
    const std::size_t whole = round_up_to_block(kept);
    std::ranges::copy(bytes.subspan(at, kept), buffer.span().begin());
    std::ranges::fill(buffer.span().subspan(kept, whole - kept), std::byte{0});
    TRY(file.write_at(at, buffer.bytes().first(whole)));
    at += whole;
  }
  return file.sync();
}

Result<void> LogRecovery::judge(const TailScan& scan) const {
  const Index next = scan.mark.id.index.next();
  if (!scan.damage.empty()) {
    return fail(Errc::kCorrupt,
                fmt::format("{}: byte {}: entry {} fails its checksum, but {}: this is damage, not "
                            "a torn write; nothing was changed",
                            active_path_, scan.end, next.value(), scan.damage));
  }
  if (evidence_.index < next || mutant(Mutant::kEvidenceIgnored)) return {};
  return fail(Errc::kCorrupt,
              fmt::format("{}: byte {}: entry {} {}, but {} proves that entry {} was flushed: this "
                          "is damage, not a torn write; nothing was changed",
                          active_path_, scan.end, next.value(),
                          scan.torn() ? "fails its checksum" : "is missing", evidence_.source,
                          evidence_.index.value()));
}

Result<void> LogRecovery::cut(const TailScan& scan) {
  report_.torn = TornTail{.file = active_path_,
                          .position = scan.end,
                          .bytes = scan.content_end - scan.end,
                          .index = scan.mark.id.index.next()};
  // Zeros, so that no frame of the cut tail can be taken for one of the log that goes on here.
  TRY_ASSIGN(file, directory_.open(segment_file_name(active_.id), OpenMode::kReadWrite));
  const std::vector<std::byte> zeros(kZeroBytes);
  for (std::uint64_t at = scan.end; at < scan.content_end; at += kZeroBytes) {
    const std::size_t count = std::min<std::uint64_t>(kZeroBytes, scan.content_end - at);
    TRY(file->write_at(at, Bytes(zeros).first(count)));
  }
  return file->sync();
}

Result<void> LogRecovery::remove_debris(const Manifest& manifest) {
  TRY_ASSIGN(names, directory_.list());
  for (const std::string& name : names) {
    const bool segment = name.ends_with(".seg");
    if (!segment && name != kManifestSpareName) continue;
    const bool listed = std::any_of(
        manifest.segments.begin(), manifest.segments.end(),
        [&](const SegmentRecord& record) { return segment_file_name(record.id) == name; });
    if (listed) continue;
    // The number of debris is never given again.
    if (segment) {
      const auto number = std::strtoull(name.c_str(), nullptr, 16);
      log_->next_segment_ = std::max(log_->next_segment_, SegmentId(number + 1));
    }
    TRY(directory_.remove(name));
  }
  return {};
}

}  // namespace lignum::storage
