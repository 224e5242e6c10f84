#pragma once

// Whole numbers as people write them.

#include <cstdint>
#include <limits>
#include <string_view>

#include "raft/error.h"

namespace lignum::cli {

// Digits in base 10 and nothing else: 010 is ten; signs, blanks, points and 0x10 are refused.
// Refused, too, is what is above `most`: taken for the largest number there is, as strtoull does
// it, the offset of a trim would delete everything.
[[nodiscard]] Result<std::uint64_t> parse_whole_number(
    std::string_view text, std::uint64_t most = std::numeric_limits<std::uint64_t>::max());

}  // namespace lignum::cli
