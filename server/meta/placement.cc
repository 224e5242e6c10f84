#include "server/meta/placement.h"

#include <cstdint>
#include <vector>

#include "net/hash_ring.h"
#include "raft/types.h"

namespace lignum::server {

std::vector<GroupId> place_stream(StreamId stream, std::uint32_t shards,
                                  const std::vector<GroupId>& groups) {
  const net::HashRing ring(groups);
  std::vector<GroupId> placement;
  placement.reserve(shards);
  for (std::uint32_t shard = 0; shard < shards; ++shard) {
    placement.push_back(ring.group_of({.stream = stream, .shard = ShardNumber(shard)}));
  }
  return placement;
}

}  // namespace lignum::server
