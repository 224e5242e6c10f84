#include "cli/bench/workload.h"

#include <algorithm>
#include <cstddef>
#include <functional>
#include <optional>
#include <vector>

namespace lignum::cli {

double median_of(std::vector<double> values) {
  if (values.empty()) return 0;
  std::ranges::sort(values);
  const std::size_t middle = values.size() / 2;
  if (values.size() % 2 == 1) return values[middle];
  return (values[middle - 1] + values[middle]) / 2;
}

Medians medians_of(const std::vector<RunResult>& runs) {
  constexpr double kNanosPerMicro = 1000;
  constexpr double kMillion = 1e6;
  const auto over = [&runs](const std::function<double(const RunResult&)>& figure) {
    std::vector<double> values;
    values.reserve(runs.size());
    for (const RunResult& run : runs) values.push_back(figure(run));
    return median_of(values);
  };
  const auto latency = [&over](double fraction) {
    return over([fraction](const RunResult& run) {
      return static_cast<double>(run.latency.quantile(fraction)) / kNanosPerMicro;
    });
  };
  Medians medians{.runs = runs.size(),
                  .records_per_second = over(&RunResult::records_per_second),
                  .megabytes_per_second = over(&RunResult::megabytes_per_second),
                  .p50 = latency(0.5),
                  .p90 = latency(0.9),
                  .p99 = latency(0.99),
                  .p999 = latency(0.999),
                  .max = latency(1.0),
                  .cpu_per_million = std::nullopt,
                  .note = runs.empty() ? "" : runs.front().note};
  const bool cpu_known = !runs.empty() && std::ranges::all_of(runs, [](const RunResult& run) {
    return run.server_cpu_seconds && run.records > 0;
  });
  if (cpu_known) {
    medians.cpu_per_million = over([](const RunResult& run) {
      return *run.server_cpu_seconds * kMillion / static_cast<double>(run.records);
    });
  }
  return medians;
}

}  // namespace lignum::cli
