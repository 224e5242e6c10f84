#include "raft/check.h"

#include <cstdio>
#include <cstdlib>
#include <source_location>
#include <string_view>

namespace lignum {

void check_failed(std::string_view expression, std::source_location where) {
  std::fprintf(stderr, "CHECK failed: %.*s at %s:%u (%s)\n", static_cast<int>(expression.size()),
               expression.data(), where.file_name(), where.line(), where.function_name());
  std::abort();
}

void stop_for_failed_disk(std::string_view what) {
  std::fprintf(stderr,
               "fatal: %.*s\nThe node stops because a failed write leaves the page cache "
               "untrustworthy; see docs/operating/disk-failure.md before starting it again.\n",
               static_cast<int>(what.size()), what.data());
  constexpr int kExitIo = 7;
  std::_Exit(kExitIo);
}

}  // namespace lignum
