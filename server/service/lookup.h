#pragma once

// From a shard to its group, and from a stream to its description, by the routing table.

#include "net/proto/client.pb.h"
#include "net/routing_table.h"
#include "raft/error.h"
#include "raft/types.h"
#include "server/router.h"

namespace lignum::server {

// kNotFound for a stream or shard that the catalogue does not know.
[[nodiscard]] Result<GroupId> find_group(const Router& router, ShardKey shard);

void encode_stream(const net::StreamRoute& stream, wire::StreamInfo& info);

}  // namespace lignum::server
