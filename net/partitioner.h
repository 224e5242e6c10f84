#pragma once

// From a record's key to a shard, by the function of Kafka's default partitioner, so that native
// and Kafka producers send equal keys to the same shard. Pure.

#include <cstdint>

#include "raft/payload.h"
#include "raft/types.h"

namespace lignum::net {

// 32-bit MurmurHash2 with Kafka's seed 0x9747b28c.
[[nodiscard]] std::int32_t murmur2(Bytes key);

// (murmur2(key) & 0x7fffffff) % shards; shards > 0.
[[nodiscard]] ShardNumber shard_of_key(Bytes key, std::uint32_t shards);

}  // namespace lignum::net
