#pragma once

// Addresses of nodes as people write them. Pure: no name is looked up.

#include <string>
#include <string_view>
#include <vector>

#include "raft/error.h"

namespace lignum::cli {

inline constexpr std::string_view kDefaultEndpoint = "127.0.0.1:7400";

// "host:port,[v6]:port" as a list. kInvalidArgument says which one is wrong and in which part.
[[nodiscard]] Result<std::vector<std::string>> parse_endpoints(std::string_view text);

}  // namespace lignum::cli
