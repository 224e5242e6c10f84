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

  // host:port of the leader of group 0, which makes and deletes streams; none where unknown.
  [[nodiscard]] const std::optional<std::string>& meta_leader() const { return meta_leader_; }

  // The leader of this shard, or of group 0 without one, is not where the cache says, but at `hint`
  // according to whoever was asked. Without a hint any node will be asked until the next observed
  // routing table.
  void correct_leader(std::optional<ShardKey> shard, std::optional<std::string> hint);

  [[nodiscard]] Epoch epoch() const { return epoch_; }

 private:
  void observe_stream(const wire::StreamInfo& stream);
  void observe_table(const wire::RoutingReply& table);

  Epoch epoch_;
  std::unordered_map<ShardKey, GroupId> groups_;
  std::map<GroupId, std::string> leaders_;
  std::optional<std::string> meta_leader_;
};

}  // namespace lignum::net
