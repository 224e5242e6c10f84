#pragma once

// What a benchmark says: a table for people, one JSON object per workload for programs
// (docs/cli.md gives the schema). Pure.

#include <optional>
#include <string>

#include "cli/bench/ack_ledger.h"
#include "cli/bench/workload.h"

namespace lignum::cli {

// One workload, measured on a node, on the bare limit, or on both.
struct BenchCell {
  Workload workload;
  std::optional<Medians> append;
  std::optional<Medians> limit;
  std::optional<AckLedger::Result> verified;
};

// A title, a heading, a line for each side and the ratio of the two.
[[nodiscard]] std::string bench_table(const BenchCell& cell);
// One line.
[[nodiscard]] std::string bench_json(const BenchCell& cell);

struct ReadReport {
  std::string stream;
  std::size_t runs = 0;
  std::uint64_t records = 0;
  std::uint64_t bytes = 0;
  double records_per_second = 0;
  double megabytes_per_second = 0;
};
[[nodiscard]] std::string read_table(const ReadReport& report);
[[nodiscard]] std::string read_json(const ReadReport& report);

// 1234567 as "1,234,567".
[[nodiscard]] std::string grouped(std::uint64_t number);

}  // namespace lignum::cli
