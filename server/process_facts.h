#pragma once

// What the operating system says about this process. Safe from any thread.

#include <cstdint>

namespace lignum::server {

// 0 where it cannot be told.
[[nodiscard]] std::uint64_t resident_bytes();
// User and system time since start, microseconds.
[[nodiscard]] std::int64_t process_cpu_us();

}  // namespace lignum::server
