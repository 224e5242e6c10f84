#include "cli/bench.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <expected>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "cli/bench/ack_ledger.h"
#include "cli/bench/append_load.h"
#include "cli/bench/bench_streams.h"
#include "cli/bench/limit_disk.h"
#include "cli/bench/limit_rig.h"
#include "cli/bench/read_load.h"
#include "cli/bench/value_text.h"
#include "cli/bench/workload.h"
#include "cli/bench_report.h"
#include "cli/exit_code.h"
#include "cli/list_format.h"
#include "cli/quantity_text.h"
#include "cli/terminal.h"
#include "net/client.h"
#include "raft/error.h"

namespace lignum::cli {

namespace {

// Sizes, then groups, then windows: the order of the report.
std::vector<Workload> cells_of(const BenchMatrix& matrix) {
  std::vector<Workload> cells;
  for (const std::size_t groups : matrix.groups) {
    for (const std::size_t record_bytes : matrix.record_bytes) {
      for (const std::size_t in_flight : matrix.in_flight) {
        cells.push_back({.record_bytes = record_bytes,
                         .in_flight = in_flight,
                         .groups = groups,
                         .duration = matrix.duration,
                         .warmup = matrix.warmup,
                         .rate = matrix.rate,
                         .compression = matrix.compression});
      }
    }
  }
  return cells;
}

void report(Terminal& terminal, ListFormat format, const BenchCell& cell) {
  terminal.data(format == ListFormat::kJson ? bench_json(cell) : bench_table(cell));
  terminal.flush();
}

void progress(Terminal& terminal, const Workload& workload, std::string_view side, std::size_t run,
              std::size_t runs) {
  if (!terminal.status_is_tty()) return;
  terminal.status(fmt::format("{} of {}: {}, {} in flight, {} group(s)", run + 1, runs, side,
                              workload.in_flight, workload.groups));
}

// What one cell of `bench append` works with.
struct AppendBench {
  Client& client;
  Terminal& terminal;
  const BenchAppendOptions& options;
  LimitRig* limit;
  const std::atomic<bool>& interrupted;
};

std::optional<double> server_cpu(Client& client) {
  const auto stat = client.stat();
  if (!stat) return std::nullopt;
  return std::chrono::duration<double>(stat->cpu).count();
}

// The bare limit and the node by turns, so that both see the same weather.
Result<BenchCell> measure(const AppendBench& bench, const Workload& workload,
                          const BenchStreams& streams) {
  std::vector<RunResult> appended;
  std::vector<RunResult> limited;
  std::optional<AckLedger> ledger;
  if (bench.options.verify) ledger.emplace(streams.names().size());
  const std::size_t runs = bench.options.matrix.repeat;
  for (std::size_t run = 0; run < runs; ++run) {
    if (bench.limit != nullptr) {
      progress(bench.terminal, workload, "limit", run, runs);
      TRY_ASSIGN(result, bench.limit->run(workload, bench.interrupted));
      limited.push_back(std::move(result));
    }
    progress(bench.terminal, workload, "append", run, runs);
    AppendLoad load(bench.client, streams.names(), workload, ledger ? &*ledger : nullptr);
    TRY_ASSIGN(result, load.run([&bench] { return server_cpu(bench.client); }, bench.interrupted));
    appended.push_back(std::move(result));
  }
  BenchCell cell{.workload = workload, .append = medians_of(appended), .limit = {}, .verified = {}};
  if (bench.limit != nullptr) cell.limit = medians_of(limited);
  if (ledger) {
    TRY(read_back(bench.client, streams.names(), *ledger, bench.interrupted));
    cell.verified = ledger->result();
  }
  return cell;
}

Result<BenchCell> measure_on_own_streams(const AppendBench& bench, const Workload& workload,
                                         std::size_t cell_number) {
  const auto& named = bench.options.stream;
  auto streams = named ? BenchStreams::named(bench.client, *named)
                       : BenchStreams::pinned(bench.client,
                                              fmt::format("bench-{}-{}", ::getpid(), cell_number),
                                              workload.groups);
  if (!streams) return std::unexpected(streams.error());
  auto cell = measure(bench, workload, *streams);
  const auto removed = streams->remove(bench.client);
  if (!removed && cell) {
    bench.terminal.error(
        fmt::format("streams of the benchmark are left behind: {}", removed.error().message()));
  }
  return cell;
}

bool is_loopback(std::string_view endpoint) {
  return endpoint.starts_with("127.") || endpoint.starts_with("localhost:") ||
         endpoint.starts_with("[::1]");
}

}  // namespace

Result<void> check_matrix(const BenchMatrix& matrix) {
  for (const std::size_t bytes : matrix.record_bytes) {
    // A record is a little larger than its value.
    constexpr std::size_t kOverhead = 64;
    if (bytes < BenchValue::kBytesMin || bytes > kBenchRecordBytesMax - kOverhead) {
      return fail(Errc::kInvalidArgument,
                  fmt::format("--size {} is out of range; it goes from {} bytes to just below 1MiB",
                              bytes, BenchValue::kBytesMin));
    }
  }
  for (const std::size_t window : matrix.in_flight) {
    if (window < 1 || window > kInFlightMax) {
      return fail(Errc::kInvalidArgument,
                  fmt::format("--in-flight {} is out of range; it goes from 1 to {}", window,
                              kInFlightMax));
    }
  }
  for (const std::size_t groups : matrix.groups) {
    if (groups < 1 || groups > LimitDisk::kFilesMax) {
      return fail(Errc::kInvalidArgument,
                  fmt::format("{} groups or files are out of range; it goes from 1 to {}", groups,
                              LimitDisk::kFilesMax));
    }
  }
  if (matrix.repeat < 1 || matrix.repeat > kRepeatMax) {
    return fail(Errc::kInvalidArgument, fmt::format("--repeat goes from 1 to {}", kRepeatMax));
  }
  if (matrix.duration <= std::chrono::milliseconds(0)) {
    return fail(Errc::kInvalidArgument, "--duration must be longer than nothing");
  }
  if (matrix.rate && !(*matrix.rate > 0)) {
    return fail(Errc::kInvalidArgument, "--rate must be more than 0 records a second");
  }
  return {};
}

namespace {

// The directory that holds the data directory, where it is on this machine and takes files.
std::optional<std::string> beside_data(const std::string& endpoint, const NodeStat& stat) {
  const std::filesystem::path data(stat.data_directory);
  std::error_code ignored;
  if (is_loopback(endpoint) && data.is_absolute() &&
      std::filesystem::is_directory(data.parent_path(), ignored) &&
      ::access(data.parent_path().c_str(), W_OK) == 0) {
    return data.parent_path();
  }
  return std::nullopt;
}

}  // namespace

std::string limit_directory(const std::string& endpoint, const NodeStat& stat) {
  std::error_code ignored;
  return beside_data(endpoint, stat)
      .value_or(std::filesystem::temp_directory_path(ignored).string());
}

Result<ExitCode> run_bench_append(Client& client, Terminal& terminal, const std::string& endpoint,
                                  const BenchAppendOptions& options,
                                  const std::atomic<bool>& interrupted) {
  TRY(check_matrix(options.matrix));
  TRY_ASSIGN(stat, client.stat());
  std::unique_ptr<LimitRig> limit;
  std::string where = "no limit measured";
  if (options.limit) {
    const std::string directory = options.direct_dir.value_or(limit_directory(endpoint, stat));
    TRY_ASSIGN(rig, LimitRig::make({.directory = directory,
                                    .files = std::ranges::max(options.matrix.groups),
                                    .replicas = 1,
                                    .kind = LimitRig::Files::kRecycled}));
    limit = std::move(rig);
    where = "limit in " + directory;
    if (!options.direct_dir && !beside_data(endpoint, stat)) {
      terminal.error(fmt::format(
          "warning: the limit is measured in {}, the node keeps its data in {}: these may be two "
          "disks, and the comparison says nothing then; name a directory of the node's disk with "
          "--direct-dir",
          directory, stat.data_directory));
    }
  }
  terminal.status(fmt::format(
      "node {} at {}, logd {}, data in {}; {}; every ack after fdatasync; median of {} runs of {}",
      stat.node.value(), endpoint, stat.version, stat.data_directory, where, options.matrix.repeat,
      human_duration(options.matrix.duration)));
  const AppendBench bench{.client = client,
                          .terminal = terminal,
                          .options = options,
                          .limit = limit.get(),
                          .interrupted = interrupted};
  std::size_t cell_number = 0;
  for (const Workload& workload : cells_of(options.matrix)) {
    TRY_ASSIGN(cell, measure_on_own_streams(bench, workload, cell_number++));
    report(terminal, options.matrix.format, cell);
    if (cell.verified && cell.verified->broken > 0) {
      return fail(Errc::kCorrupt,
                  fmt::format("{} acknowledged records do not stand where they were acknowledged",
                              cell.verified->broken));
    }
  }
  return ExitCode::kOk;
}

Result<ExitCode> run_bench_limit(Terminal& terminal, const BenchLimitOptions& options,
                                 const std::atomic<bool>& interrupted) {
  TRY(check_matrix(options.matrix));
  if (options.replicas < 1 || options.replicas > LimitRig::kReplicasMax) {
    return fail(Errc::kInvalidArgument,
                fmt::format("--replicas goes from 1 to {}", LimitRig::kReplicasMax));
  }
  TRY_ASSIGN(rig, LimitRig::make({.directory = options.directory,
                                  .files = std::ranges::max(options.matrix.groups),
                                  .replicas = options.replicas,
                                  .kind = options.fresh ? LimitRig::Files::kFresh
                                                        : LimitRig::Files::kRecycled}));
  terminal.status(fmt::format(
      "no log: {} replica(s) on loopback, files in {}; every ack after fdatasync on a majority; "
      "median of {} runs of {}",
      options.replicas, options.directory, options.matrix.repeat,
      human_duration(options.matrix.duration)));
  for (const Workload& workload : cells_of(options.matrix)) {
    std::vector<RunResult> runs;
    for (std::size_t run = 0; run < options.matrix.repeat; ++run) {
      progress(terminal, workload, "limit", run, options.matrix.repeat);
      TRY_ASSIGN(result, rig->run(workload, interrupted));
      runs.push_back(std::move(result));
    }
    report(terminal, options.matrix.format,
           {.workload = workload, .append = {}, .limit = medians_of(runs), .verified = {}});
  }
  return ExitCode::kOk;
}

Result<ExitCode> run_bench_read(Client& client, Terminal& terminal, const BenchReadOptions& options,
                                const std::atomic<bool>& interrupted) {
  std::vector<RunResult> runs;
  for (std::size_t run = 0; run < options.repeat; ++run) {
    TRY_ASSIGN(result, run_read_load(client, options.stream, interrupted));
    runs.push_back(std::move(result));
  }
  const Medians medians = medians_of(runs);
  const ReadReport found{.stream = options.stream,
                         .runs = runs.size(),
                         .records = runs.empty() ? 0 : runs.back().records,
                         .bytes = runs.empty() ? 0 : runs.back().bytes,
                         .records_per_second = medians.records_per_second,
                         .megabytes_per_second = medians.megabytes_per_second};
  terminal.data(options.format == ListFormat::kJson ? read_json(found) : read_table(found));
  terminal.flush();
  return ExitCode::kOk;
}

}  // namespace lignum::cli
