// The reading side of SegmentedLog: look-ups on the lane, input in LogReadPlan.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "raft/check.h"
#include "raft/entry.h"
#include "raft/error.h"
#include "raft/types.h"
#include "storage/log.h"
#include "storage/segment.h"
#include "storage/segment_index.h"
#include "storage/segmented_log.h"
#include "storage/tail_cache.h"

namespace lignum::storage {

namespace {

struct IndexRange {
  Index from;
  Index to;
};

struct ShardRange {
  ShardKey shard;
  ShardReadOptions options;
};

using Query = std::variant<IndexRange, ShardRange>;

// The frames of `index` that the query asks for, no more than bytes_max needs.
std::vector<Location> locate(const SegmentIndex& index, const IndexRange& range,
                             std::size_t bytes_max) {
  std::vector<Location> found;
  std::size_t bytes = 0;
  auto at =
      std::lower_bound(index.entries().begin(), index.entries().end(), range.from,
                       [](const IndexEntry& entry, Index wanted) { return entry.index < wanted; });
  for (; at != index.entries().end() && at->index <= range.to; ++at) {
    if (!found.empty() && bytes >= bytes_max) break;
    bytes += at->bytes;
    found.push_back({.position = at->position, .bytes = at->bytes});
  }
  return found;
}

std::vector<Location> locate(const SegmentIndex& index, const ShardRange& range,
                             std::size_t bytes_max) {
  const auto list = index.shards().find(range.shard);
  if (list == index.shards().end()) return {};
  std::vector<Location> found;
  std::size_t bytes = 0;
  auto at = std::partition_point(
      list->second.begin(), list->second.end(),
      [&](const ShardEntry& batch) { return batch.base + batch.count <= range.options.from; });
  for (; at != list->second.end() && at->base < range.options.below; ++at) {
    if ((at->level_mask & range.options.level_mask) == 0) continue;
    if (!found.empty() && bytes >= bytes_max) break;
    bytes += at->bytes;
    found.push_back({.position = at->position, .bytes = at->bytes});
  }
  return found;
}

// True when the segment may hold something of the range.
bool touches(const Segment& segment, const IndexRange& range) {
  return range.from <= segment.record().after.id.index &&
         range.to > segment.record().before.id.index;
}

bool touches(const Segment& segment, const ShardRange& range) {
  const auto found = segment.shards().find(range.shard);
  return found != segment.shards().end() && range.options.from < found->second.end &&
         found->second.first < range.options.below;
}

class CachedPlan final : public ReadPlan {
 public:
  explicit CachedPlan(std::vector<Entry> entries) : entries_(std::move(entries)) {}
  [[nodiscard]] bool in_memory() const override { return true; }
  Result<std::vector<Entry>> run() override { return std::move(entries_); }

 private:
  std::vector<Entry> entries_;
};

// Reads sealed segments through their footers, then the frames of the active one that were looked
// up when the plan was made.
class DiskPlan final : public ReadPlan {
 public:
  DiskPlan(const Query& query, std::size_t bytes_max, std::shared_ptr<FooterCache> footers)
      : query_(query), bytes_max_(bytes_max), footers_(std::move(footers)) {}

  void add_sealed(SegmentPtr segment) { sealed_.push_back(std::move(segment)); }
  void set_active(SegmentPtr segment, std::vector<Location> locations) {
    active_ = std::move(segment);
    locations_ = std::move(locations);
  }

  [[nodiscard]] bool in_memory() const override { return sealed_.empty() && locations_.empty(); }

  Result<std::vector<Entry>> run() override {
    std::vector<Entry> entries;
    for (const SegmentPtr& segment : sealed_) {
      if (full(entries)) return entries;
      TRY_ASSIGN(index, footers_->get(*segment));
      const auto locations = std::visit(
          [&](const auto& range) { return locate(*index, range, bytes_max_ - bytes_); }, query_);
      TRY(read(*segment, locations, entries));
    }
    if (!locations_.empty() && !full(entries)) TRY(read(*active_, locations_, entries));
    return entries;
  }

 private:
  [[nodiscard]] bool full(const std::vector<Entry>& entries) const {
    return !entries.empty() && bytes_ >= bytes_max_;
  }

  Result<void> read(const Segment& segment, const std::vector<Location>& locations,
                    std::vector<Entry>& entries) {
    const std::size_t left = bytes_max_ > bytes_ ? bytes_max_ - bytes_ : 0;
    TRY_ASSIGN(more, segment.read(locations, left));
    for (Entry& entry : more) {
      bytes_ += entry.payload.size();
      entries.push_back(std::move(entry));
    }
    return {};
  }

  Query query_;
  std::size_t bytes_max_;
  std::size_t bytes_ = 0;
  std::shared_ptr<FooterCache> footers_;
  std::vector<SegmentPtr> sealed_;
  SegmentPtr active_;
  std::vector<Location> locations_;
};

template <class Range>
std::unique_ptr<ReadPlan> plan_of(const Range& range, std::size_t bytes_max,
                                  const std::vector<SegmentPtr>& segments,
                                  const SegmentIndex& active,
                                  const std::shared_ptr<FooterCache>& footers) {
  auto plan = std::make_unique<DiskPlan>(range, bytes_max, footers);
  std::uint64_t ahead = 0;
  for (const SegmentPtr& segment : segments) {
    if (!segment->record().sealed || !touches(*segment, range)) continue;
    plan->add_sealed(segment);
    ahead += segment->entry_bytes();
  }
  // Looking up in the active segment costs the lane; pointless when sealed ones surely suffice.
  if (ahead < 4 * bytes_max || plan->in_memory()) {
    plan->set_active(segments.back(), locate(active, range, bytes_max));
  }
  return plan;
}

}  // namespace

Index SegmentedLog::first_index() const {
  // Above the last hole that the cleaner left.
  Index first = segments_.back()->record().before.id.index.next();
  for (auto at = std::next(segments_.rbegin()); at != segments_.rend(); ++at) {
    const SegmentRecord& record = (*at)->record();
    if (record.after.id.index.next() != first || record.holes) break;
    first = record.before.id.index.next();
  }
  return first;
}

std::optional<LogId> SegmentedLog::id_at(Index index) const {
  if (index == mark_.id.index) return mark_.id;
  if (index > mark_.id.index || index.next() < first_index()) return std::nullopt;
  for (const SegmentPtr& segment : segments_) {
    const SegmentRecord& record = segment->record();
    if (record.before.id.index == index) return record.before.id;
    if (record.sealed && record.after.id.index == index) return record.after.id;
    if (record.sealed && (index < record.before.id.index || record.after.id.index < index)) {
      continue;
    }
    const auto term = record.sealed ? [&]() -> std::optional<Term> {
      const auto sealed_index = index_of(segment);
      return sealed_index == nullptr ? std::nullopt : sealed_index->term_at(index);
    }()
        : active_index_.term_at(index);
    if (term) return LogId{.term = *term, .index = index};
  }
  return std::nullopt;
}

std::unique_ptr<ReadPlan> SegmentedLog::read(Index from, Index to, std::size_t bytes_max) {
  CHECK(from >= first_index());
  // What is staged is not in the file yet.
  return plan_of(IndexRange{.from = from, .to = std::min(to, durable_)}, bytes_max, segments_,
                 active_index_, footers_);
}

std::unique_ptr<ReadPlan> SegmentedLog::read_shard(ShardKey shard,
                                                   const ShardReadOptions& options) {
  if (auto cached = cache_.read(shard, options)) {
    return std::make_unique<CachedPlan>(std::move(*cached));
  }
  return plan_of(ShardRange{.shard = shard, .options = options}, options.bytes_max, segments_,
                 active_index_, footers_);
}

std::shared_ptr<const SegmentIndex> SegmentedLog::index_of(const SegmentPtr& segment) const {
  auto index = footers_->get(*segment);
  return index ? *index : nullptr;
}

std::optional<Offset> SegmentedLog::find_time(ShardKey shard, TimeUs time) const {
  const auto first_since = [time](const std::vector<ShardEntry>& batches) -> std::optional<Offset> {
    const auto at =
        std::partition_point(batches.begin(), batches.end(),
                             [time](const ShardEntry& batch) { return batch.append_time < time; });
    return at == batches.end() ? std::nullopt : std::optional(at->base);
  };
  for (const SegmentPtr& segment : segments_) {
    const auto summary = segment->shards().find(shard);
    if (!segment->record().sealed || summary == segment->shards().end() ||
        summary->second.last_time < time) {
      continue;
    }
    const auto index = index_of(segment);
    // Damage shows when the shard is read; a seek then begins too early rather than too late.
    if (index == nullptr) return summary->second.first;
    return first_since(index->shards().at(shard));
  }
  const auto active = active_index_.shards().find(shard);
  return active == active_index_.shards().end() ? std::nullopt : first_since(active->second);
}

}  // namespace lignum::storage
