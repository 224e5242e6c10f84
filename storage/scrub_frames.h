#pragma once

// The offline checker among the frames of one segment.

#include <cstdint>
#include <optional>
#include <string>

#include "raft/entry.h"
#include "raft/payload.h"
#include "raft/types.h"
#include "storage/frame_codec.h"
#include "storage/manifest.h"
#include "storage/scrub_report.h"
#include "storage/segment_index.h"

namespace lignum::storage {

// Walks the frames of one segment front to back: every checksum, every link of the chain, every
// batch. Goes on behind what does not check. One walk, one object; keeps references.
class FrameWalk {
 public:
  struct Segment {
    const SegmentRecord& record;
    GroupIncarnation incarnation;
    // The whole file.
    Bytes file;
  };
  // The ledger stands at the first frame.
  FrameWalk(ScrubLedger& ledger, const Segment& segment)
      : ledger_(ledger), segment_(segment), mark_(segment.record.before) {}

  // On from where the ledger stands until it stands at `to` or, where a frame reaches over it, at
  // that frame's end; no frame reaches over `limit`. `meaning` goes with what does not check.
  void run(std::uint64_t to, std::uint64_t limit, const std::string& meaning);

  // Where the log stands after the frames; of a truncated segment, after the last one it kept.
  [[nodiscard]] const LogMark& mark() const { return kept_ ? *kept_ : mark_; }
  // No frame was missed.
  [[nodiscard]] bool whole() const { return whole_; }
  // Of the entries that were not cut off.
  [[nodiscard]] const SegmentIndex& index() const { return index_; }

 private:
  void take_garbage(std::uint64_t to);
  void take_entry(const Frame& frame, const EntryHeader& header);
  void take_marker(const Frame& frame, const Marker& marker);
  void take_skip(const Frame& frame, const Skip& skip);
  // Judges the link to the log so far; empty where it holds.
  [[nodiscard]] std::string broken_link(const EntryHeader& header) const;
  void damage(std::uint64_t bytes, std::string what);
  // The frame's bytes; the padding at its end is looked at.
  void use_frame(const Frame& frame, std::uint64_t content, ByteUse use);

  ScrubLedger& ledger_;
  const Segment& segment_;
  std::string meaning_;
  LogMark mark_;
  // Set once entries follow that a truncation cut off.
  std::optional<LogMark> kept_;
  SegmentIndex index_;
  bool whole_ = true;
  // The frame before was missed: the chain cannot be followed into the next one.
  bool gap_ = false;
};

}  // namespace lignum::storage
