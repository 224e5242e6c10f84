#include "net/tail_merge.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <span>
#include <tuple>

#include "net/tail_shard.h"
#include "raft/types.h"

namespace lignum::net {

namespace {

std::tuple<TimeUs, ShardKey> rank(const TailShard& shard) {
  return {shard.head()->append_time, shard.key()};
}

}  // namespace

MergeStep next_step(std::span<const std::unique_ptr<TailShard>> shards,
                    std::optional<TimeUs> until) {
  TailShard* first = nullptr;
  std::optional<TimeUs> latest;
  // Of the shards that may still bring something: the smallest bound.
  std::optional<TimeUs> open_until;
  for (const auto& shard : shards) {
    if (shard->head() != nullptr && until && shard->head()->append_time >= *until) {
      shard->finish();
    }
    if (shard->head() != nullptr) {
      latest = std::max(latest.value_or(shard->last_queued_time()), shard->last_queued_time());
      first = first == nullptr || rank(*shard) < rank(*first) ? shard.get() : first;
    } else if (shard->gap()) {
      return {.kind = MergeStep::Kind::kGap, .shard = shard.get(), .target = std::nullopt};
    } else if (!shard->finished()) {
      open_until = std::min(open_until.value_or(shard->bound()), shard->bound());
    }
  }
  if (first == nullptr && !open_until) {
    return {};
  }
  if (first == nullptr || (open_until && first->head()->append_time > *open_until)) {
    return {.kind = MergeStep::Kind::kBlocked, .shard = nullptr, .target = latest};
  }
  return {.kind = MergeStep::Kind::kBatch, .shard = first, .target = std::nullopt};
}

}  // namespace lignum::net
