#include "net/hash_ring.h"

#include <xxhash.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "raft/check.h"
#include "raft/types.h"
#include "storage/byte_order.h"

namespace lignum::net {

namespace {

constexpr std::size_t kTagBytes = 4;

template <std::size_t kSize>
std::array<std::byte, kSize> tagged(std::string_view tag) {
  std::array<std::byte, kSize> bytes{};
  for (std::size_t i = 0; i < kTagBytes; ++i) bytes.at(i) = static_cast<std::byte>(tag[i]);
  return bytes;
}

std::uint64_t point_hash(GroupId group, std::uint32_t node) {
  auto bytes = tagged<12>("ring");
  store_le<std::uint32_t>(bytes, kTagBytes, group.value());
  store_le<std::uint32_t>(bytes, kTagBytes + 4, node);
  return XXH3_64bits(bytes.data(), bytes.size());
}

std::uint64_t shard_hash(ShardKey shard) {
  auto bytes = tagged<16>("shrd");
  store_le<std::uint64_t>(bytes, kTagBytes, shard.stream.value());
  store_le<std::uint32_t>(bytes, kTagBytes + 8, shard.shard.value());
  return XXH3_64bits(bytes.data(), bytes.size());
}

}  // namespace

HashRing::HashRing(const std::vector<GroupId>& groups) {
  CHECK(!groups.empty());
  points_.reserve(groups.size() * kVirtualNodes);
  for (const GroupId group : groups) {
    for (std::uint32_t node = 0; node < kVirtualNodes; ++node) {
      points_.push_back({.hash = point_hash(group, node), .group = group});
    }
  }
  std::sort(points_.begin(), points_.end(), [](const Point& a, const Point& b) {
    return a.hash != b.hash ? a.hash < b.hash : a.group < b.group;
  });
}

GroupId HashRing::group_of(ShardKey shard) const {
  const auto found =
      std::lower_bound(points_.begin(), points_.end(), shard_hash(shard),
                       [](const Point& point, std::uint64_t hash) { return point.hash < hash; });
  return found == points_.end() ? points_.front().group : found->group;
}

}  // namespace lignum::net
