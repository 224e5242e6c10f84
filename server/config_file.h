#pragma once

// The text of a configuration file, or why there is none: never an exception.

#include <cstddef>
#include <string>
#include <string_view>

#include "raft/error.h"

namespace lignum::server {

// Of one file; a larger one is none of ours.
inline constexpr std::size_t kConfigBytesMax = std::size_t{1} << 20;

// kInvalidArgument, which names the file: it is not there, a directory, unreadable, too large.
[[nodiscard]] Result<std::string> read_config_file(const std::string& name);
// The same of another small file, which messages call `what`.
[[nodiscard]] Result<std::string> read_small_file(const std::string& name, std::string_view what);

}  // namespace lignum::server
