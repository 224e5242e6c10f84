#include "storage/log_survey.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/format.h>
#include "raft/entry.h"
#include "raft/error.h"
#include "raft/payload.h"
#include "raft/types.h"
#include "storage/byte_order.h"
#include "storage/file.h"
#include "storage/frame_codec.h"
#include "storage/frame_format.h"
#include "storage/kept_entries.h"
#include "storage/log_mark.h"
#include "storage/manifest.h"
#include "storage/segment.h"
#include "storage/segment_header.h"
#include "storage/segmented_log.h"
#include "storage/tail_scan.h"

namespace lignum::storage {

namespace {

// Walks the frames of one segment, past those that do not check.
class FrameWalk {
 public:
  FrameWalk(SurveyedSegment& out, Bytes bytes, const SegmentedLogOptions& options)
      : out_(out), bytes_(bytes), options_(options), mark_(out.record.before) {}

  void walk_sealed() {
    const std::uint64_t end = std::min<std::uint64_t>(out_.record.frames_end, bytes_.size());
    while (at_ < end) {
      if (!take(end)) pass_over(end, "the frame there fails its checksum");
    }
    if (mark_ != out_.record.after) miss(at_, "the segment ends too early");
  }

  // `proven`: everything up to it was flushed once, as something outside the log says.
  void walk_active(Index proven) {
    while (at_ < bytes_.size()) {
      if (take(bytes_.size())) continue;
      const std::string proof = proof_of_flush(bytes_, out_.record.id, at_);
      if (!proof.empty()) {
        pass_over(bytes_.size(), "the frame there fails its checksum, but " + proof);
      } else if (mark_.id.index >= proven || !pass_over_proven(proven)) {
        return;
      }
    }
  }

  [[nodiscard]] const LogMark& mark() const { return mark_; }
  [[nodiscard]] std::uint64_t at() const { return at_; }
  // Another node's frames stand here: whatever this one had written is gone.
  [[nodiscard]] bool foreign() const { return foreign_; }
  void miss(std::uint64_t at, const std::string& what) {
    out_.sound = false;
    if (out_.trouble.empty()) {
      out_.trouble = fmt::format("{}: byte {}: {}", out_.segment->path(), at, what);
    }
  }

 private:
  // False where what stands there is no frame of this log.
  bool take(std::uint64_t end) {
    if (bytes_.size() - at_ < kEnvelopeBytes ||
        load_le<std::uint32_t>(bytes_, at_) != kFrameMagic) {
      return false;
    }
    const auto frame = decode_frame(bytes_.subspan(at_), out_.record.id, at_);
    if (!frame || frame->bytes > end - at_) return false;
    if (frame->envelope.node != options_.node) {
      foreign_ = true;
      return false;
    }
    if (group_of(*frame) != options_.incarnation) return false;
    auto sound = sound_frame(*frame);
    if (!sound) return false;
    const bool next = sound->first == mark_.id.index.next();
    if (sound->first <= mark_.id.index || (next && sound->chain_before != mark_.chain) ||
        (!next && !passed_over_)) {
      return false;
    }
    sound->location = {.position = static_cast<std::uint32_t>(at_),
                       .bytes = static_cast<std::uint32_t>(frame->bytes)};
    if (sound->kind == SoundFrame::Kind::kPlace) {
      // Where entries before it are missing it is what says which.
      if (!next)
        mark_ = {.id = {.term = mark_.id.term, .index = Index(sound->first.value() - 1)},
                 .chain = sound->chain_before,
                 .append_time = mark_.append_time};
    } else {
      mark_ = sound->after;
    }
    out_.frames.push_back(*sound);
    at_ += frame->bytes;
    passed_over_ = false;
    return true;
  }

  [[nodiscard]] std::optional<SoundFrame> sound_frame(const Frame& frame) const {
    if (const auto* header = std::get_if<EntryHeader>(&frame.body)) {
      if (!payload_intact(*header,
                          bytes_.subspan(at_ + frame.payload_at(), header->payload_bytes))) {
        return std::nullopt;
      }
      return SoundFrame{.kind = SoundFrame::Kind::kEntry,
                        .first = header->index,
                        .chain_before = header->previous_chain,
                        .after = mark_after(*header),
                        .location = {}};
    }
    if (const auto* skip = std::get_if<Skip>(&frame.body)) {
      return SoundFrame{
          .kind = SoundFrame::Kind::kSkip,
          .first = skip->first,
          .chain_before = skip->chain_before,
          .after = {.id = skip->last, .chain = skip->chain_after, .append_time = skip->append_time},
          .location = {}};
    }
    const auto& marker = std::get<Marker>(frame.body);
    return SoundFrame{.kind = SoundFrame::Kind::kPlace,
                      .first = marker.last.next(),
                      .chain_before = marker.chain,
                      .after = {},
                      .location = {}};
  }

  // What stands behind a proven entry that is gone may be a torn write itself, and is kept where
  // nothing but proven entries is missing before it. Otherwise nothing is taken, and it is false.
  bool pass_over_proven(Index proven) {
    const LogMark mark = mark_;
    const std::uint64_t at = at_;
    const std::size_t count = out_.frames.size();
    pass_over(bytes_.size(), "the frame there fails its checksum, but was flushed once");
    if (out_.frames.size() > count && out_.frames.back().first <= proven.next()) return true;
    out_.frames.resize(count);
    mark_ = mark;
    at_ = at;
    return false;
  }

  void pass_over(std::uint64_t end, const std::string& what) {
    miss(at_, what);
    passed_over_ = true;
    at_ += kFrameAlignment;
    while (at_ < end && !take(end)) {
      passed_over_ = true;
      at_ += kFrameAlignment;
    }
  }

  SurveyedSegment& out_;
  const Bytes bytes_;
  const SegmentedLogOptions& options_;
  LogMark mark_;
  std::uint64_t at_ = kFramesStart;
  // Something before at_ did not check: entries may be missing.
  bool passed_over_ = false;
  bool foreign_ = false;
};

// Without a header the frames still say which segment this is; a wrong one is damage, and false.
bool check_header(FrameWalk& walk, SegmentId segment, Bytes bytes,
                  const SegmentedLogOptions& options) {
  if (bytes.size() < kBlockBytes) return true;
  const auto header = decode_segment_header(bytes.first(kBlockBytes));
  const SegmentHeader ours{.group = options.group,
                           .incarnation = options.incarnation,
                           .segment = segment,
                           .node = options.node};
  if (!header || *header == ours) return true;
  walk.miss(0, "the header block is that of another segment");
  return false;
}

Result<std::vector<std::byte>> read_segment(const SegmentOwner& owner, SurveyedSegment& out,
                                            std::unique_ptr<File> file, const std::string& path) {
  TRY_ASSIGN(size, file->size());
  out.segment = std::make_shared<Segment>(owner, out.record, std::move(file), path);
  std::vector<std::byte> bytes(size);
  TRY(out.segment->read_exactly(0, bytes));
  return bytes;
}

void survey_sealed(SurveyedSegment& out, Bytes bytes, const SegmentedLogOptions& options) {
  FrameWalk walk(out, bytes, options);
  (void)check_header(walk, out.record.id, bytes, options);
  if (bytes.size() < out.record.file_bytes) walk.miss(bytes.size(), "the file ends here");
  walk.walk_sealed();
  if (!out.segment->load_index()) {
    walk.miss(out.record.footer_at, "the footer fails its checksum");
  }
}

void survey_active(SurveyedSegment& out, Bytes bytes, const SegmentedLogOptions& options,
                   const LogEvidence& evidence) {
  FrameWalk walk(out, bytes, options);
  if (bytes.size() < out.record.file_bytes) {
    walk.miss(bytes.size(), "the file ends here");
    out.open_ended = true;
  }
  // In a file that belongs elsewhere no end is a torn write's.
  if (!check_header(walk, out.record.id, bytes, options)) out.open_ended = true;
  walk.walk_active(evidence.index);
  if (walk.foreign()) {
    walk.miss(walk.at(), "another node wrote what stands there");
    out.open_ended = true;
  }
  if (evidence.flushed > walk.mark().id.index) {
    out.open_ended = true;
    walk.miss(walk.at(), fmt::format("entry {} was flushed", evidence.flushed.value()));
  }
  if (evidence.index <= walk.mark().id.index) return;
  // What was there reached as far as the damage, which reaches as far as the file.
  out.open_ended = true;
  walk.miss(walk.at(), fmt::format("{} proves that entry {} was flushed", evidence.source,
                                   evidence.index.value()));
}

// What lies outside the log and proves more than is in it.
void add_evidence(SurveyedSegment& out, const LogEvidence& evidence) {
  const Index last =
      out.frames.empty() ? out.record.before.id.index : Index(out.frames.back().first.value() - 1);
  const bool reached = !out.frames.empty() && out.frames.back().after.id.index >= evidence.index;
  if (reached || evidence.index <= last) return;
  if (!evidence.mark) {
    out.open_ended = true;
    return;
  }
  out.frames.push_back({.kind = SoundFrame::Kind::kPlace,
                        .first = evidence.index.next(),
                        .chain_before = evidence.mark->chain,
                        .after = {},
                        .location = {}});
}

// The sound frames behind `after`, as far as they follow one another.
std::vector<const SoundFrame*> run_of(const SurveyedSegment& segment, Index after, Index to) {
  std::vector<const SoundFrame*> run;
  Index at = after;
  for (const SoundFrame& frame : segment.frames) {
    if (frame.kind == SoundFrame::Kind::kPlace || frame.after.id.index <= at) continue;
    const bool inside = run.empty() && frame.kind == SoundFrame::Kind::kSkip && frame.first <= at;
    if ((frame.first != at.next() && !inside) || frame.first > to) break;
    run.push_back(&frame);
    at = frame.after.id.index;
  }
  return run;
}

Result<std::vector<KeptItem>> read_run(const SurveyedSegment& segment, Index after, Index to,
                                       std::size_t bytes_max) {
  std::vector<KeptItem> items;
  std::size_t bytes = 0;
  for (const SoundFrame* frame : run_of(segment, after, to)) {
    if (!items.empty() && bytes >= bytes_max) break;
    if (frame->kind == SoundFrame::Kind::kSkip) {
      items.push_back({.skip_to = frame->after, .entry = {}});
      continue;
    }
    TRY_ASSIGN(entries, segment.segment->read_sound({&frame->location, 1}, 1));
    items.push_back({.skip_to = std::nullopt, .entry = std::move(entries.front())});
    bytes += frame->location.bytes;
  }
  return items;
}

// What is known of it elsewhere, and what is wanted of it.
struct Wanted {
  const LogEvidence& evidence;
  std::optional<Index> frames_after;
};

Result<SurveyedSegment> survey_segment(Directory& directory, const SegmentRecord& record,
                                       const SegmentedLogOptions& options, const Wanted& wanted) {
  SurveyedSegment out{.record = record, .segment = nullptr, .trouble = {}, .frames = {}};
  const std::string name = segment_file_name(record.id);
  const std::string path = directory.path() + "/" + name;
  auto file = directory.open(name, OpenMode::kRead);
  if (!file && file.error().code() != Errc::kNotFound) return std::unexpected(file.error());
  if (!file) {
    out.sound = false;
    out.open_ended = !record.sealed;
    out.trouble = path + ": the file is missing";
  } else {
    TRY_ASSIGN(bytes, read_segment(options.owner(), out, std::move(*file), path));
    if (record.sealed) {
      survey_sealed(out, bytes, options);
      const bool asked_for = wanted.frames_after &&
                             record.before.id.index <= *wanted.frames_after &&
                             record.after.id.index > *wanted.frames_after;
      if (out.sound && !asked_for) out.frames.clear();
    } else {
      survey_active(out, bytes, options, wanted.evidence);
    }
  }
  if (!record.sealed) add_evidence(out, wanted.evidence);
  return out;
}

}  // namespace

Result<LogSurvey> LogSurvey::make(Directory& directory, const SegmentedLogOptions& options,
                                  const LogEvidence& evidence, std::optional<Index> frames_after) {
  TRY_ASSIGN(read, read_manifest(directory));
  const Manifest& manifest = read.manifest;
  if (manifest.group != options.group || manifest.incarnation != options.incarnation) {
    return fail(Errc::kCorrupt,
                fmt::format("{}/{}: it belongs to another group", directory.path(), kManifestName));
  }
  LogSurvey survey;
  for (const SegmentRecord& record : manifest.segments) {
    TRY_ASSIGN(out, survey_segment(directory, record, options, {evidence, frames_after}));
    survey.segments_.push_back(std::move(out));
  }
  return survey;
}

bool LogSurvey::sound() const { return std::ranges::all_of(segments_, &SurveyedSegment::sound); }

Result<std::vector<KeptItem>> LogSurvey::read_kept(Index after, Index to,
                                                   std::size_t bytes_max) const {
  for (const SurveyedSegment& each : segments_) {
    const SegmentRecord& record = each.record;
    if (record.sealed && record.after.id.index <= after) continue;
    if (record.before.id.index > after) {
      return std::vector<KeptItem>{{.skip_to = record.before, .entry = {}}};
    }
    if (each.segment == nullptr) return std::vector<KeptItem>{};
    if (!record.sealed || !each.sound) return read_run(each, after, to, bytes_max);
    const KeptSource source{.sealed = {each.segment},
                            .active = each.segment,
                            .active_before = record.after,
                            .found = {},
                            .candidates = {},
                            .footers = footers_};
    TRY_ASSIGN(items,
               read_kept_items(source, after, std::min(to, record.after.id.index), bytes_max));
    if (!items.empty()) return items;
    // It ends inside of a hole.
    return read_kept_items(source, after, record.after.id.index, 1);
  }
  return std::vector<KeptItem>{};
}

}  // namespace lignum::storage
