#pragma once

// Reading for the offline checker: a file of which some blocks cannot be read is read all the same.

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "storage/file.h"
#include "storage/scrub_report.h"

namespace lignum::storage {

// No file of a log is larger: what lies beyond is not read.
inline constexpr std::size_t kScrubbedFileMax = std::size_t{512} << 20;

// Begins `path` in the ledger and reads the file `name`, which is there. Blocks that the disk
// refuses are findings and read as zeros; none, with a finding and the file ended, where nothing of
// it can be read.
[[nodiscard]] std::optional<std::vector<std::byte>> begin_file(ScrubLedger& ledger,
                                                               Directory& directory,
                                                               std::string_view name,
                                                               const std::string& path);

// A file that nobody reads: only its length counts. With a finding where `meaning` is not empty.
void list_file(ScrubLedger& ledger, Directory& directory, std::string_view name,
               const std::string& path, ByteUse use, std::string_view meaning);

// A file that is removed at the next start: prepared for later where it holds only zeros, else the
// rest of unfinished work, which is a finding: `what` it is, and what its `meaning`.
void list_leftover(ScrubLedger& ledger, Directory& directory, std::string_view name,
                   const std::string& path,
                   std::string_view what = "unfinished work, not a part of the log",
                   std::string_view meaning = "the next start removes or replaces it");

}  // namespace lignum::storage
