#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "net/proto/client.pb.h"
#include "raft/types.h"

namespace lignum::net {

// What the client has heard of where things are: shards -> groups -> address of the leader.
//
// Owned by ClientCore; client's thread only. It learns from every reply that passes by and is only
// a hint: a wrong entry costs one refusal (kNotLeader, kNotFound) and a refresh, never a wrong
// answer, because nodes check what they serve. It decides nothing and sends nothing.
class RoutingCache {
 public:
  // Shards remembered; beyond it the cache starts afresh.
  static constexpr std::size_t kShardsMax = 262144;

  // Takes over whatever routing the response carries; other responses are ignored. A routing table
  // older than the one known is ignored too.
  void observe(const wire::Response& response);

  // host:port of the leader of the shard's group; none where the group, or its leader, is unknown.
  [[nodiscard]] std::optional<std::string_view> leader_of(ShardKey shard) const;

  // The leader of this shard is not where the cache says: any node will be asked until the next
  // observed routing table.
  void forget_leader(ShardKey shard);

  [[nodiscard]] Epoch epoch() const { return epoch_; }

 private:
  void observe_stream(const wire::StreamInfo& stream);
  void observe_table(const wire::RoutingReply& table);

  Epoch epoch_;
  std::unordered_map<ShardKey, GroupId> groups_;
  std::map<GroupId, std::string> leaders_;
};

}  // namespace lignum::net
