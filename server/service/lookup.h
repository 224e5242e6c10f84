#pragma once

// From a shard to its group, by the newest routing table.

#include "raft/error.h"
#include "raft/types.h"
#include "server/router.h"

namespace lignum::server {

// kNotFound for a stream or shard that the catalogue does not know.
[[nodiscard]] Result<GroupId> find_group(const Router& router, ShardKey shard);

}  // namespace lignum::server
