#pragma once

// The consistent-hash ring: which group a shard should live in.
//
// Every group has kVirtualNodes points on a ring of 64-bit numbers; a shard belongs to the group of
// the first point at or after its own hash. Adding a group takes over about 1/n of the shards and
// moves none between the others (Karger et al., 1997). The ring is the desired function only: the
// placement recorded by group 0 is the truth. Immutable; safe from any thread.
//
// Points: XXH3-64 over "ring", group number u32, virtual node u32; shards: XXH3-64 over "shrd",
// stream id u64, shard u32 (little-endian). kRingVersion changes whenever this does.

#include <cstddef>
#include <cstdint>
#include <vector>

#include "raft/types.h"

namespace lignum::net {

inline constexpr std::uint32_t kRingVersion = 1;

class HashRing {
 public:
  static constexpr std::uint32_t kVirtualNodes = 128;

  // `groups` is not empty and has no duplicates.
  explicit HashRing(const std::vector<GroupId>& groups);

  [[nodiscard]] GroupId group_of(ShardKey shard) const;

 private:
  struct Point {
    std::uint64_t hash;
    GroupId group;
  };
  // By hash, then by group.
  std::vector<Point> points_;
};

}  // namespace lignum::net
