#pragma once

// STREAM or STREAM/SHARD, as offsets need it: they count within a shard.

#include <optional>
#include <string>
#include <string_view>

#include "raft/error.h"
#include "raft/types.h"

namespace lignum::cli {

struct ShardName {
  std::string stream;
  std::optional<ShardNumber> shard;
};

[[nodiscard]] Result<ShardName> parse_shard_name(std::string_view text);

}  // namespace lignum::cli
