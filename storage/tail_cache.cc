#include "storage/tail_cache.h"

#include <algorithm>
#include <cstddef>
#include <deque>
#include <optional>
#include <vector>

#include "raft/buggify.h"
#include "raft/entry.h"
#include "raft/types.h"
#include "storage/log.h"

namespace lignum::storage {

void TailCache::add(const Entry& entry) {
  shards_[entry.header.shard].push_back(entry);
  order_.push_back(entry.header.shard);
  bytes_ += kCachedEntryBytes + entry.payload.size();
  const std::size_t most = buggify(Buggify::kStorageCacheEvicted) ? 0 : bytes_max_;
  while (bytes_ > most) {
    const auto oldest = shards_.find(order_.front());
    order_.pop_front();
    bytes_ -= kCachedEntryBytes + oldest->second.front().payload.size();
    oldest->second.pop_front();
    if (oldest->second.empty()) shards_.erase(oldest);
  }
}

void TailCache::clear() {
  shards_.clear();
  order_.clear();
  bytes_ = 0;
}

std::optional<std::vector<Entry>> TailCache::read(ShardKey shard,
                                                  const ShardReadOptions& options) const {
  const auto found = shards_.find(shard);
  if (buggify(Buggify::kStorageCacheMiss)) return std::nullopt;
  if (found == shards_.end() || options.from < found->second.front().header.base_offset) {
    return std::nullopt;
  }
  const std::deque<Entry>& batches = found->second;
  // The last batch that begins at or before `from` holds it.
  auto at = std::upper_bound(
      batches.begin(), batches.end(), options.from,
      [](Offset from, const Entry& entry) { return from < entry.header.base_offset; });
  --at;
  std::vector<Entry> entries;
  std::size_t taken = 0;
  for (; at != batches.end() && at->header.base_offset < options.below; ++at) {
    if (at->header.base_offset + at->header.record_count <= options.from) continue;
    if ((at->header.level_mask & options.level_mask) == 0) continue;
    if (!entries.empty() && taken >= options.bytes_max) break;
    taken += at->payload.size();
    entries.push_back(*at);
  }
  return entries;
}

}  // namespace lignum::storage
