#pragma once

// What the bytes of an active segment hold, and whether what follows its last good frame is a torn
// write or damage (rules B4). Pure: recovery acts on the answer, the offline checker only tells it.

#include <cstdint>
#include <string>

#include "raft/payload.h"
#include "raft/types.h"
#include "storage/frame_codec.h"
#include "storage/manifest.h"
#include "storage/segment_index.h"

namespace lignum::storage {

struct TailScan {
  // Of the frames that check, from the first one on without a gap.
  SegmentIndex index;
  // The log after them.
  LogMark mark;
  std::uint64_t end = 0;
  // Everything below was flushed, as the frames say; kFramesStart at least.
  std::uint64_t flushed = 0;
  // Where the newest marker among them ends; 0 without one.
  std::uint64_t marked_end = 0;
  // One past the last byte that is not zero; `end` where only zeros follow.
  std::uint64_t content_end = 0;
  // Not empty: bytes behind `end` prove that it was flushed once, and this says which do.
  std::string damage;

  [[nodiscard]] bool torn() const { return damage.empty() && content_end > end; }
};

// `bytes` is the whole file of the segment that `record` lists as the active one.
[[nodiscard]] TailScan scan_tail(Bytes bytes, const SegmentRecord& record,
                                 GroupIncarnation incarnation);

// What proves that the frame at `position`, which does not check, was flushed once: a clause for a
// message. Empty: nothing does.
[[nodiscard]] std::string proof_of_flush(Bytes bytes, SegmentId segment, std::uint64_t position);

// One past the last byte that is not zero, at least `from`.
[[nodiscard]] std::uint64_t content_end(Bytes bytes, std::uint64_t from);

}  // namespace lignum::storage
