#include "server/shard/retention.h"

#include <algorithm>
#include <cstdint>
#include <optional>

#include "raft/types.h"
#include "server/shard/shard_state.h"

namespace lignum::server {

namespace {

constexpr TimeUs kUsPerMs = 1000;

// The lowest offset from which on the shard takes at most `limit` bytes.
Offset fitting_start(const Shard& shard, std::uint64_t limit, const RetentionView& view) {
  Offset low = shard.start;
  Offset high = shard.next;
  while (low < high) {
    const Offset middle = low + (high - low) / 2;
    if (view.bytes - view.bytes_below(middle) <= limit) {
      high = middle;
    } else {
      low = middle.next();
    }
  }
  return low;
}

}  // namespace

std::optional<Offset> retention_start(const Shard& shard, TimeUs now, const RetentionView& view) {
  if (shard.start == shard.next) return std::nullopt;
  Offset start = shard.start;
  if (shard.retention_ms >= 0 && shard.retention_ms <= now / kUsPerMs) {
    const TimeUs oldest = now - shard.retention_ms * kUsPerMs;
    // No record that young: all of them go.
    start = std::max(start, view.find_time(oldest).value_or(shard.next));
  }
  if (shard.retention_bytes >= 0) {
    const auto limit = static_cast<std::uint64_t>(shard.retention_bytes);
    if (view.bytes > limit) start = std::max(start, fitting_start(shard, limit, view));
  }
  // Entries in flight lie at and above `next`; they are not judged yet.
  start = std::min(start, shard.next);
  return start > shard.start ? std::optional(start) : std::nullopt;
}

}  // namespace lignum::server
