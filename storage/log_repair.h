#pragma once

// The making good of a damaged log (rules I): what is sound of it, and what others still have,
// become the log that it was.
//
//     survey ── advance ──► wanted: entries after a place, up to a known chain ──► add ─┐
//                  ▲                                                                    │
//                  └────────────────────────────────────────────────────────────────────┘
//                  └──► nothing is wanted any more: the log opens
//
// A damaged segment is written anew beside the old one, from its sound frames and from what was
// added between them; every entry has to continue the chain, and the last one before a sound frame,
// or before the end that the manifest names, has to end in the chain known there. Then one edit of
// the manifest puts the new segments in the place of the old one, whose file is removed: nothing
// that was sound in it is missing from them. A crash before leaves the old log, and debris.
//
// A hole that a peer's cleaner left is taken over only where a state that is durable here contains
// the entries (LogEvidence): replaying would miss them otherwise. A segment with a hole is replayed
// no more (Log::first_index), so what that state does not contain begins another one.
//
// Where nobody has what is missing any more, the log is made anew up to a state of the group, which
// holds all that was committed until then: entries and holes are added from the beginning on, what
// is here behind the state stays if it continues it, and the same switch replaces all the segments.
// The caller has the state at hand, and installs it when the log stands (storage/image_transfer.h).
//
// Used while nobody has the log open; any thread, one call at a time. After an error the repair is
// begun anew; what was done stays done.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "raft/entry.h"
#include "raft/error.h"
#include "raft/types.h"
#include "storage/file.h"
#include "storage/log_mark.h"
#include "storage/log_stage.h"
#include "storage/log_survey.h"
#include "storage/manifest.h"
#include "storage/segmented_log.h"

namespace lignum::storage {

// What is to be added next.
struct MissingRange {
  LogMark after;
  // The last entry of it, and the group chain after that one. None: it is not known how far the log
  // reached.
  struct End {
    Index index;
    Hash128 chain;
  };
  std::optional<End> end;
};

class LogRepair {
 public:
  // `directory` outlives the repair. kCorrupt, kIo as LogSurvey::make().
  [[nodiscard]] static Result<std::unique_ptr<LogRepair>> begin(Directory& directory,
                                                                const SegmentedLogOptions& options,
                                                                const LogEvidence& evidence);
  ~LogRepair() = default;
  LogRepair(const LogRepair&) = delete;
  LogRepair& operator=(const LogRepair&) = delete;

  [[nodiscard]] const std::shared_ptr<const LogSurvey>& survey() const { return survey_; }

  // Goes on until something is missing that is not here, and returns it; nothing: the log is whole.
  // kNoSpace or kIo; kCorrupt where what was added does not lead to what is here.
  [[nodiscard]] Result<std::optional<MissingRange>> advance();
  enum class Added : std::uint8_t {
    kTaken,
    kHole,     // they are a hole that may not be taken over; nothing was taken
    kForeign,  // they are of another history, or broken; nothing was taken
  };
  // Takes what follows the range's beginning, any number of items; what leads behind its end is
  // left out. kNoSpace or kIo. advance() comes next.
  [[nodiscard]] Result<Added> add(std::span<const KeptItem> items);
  // begin_anew() was called, and its switch is still to come.
  [[nodiscard]] bool making_anew() const { return anew_.has_value(); }
  // The log up to `state` is given up, and is to be added. kCorrupt or kIo, as begin(); kNoSpace
  // where there is no room for it beside the old one. advance() comes next.
  [[nodiscard]] Result<void> begin_anew(const LogMark& state);
  // The active segment, and the log with it, ends where it stands. The caller has the word of a
  // leader that nothing was committed behind it that would be lost.
  void end_here();
  // Removes what was not listed yet; debris otherwise. Nothing else is called afterwards.
  void discard();
  // The error was of a write or sync of the list of segments: nobody knows what is on the disk, and
  // the process has to stop.
  [[nodiscard]] bool disk_failed() const { return disk_failed_; }

 private:
  LogRepair(Directory& directory, const SegmentedLogOptions& options, const LogEvidence& evidence,
            std::unique_ptr<ManifestFile> manifest, std::shared_ptr<const LogSurvey> survey);

  [[nodiscard]] const SurveyedSegment& segment() const { return survey_->segments()[segment_at_]; }
  void begin_stage(const LogMark& after);
  Result<std::optional<MissingRange>> advance_anew();
  // What is here behind the state is of another history: nothing of it was ever committed.
  [[nodiscard]] bool parts_from_state() const;
  // What a durable state contains.
  [[nodiscard]] Index contained() const;
  // Copies sound frames; returns what is missing before the next one.
  Result<std::optional<MissingRange>> copy_frames();
  Result<void> copy(const SoundFrame& frame);
  Result<void> put(std::span<const KeptItem> items);
  Result<void> put_run(std::span<const KeptItem> items);
  // What is missing behind the last sound frame.
  [[nodiscard]] Result<std::optional<MissingRange>> missing_at_end() const;
  // segments [from, segment_at_] of the survey, by what was staged.
  Result<void> replace_segments(std::size_t from);
  Result<SegmentRecord> make_active();
  // None: it may not be taken over.
  [[nodiscard]] std::optional<LogMark> clipped(const LogMark& hole) const;
  [[nodiscard]] bool continues(const LogMark& at, const Entry& entry) const;
  [[nodiscard]] Result<void> check_room() const;
  [[nodiscard]] SegmentId take_number();

  Directory& directory_;
  const SegmentedLogOptions options_;
  const LogEvidence evidence_;
  std::unique_ptr<ManifestFile> manifest_;
  std::shared_ptr<const LogSurvey> survey_;
  SegmentId next_number_;

  std::size_t segment_at_ = 0;
  // Of segment(), where it is not sound.
  std::unique_ptr<LogStage> stage_;
  std::size_t frame_at_ = 0;
  std::optional<MissingRange> wanted_;
  // Set while the log is made anew up to there.
  std::optional<LogMark> anew_;
  // The last one.
  std::optional<LogMark> state_;
  bool ended_ = false;
  bool disk_failed_ = false;
};

}  // namespace lignum::storage
