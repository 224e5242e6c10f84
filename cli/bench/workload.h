#pragma once

// What a benchmark does, and what it found: values shared by the load on a node and the bare limit.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/bench/histogram.h"
#include "storage/compression.h"

namespace lignum::cli {

using BenchClock = std::chrono::steady_clock;

// One cell of the matrix that `bench append` measures.
struct Workload {
  // Of a record's value.
  std::size_t record_bytes = 100;
  // Appends (records) started and not yet acknowledged, over all groups.
  std::size_t in_flight = 64;
  std::size_t groups = 1;
  std::chrono::milliseconds duration{3000};
  // Not measured, before it.
  std::chrono::milliseconds warmup{300};
  // Records a second, started on schedule whether or not earlier ones are done (open loop).
  std::optional<double> rate;
  Codec compression = Codec::kNone;
};

inline constexpr std::size_t kInFlightMax = 65536;
inline constexpr std::size_t kBenchRecordBytesMax = std::size_t{1} << 20;

// As the client library forms batches (ClientOptions, docs/client.md).
inline constexpr std::size_t kBenchBatchBytes = std::size_t{256} << 10;
inline constexpr std::size_t kBenchEagerBatches = 2;
inline constexpr std::size_t kBenchWindow = 5;

struct RunResult {
  // Acknowledged within the measured time.
  std::uint64_t records = 0;
  // Of values.
  std::uint64_t bytes = 0;
  double seconds = 0;
  // Nanoseconds from start (with a rate: from when it should have started) to the ack.
  Histogram latency;
  // CPU time of whoever keeps the records, per the measured records; none where unknown.
  std::optional<double> server_cpu_seconds;
  // What the server called itself: "O_DIRECT, recycled" ...
  std::string note;

  [[nodiscard]] double records_per_second() const {
    return seconds > 0 ? static_cast<double>(records) / seconds : 0;
  }
  [[nodiscard]] double megabytes_per_second() const {
    return seconds > 0 ? static_cast<double>(bytes) / seconds / 1e6 : 0;
  }
};

// The median of every figure over several runs of one workload.
struct Medians {
  std::size_t runs = 0;
  double records_per_second = 0;
  double megabytes_per_second = 0;
  // Microseconds.
  double p50 = 0, p90 = 0, p99 = 0, p999 = 0, max = 0;
  // CPU seconds of the server for a million records.
  std::optional<double> cpu_per_million;
  std::string note;
};

// The middle value, or the mean of the two in the middle; 0 of none.
[[nodiscard]] double median_of(std::vector<double> values);
[[nodiscard]] Medians medians_of(const std::vector<RunResult>& runs);

}  // namespace lignum::cli
