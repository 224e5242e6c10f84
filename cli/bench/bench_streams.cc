#include "cli/bench/bench_streams.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <expected>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "net/client.h"
#include "raft/error.h"
#include "raft/types.h"

namespace lignum::cli {

namespace {

Result<std::size_t> data_groups(Client& client) {
  TRY_ASSIGN(stat, client.stat());
  return static_cast<std::size_t>(std::ranges::count_if(
      stat.groups, [](const NodeGroupStat& group) { return group.group != kMetaGroup; }));
}

}  // namespace

Result<BenchStreams> BenchStreams::named(Client& client, const std::string& name) {
  BenchStreams streams;
  auto described = client.describe_stream(name);
  if (!described && described.error().code() == Errc::kNotFound) {
    described = client.create_stream(name, {.shards = 1, .retention = {}, .retention_bytes = {}});
  }
  if (!described) return std::unexpected(described.error());
  streams.names_.push_back(name);
  return streams;
}

Result<BenchStreams> BenchStreams::pinned(Client& client, std::string_view prefix,
                                          std::size_t groups) {
  TRY_ASSIGN(available, data_groups(client));
  if (groups > available) {
    return fail(Errc::kInvalidArgument,
                fmt::format("the node has {} data groups, so --groups is at most {}", available,
                            available));
  }
  BenchStreams streams;
  std::set<GroupId> taken;
  Result<void> failed;
  for (std::size_t i = 0; i < groups * kTriesPerGroup && taken.size() < groups; ++i) {
    const std::string name = fmt::format("{}-{}", prefix, i);
    const auto made =
        client.create_stream(name, {.shards = 1, .retention = {}, .retention_bytes = {}});
    if (!made) {
      failed = std::unexpected(made.error());
      break;
    }
    streams.made_.push_back(name);
    if (!made->shards.empty() && taken.insert(made->shards.front().group).second) {
      streams.names_.push_back(name);
    }
  }
  if (failed && taken.size() < groups) {
    failed = fail(Errc::kUnavailable,
                  fmt::format("the ring put {} streams into {} groups only, not into {}",
                              streams.made_.size(), taken.size(), groups));
  }
  if (!failed) {
    // The reason matters more than what could not be cleaned up after it.
    [[maybe_unused]] const auto removed = streams.remove(client);
    return std::unexpected(failed.error());
  }
  return streams;
}

Result<void> BenchStreams::remove(Client& client) {
  Result<void> outcome;
  for (const std::string& name : std::exchange(made_, {})) {
    auto deleted = client.delete_stream(name);
    if (!deleted && outcome) outcome = std::move(deleted);
  }
  return outcome;
}

}  // namespace lignum::cli
