#pragma once

// The verbs of logctl: each does its work on a connected client and says how it ended.

#include <atomic>

#include "cli/exit_code.h"
#include "cli/options.h"
#include "cli/terminal.h"
#include "net/client.h"
#include "raft/error.h"

namespace lignum::cli {

// What a verb works with. `interrupted` turns true at SIGINT or SIGTERM.
struct Session {
  Client& client;
  Terminal& terminal;
  const GlobalOptions& global;
  const std::atomic<bool>& interrupted;
};

using Outcome = Result<ExitCode>;

[[nodiscard]] Outcome run_append(Session& session, const AppendOptions& options);
[[nodiscard]] Outcome run_read(Session& session, const ReadOptions& options);
[[nodiscard]] Outcome run_streams_create(Session& session, const StreamsCreateOptions& options);
[[nodiscard]] Outcome run_streams_list(Session& session, const StreamsListOptions& options);
[[nodiscard]] Outcome run_streams_describe(Session& session, const StreamsDescribeOptions& options);
[[nodiscard]] Outcome run_streams_trim(Session& session, const StreamsTrimOptions& options);
[[nodiscard]] Outcome run_streams_delete(Session& session, const StreamsDeleteOptions& options);
[[nodiscard]] Outcome run_stat(Session& session, const StatOptions& options);
[[nodiscard]] Outcome run_log_level(Session& session, const LogLevelOptions& options);

}  // namespace lignum::cli
