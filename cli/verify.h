#pragma once

// The verb `verify`: is a data directory whole? Needs no node; changes nothing.

#include <string>

#include "cli/exit_code.h"
#include "cli/list_format.h"
#include "cli/terminal.h"
#include "raft/error.h"

namespace lignum::cli {

struct VerifyOptions {
  std::string directory;
  // Also print what every byte is for.
  bool map = false;
  ListFormat format = ListFormat::kTable;
};

// kLocal where something is damaged. kUnavailable while a logd uses the directory, else errors as
// scrub_directory(); kNotFound also where there is no directory.
[[nodiscard]] Result<ExitCode> run_verify(Terminal& terminal, const VerifyOptions& options);

}  // namespace lignum::cli
