#include "server/service/lookup.h"

#include <fmt/format.h>

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "net/proto/client.pb.h"
#include "net/routing_table.h"
#include "raft/error.h"
#include "raft/types.h"
#include "server/router.h"

namespace lignum::server {

Result<GroupId> find_group(const Router& router, ShardKey shard) {
  const auto table = router.table();
  if (const auto group = table->group_of(shard)) return *group;
  if (table->too_old_for(shard.stream) && !router.alone()) {
    return fail(Errc::kUnavailable, fmt::format("stream {} is not known on this node yet; retry",
                                                shard.stream.value()));
  }
  if (table->find(shard.stream) == nullptr) {
    return fail(Errc::kNotFound, fmt::format("no stream has the id {}", shard.stream.value()));
  }
  return fail(Errc::kNotFound,
              fmt::format("stream {} has no shard {}", shard.stream.value(), shard.shard.value()));
}

Result<void> check_producer(const Router& router, ProducerId producer) {
  const ProducerId end = router.producers_end();
  if (producer < end) return {};
  if (router.alone()) {
    return fail(Errc::kUnknownProducer,
                fmt::format("producer {} was never handed out, only ids below {} were; ask for a "
                            "producer id",
                            producer.value(), end.value()));
  }
  return fail(Errc::kUnavailable,
              fmt::format("producer {} is not known on this node yet; retry", producer.value()));
}

void encode_stream(const net::StreamRoute& stream, wire::StreamInfo& info) {
  info.set_id(stream.id.value());
  info.set_name(stream.name);
  std::uint32_t number = 0;
  for (const GroupId group : stream.shards) {
    wire::ShardPlacement& placement = *info.add_shards();
    placement.set_shard(number++);
    placement.set_group(group.value());
  }
  info.set_retention_ms(stream.retention_ms);
  info.set_retention_bytes(stream.retention_bytes);
  info.set_created_us(stream.created);
}

bool StreamsPage::add(const net::StreamRoute& stream) {
  wire::StreamInfo& info = *streams_.Add();
  encode_stream(stream, info);
  const std::size_t bytes = info.ByteSizeLong();
  if (streams_.size() > 1 && bytes_ + bytes > kBytesMax) {
    streams_.RemoveLast();
    return false;
  }
  bytes_ += bytes;
  return true;
}

bool StreamsPage::add_after(const net::RoutingTable& table, std::string_view after) {
  bool full = false;
  table.visit_after(after, [&](const net::StreamRoute& stream) {
    full = !add(stream);
    return !full;
  });
  return full;
}

}  // namespace lignum::server
