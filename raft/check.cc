#include "raft/check.h"

#include <sys/poll.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <source_location>
#include <string_view>

namespace lignum {

namespace {

// Nobody may read stderr, and the process must end all the same.
bool stderr_is_read() {
  constexpr int kWordsWaitMs = 1000;
  pollfd writable{.fd = STDERR_FILENO, .events = POLLOUT, .revents = 0};
  return ::poll(&writable, 1, kWordsWaitMs) == 1;
}

}  // namespace

void check_failed(std::string_view expression, std::source_location where) {
  if (stderr_is_read()) {
    std::fprintf(stderr, "CHECK failed: %.*s at %s:%u (%s)\n", static_cast<int>(expression.size()),
                 expression.data(), where.file_name(), where.line(), where.function_name());
  }
  std::abort();
}

void stop_for_failed_disk(std::string_view what) {
  if (stderr_is_read()) {
    std::fprintf(stderr,
                 "fatal: %.*s\nThe node stops because a failed write leaves the page cache "
                 "untrustworthy; see docs/operating/disk-failure.md before starting it again.\n",
                 static_cast<int>(what.size()), what.data());
  }
  constexpr int kExitIo = 7;
  std::_Exit(kExitIo);
}

}  // namespace lignum
