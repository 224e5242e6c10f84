#include "raft/check.h"

#include <cstdlib>
#include <source_location>
#include <string>
#include <string_view>

#include "raft/last_words.h"

namespace lignum {

void check_failed(std::string_view expression, std::source_location where) {
  say_last_words("CHECK failed: " + std::string(expression) + " at " + where.file_name() + ":" +
                 std::to_string(where.line()) + " (" + where.function_name() + ")\n");
  std::abort();
}

void stop_for_failed_disk(std::string_view what) {
  say_last_words("fatal: " + std::string(what) +
                 "\nThe node stops because a failed write leaves the page cache untrustworthy; see "
                 "docs/operating/disk-failure.md before starting it again.\n");
  constexpr int kExitIo = 7;
  std::_Exit(kExitIo);
}

}  // namespace lignum
