#pragma once

// What a log with holes still holds: entries, and marks that stand for those that the cleaner
// removed. Reads segments on any thread; part of SegmentedLog and of its cleaner.

#include <cstddef>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "raft/entry.h"
#include "raft/error.h"
#include "raft/types.h"
#include "storage/log.h"
#include "storage/log_mark.h"
#include "storage/segment.h"
#include "storage/segment_index.h"

namespace lignum::storage {

// Where the log stands after an entry with this header.
[[nodiscard]] LogMark mark_after(const EntryHeader& header);

// Where the log stood before the entry that `header` is of, which lies in `source` behind a frame:
// that says so, be it an entry or the skip of an earlier cleaning. kCorrupt or kIo.
[[nodiscard]] Result<LogMark> mark_before(const Segment& source, const SegmentIndex& index,
                                          const EntryHeader& header);

// The segments of a log as a read sees them: sealed ones, and frames of the active one that were
// looked up on the lane.
struct KeptSource {
  std::vector<SegmentPtr> sealed;  // in log order
  SegmentPtr active;
  LogMark active_before;
  std::vector<Location> found;  // read_kept: consecutive entries behind active_before or `after`
  // find_mark: which of the marks may stand after an entry of the active segment.
  std::vector<std::pair<LogMark, Location>> candidates;
  std::shared_ptr<FooterCache> footers;
};

// Log::read_kept and Log::find_mark.
[[nodiscard]] Result<std::vector<KeptItem>> read_kept_items(const KeptSource& source, Index after,
                                                            Index to, std::size_t bytes_max);
[[nodiscard]] Result<std::optional<LogMark>> find_known_mark(const KeptSource& source,
                                                             const std::vector<LogMark>& known);

}  // namespace lignum::storage
