#pragma once

// When records have to go: by age and by size, as a function of values (rule E).
//
// The answer is an offset; it becomes a TrimShard entry, so that every replica trims alike. Pure.

#include <cstdint>
#include <functional>
#include <optional>

#include "raft/types.h"
#include "server/shard/shard_state.h"

namespace lignum::server {

// What the log knows about one shard.
struct RetentionView {
  // Bytes of entries at or above the shard's start.
  std::uint64_t bytes = 0;
  // First offset appended at or after a time; none when every record is older.
  std::function<std::optional<Offset>(TimeUs)> find_time;
  // Bytes of entries that lie wholly below an offset and at or above the start.
  std::function<std::uint64_t(Offset)> bytes_below;
};

// The new first offset of the shard, or none when nothing has to go. Size is judged in whole
// batches: the shard is trimmed until it is at or below its limit.
[[nodiscard]] std::optional<Offset> retention_start(const Shard& shard, TimeUs now,
                                                    const RetentionView& view);

}  // namespace lignum::server
