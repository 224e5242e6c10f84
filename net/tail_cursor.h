#pragma once

#include <map>
#include <string>
#include <string_view>

#include "raft/error.h"
#include "raft/types.h"

namespace lignum::net {

// Where a tail stands: per shard the next offset to hand out.
using TailPositions = std::map<ShardKey, Offset>;

// "v1:<stream id>:<shard>=<offset>,<shard>=<offset>;<stream id>:...": one line, no spaces, numbers
// in decimal, streams and shards rising. Other versions will start otherwise.
[[nodiscard]] std::string format_cursor(const TailPositions& positions);

// kInvalidArgument says what is wrong and at which byte, from 0; kUnsupported for a version this
// build does not know.
[[nodiscard]] Result<TailPositions> parse_cursor(std::string_view text);

}  // namespace lignum::net
