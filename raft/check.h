#pragma once

// CHECK stays on in release builds: a broken invariant stops the process before it can harm data.

#include <source_location>
#include <string_view>

namespace lignum {

// Prints "CHECK failed: <expression> at file:line (function)" to stderr and aborts.
[[noreturn]] void check_failed(std::string_view expression,
                               std::source_location where = std::source_location::current());

// For a failed write or sync of live data: prints what happened and the runbook's name, and
// exits without running destructors. The process must not go on: the page cache can no longer
// be trusted (docs/operating/disk-failure.md).
[[noreturn]] void stop_for_failed_disk(std::string_view what);

}  // namespace lignum

#ifdef LIGNUM_COVERAGE
namespace lignum {
// No branch where it stands: no run that passes takes its other side.
constexpr void check_holds(bool condition, std::string_view expression,
                           std::source_location where = std::source_location::current()) {
  if (!condition) check_failed(expression, where);
}
}  // namespace lignum
#define CHECK(condition) ::lignum::check_holds(static_cast<bool>(condition), #condition)
#else
#define CHECK(condition) ((condition) ? static_cast<void>(0) : ::lignum::check_failed(#condition))
#endif
