#pragma once

// The verbs `context ls|use|add|show|rm`, on the file that keeps the contexts.

#include <optional>
#include <string>

#include "cli/contexts.h"
#include "cli/exit_code.h"
#include "cli/options.h"
#include "cli/terminal.h"
#include "raft/error.h"

namespace lignum::cli {

// No file, or no path, means no contexts. Errors name the file.
[[nodiscard]] Result<Contexts> load_contexts(const std::optional<std::string>& path);

[[nodiscard]] Result<ExitCode> run_context(Terminal& terminal,
                                           const std::optional<std::string>& path,
                                           const ContextOptions& options);

}  // namespace lignum::cli
