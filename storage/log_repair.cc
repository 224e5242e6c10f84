#include "storage/log_repair.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <expected>
#include <iterator>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include "raft/check.h"
#include "raft/entry.h"
#include "raft/error.h"
#include "raft/types.h"
#include "storage/aligned_buffer.h"
#include "storage/file.h"
#include "storage/frame_codec.h"
#include "storage/kept_entries.h"
#include "storage/log_mark.h"
#include "storage/log_stage.h"
#include "storage/log_survey.h"
#include "storage/manifest.h"
#include "storage/segment_header.h"
#include "storage/segmented_log.h"

namespace lignum::storage {

namespace {

// What live data may need meanwhile.
constexpr std::uint64_t kRoomLeft = std::uint64_t{64} << 20;

std::unexpected<Error> foreign(Index index) {
  return fail(Errc::kCorrupt,
              fmt::format("entry {} is not the one that this log had", index.value()));
}

}  // namespace

Result<std::unique_ptr<LogRepair>> LogRepair::begin(Directory& directory,
                                                    const SegmentedLogOptions& options,
                                                    const LogEvidence& evidence) {
  TRY_ASSIGN(survey, LogSurvey::make(directory, options, evidence));
  TRY_ASSIGN(manifest, ManifestFile::load(directory));
  auto repair = std::unique_ptr<LogRepair>(
      new LogRepair(directory, options, evidence, std::move(manifest.file),
                    std::make_shared<const LogSurvey>(std::move(survey))));
  // The number of a file that is there is never given again, whether it is listed or debris.
  TRY_ASSIGN(names, directory.list());
  for (const std::string& name : names) {
    if (!name.ends_with(".seg")) continue;
    const SegmentId next(std::strtoull(name.c_str(), nullptr, 16) + 1);
    repair->next_number_ = std::max(repair->next_number_, next);
  }
  return repair;
}

LogRepair::LogRepair(Directory& directory, const SegmentedLogOptions& options,
                     const LogEvidence& evidence, std::unique_ptr<ManifestFile> manifest,
                     std::shared_ptr<const LogSurvey> survey)
    : directory_(directory),
      options_(options),
      evidence_(evidence),
      manifest_(std::move(manifest)),
      survey_(std::move(survey)),
      next_number_(manifest_->current().next_segment) {}

void LogRepair::discard() {
  if (stage_) stage_->discard();
  stage_.reset();
}

SegmentId LogRepair::take_number() {
  return std::exchange(next_number_, SegmentId(next_number_.value() + 1));
}

void LogRepair::begin_stage(const LogMark& after) {
  stage_ = std::make_unique<LogStage>(LogStage::Parts{.directory = directory_,
                                                      .group = options_.group,
                                                      .incarnation = options_.incarnation,
                                                      .node = options_.node,
                                                      .segment_bytes = options_.segment_bytes_max},
                                      after);
  frame_at_ = 0;
  ended_ = false;
}

Result<void> LogRepair::begin_anew(const LogMark& state) {
  discard();
  TRY_ASSIGN(survey, LogSurvey::make(directory_, options_, evidence_, state.id.index));
  survey_ = std::make_shared<const LogSurvey>(std::move(survey));
  anew_ = state;
  state_ = state;
  const auto& segments = survey_->segments();
  const auto behind = std::ranges::find_if(segments, [&](const SurveyedSegment& each) {
    return !each.record.sealed || each.record.after.id.index > state.id.index;
  });
  segment_at_ = static_cast<std::size_t>(behind - segments.begin());
  TRY(check_room());
  begin_stage({});
  return {};
}

// The new segments stand beside the old ones until the switch, and others need room meanwhile.
Result<void> LogRepair::check_room() const {
  std::uint64_t bytes = kRoomLeft;
  for (std::size_t at = 0; at <= segment_at_; ++at) {
    bytes += survey_->segments()[at].record.file_bytes;
  }
  TRY_ASSIGN(free, directory_.free_bytes());
  if (free >= bytes) return {};
  return fail(Errc::kNoSpace,
              fmt::format("{}: {} bytes are free; to make the log anew beside the old one takes {}",
                          directory_.path(), free, bytes));
}

Index LogRepair::contained() const {
  return state_ ? std::max(state_->id.index, evidence_.index) : evidence_.index;
}

bool LogRepair::parts_from_state() const {
  const LogMark& at = stage_->mark();
  if (segment().record.before.id == at.id) return segment().record.before.chain != at.chain;
  const auto next = std::ranges::find(segment().frames, at.id.index.next(), &SoundFrame::first);
  return next != segment().frames.end() && next->chain_before != at.chain;
}

Result<std::optional<MissingRange>> LogRepair::advance_anew() {
  CHECK(anew_.has_value());
  const LogMark& at = stage_->mark();
  if (at.id.index < anew_->id.index) {
    return MissingRange{.after = at,
                        .end = MissingRange::End{.index = anew_->id.index, .chain = anew_->chain}};
  }
  if (parts_from_state()) {
    segment_at_ = survey_->segments().size() - 1;
  } else {
    TRY_ASSIGN(missing, copy_frames());
    if (missing) return missing;
  }
  TRY(replace_segments(0));
  anew_.reset();
  ++segment_at_;
  return std::nullopt;
}

Result<std::optional<MissingRange>> LogRepair::advance() {
  wanted_.reset();
  if (anew_) {
    TRY_ASSIGN(missing, advance_anew());
    wanted_ = missing;
    if (missing) return wanted_;
  }
  while (segment_at_ < survey_->segments().size()) {
    if (segment().sound) {
      ++segment_at_;
      continue;
    }
    if (!stage_) begin_stage(segment().record.before);
    TRY_ASSIGN(missing, copy_frames());
    if (missing) {
      wanted_ = missing;
      return wanted_;
    }
    TRY(replace_segments(segment_at_));
    ++segment_at_;
  }
  return std::nullopt;
}

Result<std::optional<MissingRange>> LogRepair::copy_frames() {
  const std::vector<SoundFrame>& frames = segment().frames;
  for (; frame_at_ < frames.size(); ++frame_at_) {
    const SoundFrame& frame = frames[frame_at_];
    const LogMark& at = stage_->mark();
    if (frame.first > at.id.index.next()) {
      if (ended_) break;
      return MissingRange{.after = at,
                          .end = MissingRange::End{.index = Index(frame.first.value() - 1),
                                                   .chain = frame.chain_before}};
    }
    if (frame.first == at.id.index.next()) {
      if (frame.chain_before != at.chain) return foreign(at.id.index);
      if (frame.kind != SoundFrame::Kind::kPlace) TRY(copy(frame));
    } else if (frame.kind == SoundFrame::Kind::kSkip && frame.after.id.index > at.id.index) {
      // A hole was taken over that ends inside of this one.
      TRY(copy(frame));
    }
  }
  return missing_at_end();
}

Result<void> LogRepair::copy(const SoundFrame& frame) {
  KeptItem item;
  if (frame.kind == SoundFrame::Kind::kSkip) {
    item.skip_to = frame.after;
  } else {
    TRY_ASSIGN(entries, segment().segment->read_sound({&frame.location, 1}, 1));
    item.entry = std::move(entries.front());
  }
  return put({&item, 1});
}

Result<void> LogRepair::put(std::span<const KeptItem> items) {
  const auto replayed = std::ranges::find_if(items, [this](const KeptItem& item) {
    return !item.skip_to && item.entry.header.index > contained();
  });
  const auto contained = static_cast<std::size_t>(replayed - items.begin());
  TRY(put_run(items.first(contained)));
  if (replayed != items.end() && stage_->holed()) stage_->close_segment();
  return put_run(items.subspan(contained));
}

Result<void> LogRepair::put_run(std::span<const KeptItem> items) {
  if (items.empty()) return {};
  if (stage_->needs_segment()) stage_->give_segment(take_number());
  return stage_->add(items);
}

Result<std::optional<MissingRange>> LogRepair::missing_at_end() const {
  const LogMark& at = stage_->mark();
  const SegmentRecord& record = segment().record;
  if (record.sealed) {
    if (at.id.index < record.after.id.index) {
      return MissingRange{
          .after = at,
          .end = MissingRange::End{.index = record.after.id.index, .chain = record.after.chain}};
    }
    if (at != record.after) return foreign(at.id.index);
  } else if (segment().open_ended && !ended_) {
    return MissingRange{.after = at, .end = std::nullopt};
  }
  return std::nullopt;
}

// A hole that leads behind what is missing is taken over as far as it is known here what stands at
// its end: at the end of the segment, or at that of the state.
std::optional<LogMark> LogRepair::clipped(const LogMark& hole) const {
  CHECK(wanted_.has_value());
  if (!wanted_->end) return std::nullopt;
  LogMark to = hole;
  if (anew_ && wanted_->end->index == anew_->id.index) {
    if (to.id.index > anew_->id.index) to = *anew_;
  } else if (to.id.index > wanted_->end->index) {
    const SegmentRecord& record = segment().record;
    if (record.sealed && record.after.id.index < to.id.index) to = record.after;
    if (evidence_.mark && evidence_.mark->id.index < to.id.index) to = *evidence_.mark;
    if (to.id.index < wanted_->end->index) return std::nullopt;
  }
  if (to.id.index > contained()) return std::nullopt;
  return to;
}

bool LogRepair::continues(const LogMark& at, const Entry& entry) const {
  const EntryHeader& header = entry.header;
  return header.group == options_.incarnation && header.index == at.id.index.next() &&
         header.term >= at.id.term && header.append_time > at.append_time &&
         header.previous_chain == at.chain && header.payload_bytes == entry.payload.size() &&
         payload_intact(header, entry.payload.bytes());
}

Result<LogRepair::Added> LogRepair::add(std::span<const KeptItem> items) {
  CHECK(wanted_.has_value());
  std::vector<KeptItem> taken;
  LogMark at = stage_->mark();
  for (const KeptItem& item : items) {
    if (wanted_->end && at.id.index >= wanted_->end->index) break;
    if (item.skip_to) {
      const bool forward = item.skip_to->id.index > at.id.index &&
                           item.skip_to->id.term >= at.id.term &&
                           item.skip_to->append_time >= at.append_time;
      if (!forward) return Added::kForeign;
      const auto hole = clipped(*item.skip_to);
      if (!hole) return Added::kHole;
      at = *hole;
      taken.push_back({.skip_to = hole, .entry = {}});
    } else {
      if (!continues(at, item.entry)) return Added::kForeign;
      at = mark_after(item.entry.header);
      taken.push_back(item);
    }
    if (wanted_->end && at.id.index == wanted_->end->index && at.chain != wanted_->end->chain) {
      return Added::kForeign;
    }
  }
  TRY(put(taken));
  return Added::kTaken;
}

void LogRepair::end_here() { ended_ = !segment().record.sealed; }

Result<SegmentRecord> LogRepair::make_active() {
  const SegmentRecord record{
      .id = take_number(), .before = stage_->mark(), .file_bytes = options_.segment_bytes_min};
  TRY_ASSIGN(file, directory_.open(segment_file_name(record.id), OpenMode::kCreate));
  AlignedBuffer bytes(record.file_bytes);
  const AlignedBuffer header = encode_segment_header({.group = options_.group,
                                                      .incarnation = options_.incarnation,
                                                      .segment = record.id,
                                                      .node = options_.node});
  std::ranges::copy(header.bytes(), bytes.span().begin());
  TRY(file->write_at(0, bytes.bytes()));
  TRY(file->sync());
  return record;
}

Result<void> LogRepair::replace_segments(std::size_t from) {
  const auto& surveyed = survey_->segments();
  const SegmentId first = surveyed[from].record.id;
  const SegmentId last = segment().record.id;
  TRY(stage_->finish());
  std::vector<SegmentRecord> made = stage_->records();
  if (!segment().record.sealed) {
    TRY_ASSIGN(active, make_active());
    made.push_back(active);
    TRY(directory_.sync());
  }
  // Where the switch fails it may have happened all the same: nothing of it is removed.
  stage_.reset();
  // The switch.
  const auto switched = manifest_->edit([&](Manifest& manifest) {
    const auto begin = std::ranges::find(manifest.segments, first, &SegmentRecord::id);
    const auto end = std::ranges::find(manifest.segments, last, &SegmentRecord::id);
    CHECK(begin <= end);
    CHECK(end != manifest.segments.end());
    const auto place = manifest.segments.erase(begin, std::next(end));
    manifest.segments.insert(place, made.begin(), made.end());
    manifest.next_segment = std::max(manifest.next_segment, next_number_);
  });
  if (!switched) {
    disk_failed_ = switched.error().code() == Errc::kIo;
    return switched;
  }
  // What cannot be removed now is debris at the next boot.
  for (std::size_t at = from; at <= segment_at_; ++at) {
    (void)directory_.remove(segment_file_name(surveyed[at].record.id));
  }
  return {};
}

}  // namespace lignum::storage
