#pragma once

// A log that is to take the place of another one's end: segments with skip frames, written beside
// the live ones, which no manifest lists. Debris until the switch (Log::take_restore).
//
//     the log      | kept up to after() | what goes at the switch ... |
//     the stage                         | segment | segment | ... -> mark()
//
// Every item is checked before it is written: it continues the group chain, its payload has the
// checksum it names, terms and stamps do not fall. Made by Log::begin_stage and extended on the
// lane; add(), finish() and discard() do output, on any thread, one at a time.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "raft/entry.h"
#include "raft/error.h"
#include "raft/types.h"
#include "storage/file.h"
#include "storage/frame_codec.h"
#include "storage/frame_format.h"
#include "storage/log.h"
#include "storage/log_mark.h"
#include "storage/manifest.h"
#include "storage/segment_header.h"
#include "storage/segment_index.h"

namespace lignum::storage {

class LogStage {
 public:
  struct Parts {
    // Outlives the stage.
    Directory& directory;
    GroupId group;
    GroupIncarnation incarnation;
    NodeIncarnation node;
    // A segment of this size takes no more items.
    std::size_t segment_bytes = 0;
  };
  LogStage(const Parts& parts, const LogMark& after) : parts_(parts), after_(after), mark_(after) {}

  [[nodiscard]] const LogMark& after() const { return after_; }
  // The end of what was added.
  [[nodiscard]] const LogMark& mark() const { return mark_; }
  // The next add() begins a segment, and needs a number for it.
  [[nodiscard]] bool needs_segment() const { return !number_ && (!file_ || full()); }
  // The segment that is being written has a hole.
  [[nodiscard]] bool holed() const { return file_ && record_.holes; }
  // The segment that is being written takes no more items.
  void close_segment() { closed_ = true; }
  void give_segment(SegmentId number) { number_ = number; }

  // Writes the items behind mark(). kCorrupt where they do not continue it; kNoSpace or kIo. After
  // a failure the stage is good for discard() only.
  [[nodiscard]] Result<void> add(std::span<const KeptItem> items);
  // Makes all of it durable. Nothing is added afterwards.
  [[nodiscard]] Result<void> finish();
  // Removes the files; what cannot be removed is debris at the next boot.
  void discard();

  // After finish(): in log order.
  [[nodiscard]] const std::vector<SegmentRecord>& records() const { return records_; }

 private:
  [[nodiscard]] bool full() const { return closed_ || position_ >= parts_.segment_bytes; }
  Result<void> open_segment();
  Result<void> seal_segment();
  Result<void> put(const KeptItem& item, std::vector<std::byte>& frames);
  [[nodiscard]] Envelope envelope(FrameKind kind, std::uint64_t position) const;

  const Parts parts_;
  const LogMark after_;
  LogMark mark_;
  std::vector<SegmentRecord> records_;
  std::optional<SegmentId> number_;
  // The segment being written.
  std::unique_ptr<File> file_;
  SegmentRecord record_;
  SegmentIndex index_;
  std::uint64_t position_ = 0;
  bool closed_ = false;
};

}  // namespace lignum::storage
