#pragma once

// The exit codes of logctl, as documented in docs/cli.md and `logctl --help`.

#include <cstdint>

#include "raft/error.h"

namespace lignum::cli {

enum class ExitCode : std::uint8_t {
  kOk = 0,
  kFailed = 1,
  kUsage = 2,
  kNotFound = 3,
  kPermission = 4,
  kUnavailable = 5,
  kConflict = 6,
  kLocal = 7,  // local input or output, or damaged data
  kUnhealthy = 10,
  kInterrupted = 130,
};

[[nodiscard]] ExitCode exit_code(Errc code);

}  // namespace lignum::cli
