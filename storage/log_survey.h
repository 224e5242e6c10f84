#pragma once

// What can still be read of a log that is damaged: every frame of every segment, looked at once.
//
// The manifest fixes where each sealed segment begins and ends, chain included; frames name their
// own place in file and chain, so those behind a damaged one are known for what they are. What lies
// between two known places is missing, and the chain before the next one says what it must be
// (rules I): log_repair.h puts it back. Meanwhile other damaged replicas are served from here.
//
// In the active segment the rule of the torn tail decides, place by place: what nothing proves to
// have been flushed ends the log there. Only where the file itself is missing or short is it not
// known how far the log reached; then it is open-ended.
//
// Made by one thread, which blocks; immutable afterwards and safe from any thread. Changes nothing.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "raft/entry.h"
#include "raft/error.h"
#include "raft/types.h"
#include "storage/file.h"
#include "storage/log_mark.h"
#include "storage/manifest.h"
#include "storage/segment.h"
#include "storage/segmented_log.h"

namespace lignum::storage {

// A frame that checks, or a place of the log that something else vouches for.
struct SoundFrame {
  enum class Kind : std::uint8_t {
    kEntry,
    kSkip,
    kPlace,  // a marker, or what lies outside the log: nothing but the chain before `first`
  };
  Kind kind = Kind::kPlace;
  Index first;
  Hash128 chain_before;
  // Not of a place.
  LogMark after;
  Location location;
};

struct SurveyedSegment {
  SegmentRecord record;
  // None where the file is missing.
  SegmentPtr segment;
  // Everything that the manifest promises is there; in the active one: what was ever flushed.
  bool sound = true;
  // It is not known how far the log reached in it.
  bool open_ended = false;
  // Names file and byte of the first thing that does not check.
  std::string trouble;
  // Ascending; of a sealed segment only where it is not sound, or was asked for.
  std::vector<SoundFrame> frames;
};

class LogSurvey {
 public:
  // kCorrupt where the manifest is lost or of another group; kIo. `directory` outlives the survey.
  // `frames_after`: the segment that holds the entry after it tells its frames also where it is
  // sound.
  [[nodiscard]] static Result<LogSurvey> make(Directory& directory,
                                              const SegmentedLogOptions& options,
                                              const LogEvidence& evidence,
                                              std::optional<Index> frames_after = std::nullopt);

  // In log order; the last one is active.
  [[nodiscard]] const std::vector<SurveyedSegment>& segments() const { return segments_; }
  [[nodiscard]] bool sound() const;

  // What follows `after` up to `to` as far as it is sound, about `bytes_max`, one item at least
  // where there is any; as Log::read_kept(). Reads.
  [[nodiscard]] Result<std::vector<KeptItem>> read_kept(Index after, Index to,
                                                        std::size_t bytes_max) const;

 private:
  std::vector<SurveyedSegment> segments_;
  std::shared_ptr<FooterCache> footers_ = std::make_shared<FooterCache>();
};

}  // namespace lignum::storage
