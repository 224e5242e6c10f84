#pragma once

// The bytes of a record as the workload writes them: a Value of the history, and a filling that
// follows from it, so that a record read back proves itself byte by byte.

#include <cstddef>
#include <vector>

#include "jepsen/check/history.h"
#include "raft/payload.h"

namespace lignum::jepsen {

// Client u32, sequence u64 (little-endian).
inline constexpr std::size_t kValueBytesMin = 12;

// At least kValueBytesMin bytes are made.
[[nodiscard]] std::vector<std::byte> record_bytes(Value value, std::size_t bytes);
// Value::unreadable() for bytes that record_bytes() did not make.
[[nodiscard]] Value value_of(Bytes bytes);

}  // namespace lignum::jepsen
