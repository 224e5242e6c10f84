#pragma once

// What the operating system says about this process. Safe from any thread.

#include <cstdint>

namespace lignum::server {

// 0 where it cannot be told.
[[nodiscard]] std::uint64_t resident_bytes();
// User and system time since start, microseconds.
[[nodiscard]] std::int64_t process_cpu_us();

// How many files this process may have open.
struct FileLimit {
  std::uint64_t before = 0;
  std::uint64_t now = 0;
};
// Raises the soft limit to the hard one. Before threads and files are many; it is inherited.
FileLimit raise_file_limit();

}  // namespace lignum::server
