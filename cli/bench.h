#pragma once

// The verbs `bench append`, `bench limit` and `bench read`.

#include <atomic>
#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "cli/exit_code.h"
#include "cli/list_format.h"
#include "cli/terminal.h"
#include "net/client.h"
#include "raft/error.h"
#include "storage/compression.h"

namespace lignum::cli {

inline constexpr std::size_t kRepeatMax = 1000;

// Sizes, windows and groups make a matrix; every cell of it is measured.
struct BenchMatrix {
  std::vector<std::size_t> record_bytes = {100};
  std::vector<std::size_t> in_flight = {64};
  // For `bench limit`: files.
  std::vector<std::size_t> groups = {1};
  std::chrono::milliseconds duration{3000};
  std::chrono::milliseconds warmup{300};
  std::size_t repeat = 5;
  std::optional<double> rate;
  Codec compression = Codec::kNone;
  ListFormat format = ListFormat::kTable;
};

struct BenchAppendOptions {
  BenchMatrix matrix;
  // Made where it does not exist, and kept; else streams of its own, deleted afterwards.
  std::optional<std::string> stream;
  // Where the limit writes.
  std::optional<std::string> direct_dir;
  bool limit = true;
  bool verify = false;
};

struct BenchLimitOptions {
  BenchMatrix matrix;
  std::string directory;
  std::size_t replicas = 1;
  bool fresh = false;
};

struct BenchReadOptions {
  std::string stream;
  std::size_t repeat = 5;
  ListFormat format = ListFormat::kTable;
};

// kInvalidArgument where a cell cannot be measured: a record too small or too large, a window that
// is empty or beyond kInFlightMax, too many groups, a rate that is not positive.
[[nodiscard]] Result<void> check_matrix(const BenchMatrix& matrix);

// The directory the limit writes to where none was given: beside the node's data where that is on
// this machine, else the one for temporary files.
[[nodiscard]] std::string limit_directory(const std::string& endpoint, const NodeStat& stat);

[[nodiscard]] Result<ExitCode> run_bench_append(Client& client, Terminal& terminal,
                                                const std::string& endpoint,
                                                const BenchAppendOptions& options,
                                                const std::atomic<bool>& interrupted);
// Needs no node.
[[nodiscard]] Result<ExitCode> run_bench_limit(Terminal& terminal, const BenchLimitOptions& options,
                                               const std::atomic<bool>& interrupted);
[[nodiscard]] Result<ExitCode> run_bench_read(Client& client, Terminal& terminal,
                                              const BenchReadOptions& options,
                                              const std::atomic<bool>& interrupted);

}  // namespace lignum::cli
