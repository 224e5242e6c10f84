#pragma once

// `jepsen check FILE`: judges a history that was kept as text (history_text.h).

#include <ostream>
#include <span>
#include <string>

#include "jepsen/check/log_check.h"

namespace lignum::jepsen {

// Exit statuses of check_command().
inline constexpr int kCheckClean = 0;
inline constexpr int kCheckViolated = 1;
inline constexpr int kCheckUnusable = 2;  // no such file, no history, wrong arguments

// `arguments` are those behind "check": one file, or "-" for standard input. Prints the report to
// `out`, trouble with the file to `trouble`.
int check_command(std::span<const std::string> arguments, std::ostream& out, std::ostream& trouble);

// What was checked, how often each rule was broken, and a line for each violation that was kept;
// ends with a line feed.
[[nodiscard]] std::string report_text(const CheckReport& report);

}  // namespace lignum::jepsen
