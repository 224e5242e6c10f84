#pragma once

// The offline checker on one segment of a group's log.

#include <optional>

#include "raft/payload.h"
#include "raft/types.h"
#include "storage/manifest.h"
#include "storage/scrub_report.h"

namespace lignum::storage {

struct ScrubbedGroup {
  GroupId group;
  GroupIncarnation incarnation;
  // False where the node's identity is lost: then the incarnation is what the manifest says.
  bool incarnation_known = true;
  // Likewise; then each segment is believed.
  std::optional<NodeIncarnation> node = std::nullopt;
};

// Judges `file`, all bytes of the segment that `record` lists; the ledger has begun it and is left
// at its end. Returns where the log stands after it, as far as its frames tell.
[[nodiscard]] LogMark scrub_sealed_segment(ScrubLedger& ledger, const ScrubbedGroup& group,
                                           const SegmentRecord& record, Bytes file);
[[nodiscard]] LogMark scrub_active_segment(ScrubLedger& ledger, const ScrubbedGroup& group,
                                           const SegmentRecord& record, Bytes file);

}  // namespace lignum::storage
