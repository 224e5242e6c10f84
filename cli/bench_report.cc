#include "cli/bench_report.h"

#include <fmt/format.h>

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/string.hpp>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "cli/bench/ack_ledger.h"
#include "cli/bench/workload.h"
#include "cli/quantity_text.h"
#include "storage/compression.h"

namespace lignum::cli {

namespace {

namespace json = boost::json;

std::string title(const Workload& workload) {
  std::string text =
      fmt::format("{} records, {} in flight, {} group{}", human_bytes(workload.record_bytes),
                  workload.in_flight, workload.groups, workload.groups == 1 ? "" : "s");
  if (workload.compression != Codec::kNone) {
    text += fmt::format(", {}", codec_name(workload.compression));
  }
  if (workload.rate) {
    text += fmt::format(", {} a second (latency from the intended start)",
                        grouped(static_cast<std::uint64_t>(*workload.rate)));
  }
  return text + "\n";
}

std::string cpu_text(const std::optional<double>& cpu) {
  return cpu ? fmt::format("{:.2f}", *cpu) : std::string("-");
}

std::string row(std::string_view name, const Medians& m) {
  return fmt::format("  {:<7}{:>12}{:>9.1f}{:>9.0f}{:>9.0f}{:>9.0f}{:>10.0f}{:>9.0f}{:>10}{}{}\n",
                     name, grouped(static_cast<std::uint64_t>(std::llround(m.records_per_second))),
                     m.megabytes_per_second, m.p50, m.p90, m.p99, m.p999, m.max,
                     cpu_text(m.cpu_per_million), m.note.empty() ? "" : "  ", m.note);
}

double ratio(double value, double of) { return of > 0 ? value / of : 0; }

std::string ratio_row(const Medians& append, const Medians& limit) {
  std::optional<double> cpu;
  if (append.cpu_per_million && limit.cpu_per_million) {
    cpu = ratio(*append.cpu_per_million, *limit.cpu_per_million);
  }
  return fmt::format("  {:<7}{:>12.2f}{:>9.2f}{:>9.2f}{:>9.2f}{:>9.2f}{:>10.2f}{:>9.2f}{:>10}\n",
                     "ratio", ratio(append.records_per_second, limit.records_per_second),
                     ratio(append.megabytes_per_second, limit.megabytes_per_second),
                     ratio(append.p50, limit.p50), ratio(append.p90, limit.p90),
                     ratio(append.p99, limit.p99), ratio(append.p999, limit.p999),
                     ratio(append.max, limit.max), cpu_text(cpu));
}

json::object json_medians(const Medians& m) {
  json::object out;
  out["runs"] = m.runs;
  out["records_per_second"] = m.records_per_second;
  out["megabytes_per_second"] = m.megabytes_per_second;
  out["latency_us"] = json::object{
      {"p50", m.p50}, {"p90", m.p90}, {"p99", m.p99}, {"p99.9", m.p999}, {"max", m.max}};
  if (m.cpu_per_million) out["server_cpu_seconds_per_million"] = *m.cpu_per_million;
  if (!m.note.empty()) out["note"] = json::string(m.note.data(), m.note.size());
  return out;
}

}  // namespace

std::string grouped(std::uint64_t number) {
  std::string text = fmt::format("{}", number);
  for (std::size_t at = text.size(); at > 3; at -= 3) text.insert(at - 3, 1, ',');
  return text;
}

std::string bench_table(const BenchCell& cell) {
  std::string out = title(cell.workload);
  out += fmt::format("  {:<7}{:>12}{:>9}{:>9}{:>9}{:>9}{:>10}{:>9}{:>10}\n", "", "records/s",
                     "MB/s", "p50 us", "p90 us", "p99 us", "p99.9 us", "max us", "CPU s/1M");
  if (cell.append) out += row("append", *cell.append);
  if (cell.limit) out += row("limit", *cell.limit);
  if (cell.append && cell.limit) out += ratio_row(*cell.append, *cell.limit);
  if (cell.verified) {
    const AckLedger::Result& verified = *cell.verified;
    out += fmt::format("  verified: {} acknowledged, {} read back in place, {} not",
                       grouped(verified.acknowledged), grouped(verified.kept),
                       grouped(verified.broken));
    if (verified.unchecked > 0) {
      out += fmt::format(", {} not checked for lack of memory", grouped(verified.unchecked));
    }
    out += "\n";
  }
  return out;
}

std::string bench_json(const BenchCell& cell) {
  json::object out;
  out["record_bytes"] = cell.workload.record_bytes;
  out["in_flight"] = cell.workload.in_flight;
  out["groups"] = cell.workload.groups;
  out["duration_ms"] = cell.workload.duration.count();
  const std::string_view codec = codec_name(cell.workload.compression);
  out["compression"] = json::string(codec.data(), codec.size());
  if (cell.workload.rate) out["rate"] = *cell.workload.rate;
  if (cell.append) out["append"] = json_medians(*cell.append);
  if (cell.limit) out["limit"] = json_medians(*cell.limit);
  if (cell.append && cell.limit) {
    out["ratio"] = json::object{{"records_per_second", ratio(cell.append->records_per_second,
                                                             cell.limit->records_per_second)},
                                {"p50", ratio(cell.append->p50, cell.limit->p50)},
                                {"p99", ratio(cell.append->p99, cell.limit->p99)}};
  }
  if (cell.verified) {
    out["verified"] = json::object{{"acknowledged", cell.verified->acknowledged},
                                   {"kept", cell.verified->kept},
                                   {"broken", cell.verified->broken},
                                   {"unchecked", cell.verified->unchecked}};
  }
  return json::serialize(out) + "\n";
}

std::string read_table(const ReadReport& report) {
  return fmt::format(
      "{}: {} records, {}, median of {} runs\n  {} records/s, {:.1f} MB/s ({:.2f} GB/s)\n",
      report.stream, grouped(report.records), human_bytes(report.bytes), report.runs,
      grouped(static_cast<std::uint64_t>(std::llround(report.records_per_second))),
      report.megabytes_per_second, report.megabytes_per_second / 1000);
}

std::string read_json(const ReadReport& report) {
  const json::object out = {{"stream", json::string(report.stream.data(), report.stream.size())},
                            {"runs", report.runs},
                            {"records", report.records},
                            {"bytes", report.bytes},
                            {"records_per_second", report.records_per_second},
                            {"megabytes_per_second", report.megabytes_per_second}};
  return json::serialize(out) + "\n";
}

}  // namespace lignum::cli
