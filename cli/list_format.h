#pragma once

// How verbs that answer with facts rather than records print them.

#include <cstdint>

namespace lignum::cli {

enum class ListFormat : std::uint8_t { kTable, kJson };

}  // namespace lignum::cli
