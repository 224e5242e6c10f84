#pragma once

// The housekeeping of a data group: what retention takes, and when space is given back.
//
// Owned by a data group, called from its lane. Once a second it looks at some of the group's
// shards and proposes trims where age or size say so (server/shard/retention.h decides). Trimmed
// segments can be deleted only below the older of two images (rule D2), so after a trim it asks
// for checkpoints until the log has given back what it can, not more often than kCleanEveryUs.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>

#include "raft/types.h"
#include "server/group/ports.h"
#include "server/group/replica.h"
#include "server/shard/shard_state.h"

namespace lignum::server {

class Retainer {
 public:
  static constexpr std::int64_t kTickUs = 1'000'000;
  static constexpr std::int64_t kCleanEveryUs = 5'000'000;
  // Shards looked at in one tick; the next tick goes on behind them.
  static constexpr std::size_t kShardsPerTickMax = 1024;

  // `trim` proposes a TrimShard.
  Retainer(Replica& replica, const ShardState& state, std::function<void(ShardKey, Offset)> trim);

  // A trim or drop was applied: space may be given back.
  void space_freed() { rounds_left_ = kRounds; }
  // Returns when it wants to be called next.
  std::int64_t on_timer(const Now& now);

 private:
  // Images needed until the older of two stands above a trim.
  static constexpr int kRounds = 2;
  void look_at_shards(const Now& now);
  void give_back(const Now& now);

  Replica& replica_;
  const ShardState& state_;
  std::function<void(ShardKey, Offset)> trim_;
  std::int64_t next_tick_ = 0;
  std::int64_t next_clean_ = 0;
  std::optional<ShardKey> behind_;
  int rounds_left_ = 0;
};

}  // namespace lignum::server
