#pragma once

// Small text files of the user: configuration and cursors.

#include <optional>
#include <string>
#include <string_view>

#include "raft/error.h"

namespace lignum::cli {

// The whole file; none where it does not exist. kIo names the path; kTooLarge above 1 MiB.
[[nodiscard]] Result<std::optional<std::string>> read_text_file(const std::string& path);

// Whether replace_text_file() would succeed now; kIo says why not. Touches only a file beside it,
// which it removes.
[[nodiscard]] Result<void> check_replaceable(const std::string& path);

// Replaces the file: whoever reads it, also after a crash, finds the old text or the new one. The
// directory must exist. kIo for what is there and is no ordinary file.
[[nodiscard]] Result<void> replace_text_file(const std::string& path, std::string_view text);

}  // namespace lignum::cli
