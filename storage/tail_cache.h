#pragma once

// The newest batches of a log, in memory, so that whoever follows the tail costs no input.
//
// A part of SegmentedLog; its lane only. Payloads are shared with the append path. Bounded by
// bytes: the oldest batches of any shard go first.

#include <cstddef>
#include <deque>
#include <map>
#include <optional>
#include <vector>

#include "raft/entry.h"
#include "raft/types.h"
#include "storage/log.h"

namespace lignum::storage {

class TailCache {
 public:
  explicit TailCache(std::size_t bytes_max) : bytes_max_(bytes_max) {}

  // A kBatch entry, newer than all others.
  void add(const Entry& entry);
  // Forgets everything: the log was truncated.
  void clear();

  // What `options` asks for; nothing when options.from lies before the first offset that is here.
  [[nodiscard]] std::optional<std::vector<Entry>> read(ShardKey shard,
                                                       const ShardReadOptions& options) const;

 private:
  std::size_t bytes_max_;
  std::size_t bytes_ = 0;
  std::map<ShardKey, std::deque<Entry>> shards_;
  // Shards of the entries above, oldest first.
  std::deque<ShardKey> order_;
};

// What an entry counts for beside its payload.
inline constexpr std::size_t kCachedEntryBytes = 192;

}  // namespace lignum::storage
