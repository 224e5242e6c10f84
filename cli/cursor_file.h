#pragma once

// A file with one line: where a reader stopped. Replaced atomically and synced, after the output it
// stands for has left.

#include <optional>
#include <string>
#include <string_view>

#include "raft/error.h"

namespace lignum::cli {

// None when there is no file. kCorrupt, naming the file, the place and the way out, for one that
// holds anything but a cursor and a newline; kIo where it cannot be read.
[[nodiscard]] Result<std::optional<std::string>> load_cursor(const std::string& path);
// kIo where store_cursor() would fail. What is in the file stays.
[[nodiscard]] Result<void> check_cursor_writable(const std::string& path);
[[nodiscard]] Result<void> store_cursor(const std::string& path, std::string_view cursor);

}  // namespace lignum::cli
