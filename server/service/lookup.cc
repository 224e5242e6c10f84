#include "server/service/lookup.h"

#include <fmt/format.h>

#include <cstdint>
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

}  // namespace lignum::server
