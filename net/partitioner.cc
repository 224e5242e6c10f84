#include "net/partitioner.h"

#include <cstddef>
#include <cstdint>

#include "raft/check.h"
#include "raft/payload.h"
#include "raft/types.h"
#include "storage/byte_order.h"

namespace lignum::net {

std::int32_t murmur2(Bytes key) {
  constexpr std::uint32_t kSeed = 0x9747b28c;
  constexpr std::uint32_t kMultiplier = 0x5bd1e995;
  constexpr int kRotation = 24;

  auto hash = kSeed ^ static_cast<std::uint32_t>(key.size());
  std::size_t at = 0;
  for (; at + 4 <= key.size(); at += 4) {
    auto word = load_le<std::uint32_t>(key, at) * kMultiplier;
    word ^= word >> kRotation;
    hash = (hash * kMultiplier) ^ (word * kMultiplier);
  }
  if (at < key.size()) {
    std::uint32_t rest = 0;
    for (std::size_t i = key.size(); i > at; --i) {
      rest = (rest << 8) | std::to_integer<std::uint32_t>(key[i - 1]);
    }
    hash = (hash ^ rest) * kMultiplier;
  }
  hash ^= hash >> 13;
  hash *= kMultiplier;
  hash ^= hash >> 15;
  return static_cast<std::int32_t>(hash);
}

ShardNumber shard_of_key(Bytes key, std::uint32_t shards) {
  CHECK(shards > 0);
  return ShardNumber((static_cast<std::uint32_t>(murmur2(key)) & 0x7fffffffU) % shards);
}

}  // namespace lignum::net
