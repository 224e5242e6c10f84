#pragma once

// Where the shards of a new stream go: the ring's answer for each of them. Pure.

#include <cstdint>
#include <vector>

#include "raft/types.h"

namespace lignum::server {

// The group of each shard, by shard number. `groups` is not empty.
[[nodiscard]] std::vector<GroupId> place_stream(StreamId stream, std::uint32_t shards,
                                                const std::vector<GroupId>& groups);

}  // namespace lignum::server
