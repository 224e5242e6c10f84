#pragma once

// The offline checker on the files that a node has once: who it is, and what it voted.

#include <cstdint>
#include <optional>

#include "raft/error.h"
#include "storage/file.h"
#include "storage/identity_file.h"
#include "storage/scrub_report.h"

namespace lignum::storage {

// Judges `identity`, which is there. None where it is lost; kUnsupported for another version.
[[nodiscard]] Result<std::optional<NodeIdentity>> scrub_identity(ScrubLedger& ledger,
                                                                 Directory& root);

// Judges `hard-state`, there or not; the node has `groups` groups. kUnsupported as above.
[[nodiscard]] Result<void> scrub_hard_state(ScrubLedger& ledger, Directory& root,
                                            std::uint32_t groups);

}  // namespace lignum::storage
