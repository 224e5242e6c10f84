#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <chrono>
#include <string>
#include <utility>

#include "cli/exit_code.h"
#include "cli/list_format.h"
#include "cli/options.h"
#include "cli/quantity_text.h"
#include "cli/table.h"
#include "cli/terminal.h"
#include "cli/verbs.h"
#include "net/client.h"
#include "raft/error.h"

namespace lignum::cli {

namespace {

namespace json = boost::json;

json::object json_group(const NodeGroupStat& group) {
  json::object out;
  out["group"] = group.group.value();
  out["role"] = group.role;
  out["term"] = group.term.value();
  out["commit"] = group.commit.value();
  out["applied"] = group.applied.value();
  out["durable"] = group.durable.value();
  out["log_first"] = group.first.value();
  out["log_last"] = group.last.value();
  out["log_bytes"] = group.log_bytes;
  out["live_bytes"] = group.live_bytes;
  out["segments"] = group.segments;
  out["shards"] = group.shards;
  if (!group.damage.empty()) out["damage"] = group.damage;
  if (!group.trouble.empty()) out["trouble"] = group.trouble;
  return out;
}

std::string state_of(const NodeGroupStat& group) {
  if (!group.damage.empty()) return group.damage;
  return group.trouble.empty() ? "ok" : group.trouble;
}

json::object json_stat(const NodeStat& stat) {
  json::object out;
  out["cluster"] = stat.cluster_id;
  out["node"] = stat.node.value();
  out["version"] = stat.version;
  out["uptime_ms"] = stat.uptime.count();
  out["data_directory"] = stat.data_directory;
  out["disk_free_bytes"] = stat.disk_free_bytes;
  out["disk_full"] = stat.disk_full;
  out["resident_bytes"] = stat.resident_bytes;
  out["cpu_us"] = stat.cpu.count();
  out["connections"] = stat.connections;
  out["appended_records"] = stat.appended_records;
  out["appended_bytes"] = stat.appended_bytes;
  json::array groups;
  for (const NodeGroupStat& group : stat.groups) groups.push_back(json_group(group));
  out["groups"] = std::move(groups);
  return out;
}

}  // namespace

Outcome run_stat(Session& session, const StatOptions& options) {
  TRY_ASSIGN(stat, session.client.stat());
  bool healthy = !stat.disk_full;
  for (const NodeGroupStat& group : stat.groups) healthy = healthy && state_of(group) == "ok";
  const ExitCode code = healthy ? ExitCode::kOk : ExitCode::kUnhealthy;
  if (options.format == ListFormat::kJson) {
    session.terminal.data(json::serialize(json_stat(stat)) + "\n");
    return code;
  }
  std::string out = fmt::format(
      "node {} of cluster {}, logd {}, up {}\n"
      "data {}, {} free{}\n"
      "memory {}, CPU {:.1f} s, {} connection{}\n"
      "since start: {} records, {} appended\n\n",
      stat.node.value(), stat.cluster_id, stat.version, human_duration(stat.uptime),
      stat.data_directory, human_bytes(stat.disk_free_bytes),
      stat.disk_full ? " - DISK FULL: appends are refused" : "", human_bytes(stat.resident_bytes),
      std::chrono::duration<double>(stat.cpu).count(), stat.connections,
      stat.connections == 1 ? "" : "s", stat.appended_records, human_bytes(stat.appended_bytes));
  Table table({"GROUP", "ROLE", "TERM", "COMMIT", "APPLIED", "LOG", "SEGMENTS", "DISK", "LIVE",
               "SHARDS", "STATE"});
  for (const NodeGroupStat& group : stat.groups) {
    table.add({std::to_string(group.group.value()), group.role, std::to_string(group.term.value()),
               std::to_string(group.commit.value()), std::to_string(group.applied.value()),
               fmt::format("{}-{}", group.first.value(), group.last.value()),
               std::to_string(group.segments), human_bytes(group.log_bytes),
               human_bytes(group.live_bytes), std::to_string(group.shards), state_of(group)});
  }
  session.terminal.data(out + table.text());
  return code;
}

Outcome run_log_level(Session& session, const LogLevelOptions& options) {
  TRY_ASSIGN(previous, session.client.set_log_level(options.level));
  session.terminal.status(fmt::format("log level is {} (was {})", options.level, previous));
  return ExitCode::kOk;
}

}  // namespace lignum::cli
