#include "net/routing_cache.h"

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "net/proto/client.pb.h"
#include "raft/types.h"

namespace lignum::net {

void RoutingCache::observe(const wire::Response& response) {
  if (response.has_routing()) {
    observe_table(response.routing());
  } else if (response.has_resolve()) {
    for (const wire::StreamInfo& stream : response.resolve().streams()) {
      observe_stream(stream);
    }
  } else if (response.has_create_stream()) {
    observe_stream(response.create_stream().stream());
  } else if (response.has_describe_stream()) {
    observe_stream(response.describe_stream().stream());
  }
}

void RoutingCache::observe_stream(const wire::StreamInfo& stream) {
  if (groups_.size() >= kShardsMax) {
    groups_.clear();
  }
  for (const wire::ShardPlacement& placement : stream.shards()) {
    groups_.insert_or_assign(
        ShardKey{.stream = StreamId(stream.id()), .shard = ShardNumber(placement.shard())},
        GroupId(placement.group()));
  }
}

void RoutingCache::observe_table(const wire::RoutingReply& table) {
  if (Epoch(table.epoch()) < epoch_) {
    return;
  }
  epoch_ = Epoch(table.epoch());
  leaders_.clear();
  meta_leader_.reset();
  if (!table.meta_leader().empty()) {
    meta_leader_ = table.meta_leader();
  }
  for (const wire::GroupRoute& route : table.groups()) {
    if (route.has_leader() && !route.leader().empty()) {
      leaders_.insert_or_assign(GroupId(route.group()), route.leader());
    }
  }
}

std::optional<std::string_view> RoutingCache::leader_of(ShardKey shard) const {
  const auto group = groups_.find(shard);
  if (group == groups_.end()) {
    return std::nullopt;
  }
  const auto leader = leaders_.find(group->second);
  return leader == leaders_.end() ? std::nullopt : std::optional<std::string_view>(leader->second);
}

void RoutingCache::correct_leader(std::optional<ShardKey> shard, std::optional<std::string> hint) {
  if (!shard) {
    meta_leader_ = std::move(hint);
    return;
  }
  const auto group = groups_.find(*shard);
  if (group == groups_.end()) {
    return;
  }
  if (hint) {
    leaders_.insert_or_assign(group->second, *std::move(hint));
  } else {
    leaders_.erase(group->second);
  }
}

}  // namespace lignum::net
