#include "net/client_convert.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "net/client.h"
#include "net/proto/client.pb.h"
#include "raft/error.h"
#include "raft/types.h"

namespace lignum::net {

namespace {

std::string hexadecimal(std::string_view bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    text += kDigits.at(byte >> 4U);
    text += kDigits.at(byte & 15U);
  }
  return text;
}

Errc code_of(std::uint32_t code) {
  const bool known = code >= 1 && code <= static_cast<std::uint32_t>(kErrcLast);
  return known ? static_cast<Errc>(code) : Errc::kInternal;
}

}  // namespace

StreamDescription description_of(const wire::StreamInfo& stream) {
  StreamDescription description{.id = StreamId(stream.id()),
                                .name = stream.name(),
                                .retention = std::nullopt,
                                .retention_bytes = std::nullopt,
                                .created = stream.created_us(),
                                .shards = {}};
  if (stream.retention_ms() >= 0) {
    description.retention = std::chrono::milliseconds(stream.retention_ms());
  }
  if (stream.retention_bytes() >= 0) {
    description.retention_bytes = static_cast<std::uint64_t>(stream.retention_bytes());
  }
  for (const wire::ShardPlacement& placement : stream.shards()) {
    StreamDescription::Shard shard;
    shard.number = ShardNumber(placement.shard());
    shard.group = GroupId(placement.group());
    description.shards.push_back(shard);
  }
  return description;
}

StreamDescription description_of(const wire::DescribeStreamReply& reply) {
  StreamDescription description = description_of(reply.stream());
  for (const wire::ShardStatus& status : reply.shards()) {
    const auto found = std::ranges::find(description.shards, ShardNumber(status.shard()),
                                         &StreamDescription::Shard::number);
    if (found == description.shards.end()) {
      continue;
    }
    found->group = GroupId(status.group());
    found->start = Offset(status.start_offset());
    found->next = Offset(status.next_offset());
    found->bytes = status.bytes();
    found->last_append = status.last_append_us();
    found->producers = status.producers();
    if (status.has_unavailable()) {
      found->unavailable =
          Error(code_of(status.unavailable().code()), status.unavailable().message());
    }
  }
  return description;
}

NodeStat stat_of(const wire::StatReply& reply) {
  NodeStat stat;
  stat.cluster_id = hexadecimal(reply.cluster_id());
  stat.node = NodeId(reply.node_id());
  stat.version = reply.version();
  stat.uptime = std::chrono::milliseconds(reply.uptime_ms());
  stat.data_directory = reply.data_directory();
  stat.disk_free_bytes = reply.disk_free_bytes();
  stat.disk_full = reply.disk_full();
  stat.resident_bytes = reply.resident_bytes();
  stat.cpu = std::chrono::microseconds(reply.cpu_us());
  stat.connections = reply.connections();
  stat.appended_records = reply.appended_records();
  stat.appended_bytes = reply.appended_bytes();
  for (const wire::GroupStatus& group : reply.groups()) {
    NodeGroupStat row;
    row.group = GroupId(group.group());
    row.role = group.role();
    row.term = Term(group.term());
    row.commit = Index(group.commit());
    row.applied = Index(group.applied());
    row.durable = Index(group.durable());
    row.first = Index(group.log_first());
    row.last = Index(group.log_last());
    row.log_bytes = group.log_bytes();
    row.live_bytes = group.live_bytes();
    row.segments = group.segments();
    row.shards = group.shards();
    row.damage = group.damage();
    row.trouble = group.trouble();
    stat.groups.push_back(std::move(row));
  }
  return stat;
}

}  // namespace lignum::net
