#include "server/group/retainer.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <utility>

#include "raft/entry.h"
#include "raft/types.h"
#include "server/group/ports.h"
#include "server/group/replica.h"
#include "server/group/upkeep.h"
#include "server/shard/retention.h"
#include "server/shard/shard_state.h"
#include "storage/log.h"

namespace lignum::server {

Retainer::Retainer(Replica& replica, const ShardState& state,
                   std::function<void(ShardKey, Offset)> trim)
    : replica_(replica), state_(state), trim_(std::move(trim)) {}

std::int64_t Retainer::on_timer(const Now& now) {
  if (next_tick_ <= now.monotonic_us) {
    next_tick_ = now.monotonic_us + kTickUs;
    if (replica_.admitting()) look_at_shards(now);
    give_back(now);
  }
  return next_tick_;
}

void Retainer::look_at_shards(const Now& now) {
  const auto& shards = state_.shards();
  auto next = behind_ ? shards.upper_bound(*behind_) : shards.begin();
  const std::size_t count = std::min(shards.size(), kShardsPerTickMax);
  for (std::size_t i = 0; i < count; ++i) {
    if (next == shards.end()) next = shards.begin();
    const auto& [key, shard] = *next;
    ++next;
    behind_ = key;
    if (shard.retention_ms < 0 && shard.retention_bytes < 0) continue;
    if (shard.start == shard.next) continue;
    const storage::Log& log = replica_.log();
    const RetentionView view{
        .bytes = log.shard_bytes(key),
        .find_time = [&log, key](TimeUs time) { return log.find_time(key, time); },
        .bytes_below = [&log, key](Offset offset) { return log.shard_bytes_below(key, offset); }};
    if (const auto start = retention_start(shard, now.wall_us, view)) trim_(key, *start);
  }
}

void Retainer::give_back(const Now& now) {
  if (rounds_left_ == 0 || now.monotonic_us < next_clean_ || replica_.checkpoints().busy()) return;
  const storage::Log::Usage usage = replica_.log().usage();
  if (usage.segments < 2 || usage.live_bytes >= usage.bytes) {
    rounds_left_ = 0;
    return;
  }
  next_clean_ = now.monotonic_us + kCleanEveryUs;
  if (replica_.checkpoints().durable_checkpoint() < replica_.applied().index) {
    --rounds_left_;
    replica_.checkpoint();
    return;
  }
  // Nothing was applied since the last image: another one needs an index of its own.
  if (!replica_.admitting()) return;
  if (replica_.room(0, EntryUse::kGivesSpaceBack) != storage::Room::kReady) return;
  Entry mark;
  mark.header.kind = EntryKind::kNoOp;
  if (replica_.propose(std::move(mark))) next_clean_ = now.monotonic_us;
}

}  // namespace lignum::server
