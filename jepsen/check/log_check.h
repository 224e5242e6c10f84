#pragma once

// The judge of a run: whether all that clients and replicas saw can have come from one log per
// shard, each operation taking effect at one moment between its call and its answer.
//
// Sound, complete and linear: offsets are dense, so the final log itself fixes the order of the
// appends, and no search is needed (order_sweep.h). What is checked, by rule: violation.h. What is
// not: that a run makes progress (the harness's own business), and the contents of records beyond
// their identity, for which there are chain values.
// Pure functions; a history is not changed. Memory: about 30 bytes for each record of the log.

#include <cstdint>

#include "jepsen/check/history.h"
#include "jepsen/check/violation.h"
#include "raft/types.h"

namespace lignum::jepsen {

struct CheckReport {
  Violations violations;
  std::uint64_t shards = 0;
  // Of clients: appends, reads, events of tails.
  std::uint64_t operations = 0;
  // Records in the final logs, trimmed ones included.
  std::uint64_t records = 0;

  [[nodiscard]] bool clean() const { return violations.empty(); }
};

[[nodiscard]] CheckReport check_history(const History& history);

// One shard alone: shards promise nothing about one another.
[[nodiscard]] CheckReport check_shard(const ShardKey& key, const ShardHistory& history);

}  // namespace lignum::jepsen
