#include "net/routing_table.h"

#include <map>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "raft/types.h"

namespace lignum::net {

RoutingTable::RoutingTable(Epoch epoch, std::vector<GroupId> groups,
                           std::map<StreamId, StreamRoute> streams)
    : epoch_(epoch), groups_(std::move(groups)), streams_(std::move(streams)) {
  for (const auto& [id, stream] : streams_) by_name_.emplace(stream.name, id);
}

const StreamRoute* RoutingTable::find(std::string_view name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : find(found->second);
}

const StreamRoute* RoutingTable::find(StreamId id) const {
  const auto found = streams_.find(id);
  return found == streams_.end() ? nullptr : &found->second;
}

std::optional<GroupId> RoutingTable::group_of(ShardKey shard) const {
  const StreamRoute* stream = find(shard.stream);
  if (stream == nullptr || shard.shard.value() >= stream->shards.size()) return std::nullopt;
  return stream->shards[shard.shard.value()];
}

}  // namespace lignum::net
