#pragma once

// The offline checker on one group: its log and its images.

#include <optional>
#include <string>

#include "raft/error.h"
#include "raft/types.h"
#include "storage/file.h"
#include "storage/manifest.h"
#include "storage/scrub_report.h"
#include "storage/scrub_segment.h"

namespace lignum::storage {

// Where the log of a group lies: after which entry it begins, and where it ends.
struct ScrubbedLog {
  Index before;
  Index last;
};

// Judges the group's directory, whose name from the data directory is `path`; learns the
// incarnation where it is not known. None where the list of segments is lost. kIo only where the
// directory itself cannot be read.
[[nodiscard]] Result<std::optional<ScrubbedLog>> scrub_log(ScrubLedger& ledger,
                                                           Directory& directory,
                                                           const std::string& path,
                                                           ScrubbedGroup& group);

// Judges the group's images. `log` is what scrub_log() found, none where nothing is known of it:
// images have to reach it.
[[nodiscard]] Result<void> scrub_images(ScrubLedger& ledger, Directory& directory,
                                        const std::string& path, const ScrubbedGroup& group,
                                        const std::optional<ScrubbedLog>& log);

}  // namespace lignum::storage
