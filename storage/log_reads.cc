// The reading side of SegmentedLog: look-ups on the lane, input in LogReadPlan.

#include <algorithm>
#include <cstddef>
#include <expected>
#include <iterator>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <variant>
#include <vector>

#include "raft/buggify.h"
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

// The frames that a query asks for.
struct Found {
  std::vector<Location> locations;
  // Of a query by shard: of each location.
  std::vector<ReadTrouble::Offsets> offsets;
  // More of them follow in this segment: nothing of a later one may be returned with these.
  bool more = false;
};

// No more than bytes_max needs, at least one.
Found locate(const SegmentIndex& index, const IndexRange& range, std::size_t bytes_max) {
  Found found;
  std::size_t bytes = 0;
  auto at =
      std::lower_bound(index.entries().begin(), index.entries().end(), range.from,
                       [](const IndexEntry& entry, Index wanted) { return entry.index < wanted; });
  for (; at != index.entries().end() && at->index <= range.to; ++at) {
    if (!found.locations.empty() && bytes >= bytes_max) {
      found.more = true;
      break;
    }
    bytes += at->bytes;
    found.locations.push_back({.position = at->position, .bytes = at->bytes});
  }
  return found;
}

Found locate(const SegmentIndex& index, const ShardRange& range, std::size_t bytes_max) {
  const auto list = index.shards().find(range.shard);
  if (list == index.shards().end()) return {};
  Found found;
  std::size_t bytes = 0;
  auto at = std::partition_point(
      list->second.begin(), list->second.end(),
      [&](const ShardEntry& batch) { return batch.base + batch.count <= range.options.from; });
  for (; at != list->second.end() && at->base < range.options.below; ++at) {
    if ((at->level_mask & range.options.level_mask) == 0) continue;
    if (!found.locations.empty() && bytes >= bytes_max) {
      found.more = true;
      break;
    }
    bytes += at->bytes;
    found.locations.push_back({.position = at->position, .bytes = at->bytes});
    found.offsets.push_back({.from = at->base, .to = at->base + at->count});
  }
  return found;
}

// Where the part of a segment lies that a query cannot find without the footer.
std::optional<ReadTrouble::Offsets> unfindable(const Segment& /*segment*/,
                                               const IndexRange& /*range*/) {
  return std::nullopt;
}

std::optional<ReadTrouble::Offsets> unfindable(const Segment& segment, const ShardRange& range) {
  const auto found = segment.shards().find(range.shard);
  if (found == segment.shards().end()) return std::nullopt;
  return ReadTrouble::Offsets{.from = std::max(range.options.from, found->second.first),
                              .to = found->second.end};
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
  [[nodiscard]] const std::optional<ReadTrouble>& trouble() const override { return trouble_; }

 private:
  std::vector<Entry> entries_;
  std::optional<ReadTrouble> trouble_;
};

// Reads sealed segments through their footers, then the frames of the active one that were looked
// up when the plan was made.
class DiskPlan final : public ReadPlan {
 public:
  DiskPlan(const Query& query, std::size_t bytes_max, std::shared_ptr<FooterCache> footers)
      : query_(query), bytes_left_(bytes_max), footers_(std::move(footers)) {}

  void add_sealed(SegmentPtr segment) { sealed_.push_back(std::move(segment)); }
  void set_active(SegmentPtr segment, Found found) {
    active_ = std::move(segment);
    found_ = std::move(found);
  }

  [[nodiscard]] bool in_memory() const override {
    return sealed_.empty() && found_.locations.empty();
  }

  Result<std::vector<Entry>> run() override {
    std::vector<Entry> entries;
    read_all(entries);
    if (trouble_ && entries.empty()) return std::unexpected(trouble_->error);
    return entries;
  }
  [[nodiscard]] const std::optional<ReadTrouble>& trouble() const override { return trouble_; }

 private:
  void read_all(std::vector<Entry>& entries) {
    for (const SegmentPtr& segment : sealed_) {
      const auto index = footers_->get(*segment);
      if (!index) {
        trouble_ = ReadTrouble{
            .error = index.error(),
            .offsets =
                std::visit([&](const auto& range) { return unfindable(*segment, range); }, query_)};
        return;
      }
      const Found found = std::visit(
          [&](const auto& range) { return locate(**index, range, bytes_left_); }, query_);
      if (!read(*segment, found, entries)) return;
    }
    if (active_ != nullptr) read(*active_, found_, entries);
  }

  // False when the answer must end here: it is full, or the segment holds more of what was asked.
  bool read(const Segment& segment, const Found& found, std::vector<Entry>& entries) {
    if (found.locations.empty()) return true;
    if (!entries.empty() && bytes_left_ == 0) return false;
    Segment::Reading more = segment.read(found.locations, bytes_left_);
    const std::size_t count = more.entries.size();
    if (more.error) {
      trouble_ = ReadTrouble{.error = std::move(*more.error),
                             .offsets = unreadable(segment, found, count)};
    }
    for (std::size_t i = 0; i < count; ++i) {
      bytes_left_ -= std::min<std::size_t>(bytes_left_, found.locations[i].bytes);
      entries.push_back(std::move(more.entries[i]));
    }
    return count == found.locations.size() && !found.more;
  }

  // From location `first` on, which cannot be read, to the next one that can: whoever wants to go
  // on need not try them one by one.
  static std::optional<ReadTrouble::Offsets> unreadable(const Segment& segment, const Found& found,
                                                        std::size_t first) {
    if (found.offsets.empty()) return std::nullopt;
    ReadTrouble::Offsets offsets = found.offsets[first];
    const std::span<const Location> locations = found.locations;
    for (std::size_t next = first + 1; next < locations.size(); ++next) {
      if (!segment.read(locations.subspan(next, 1), 1).error) break;
      offsets.to = found.offsets[next].to;
    }
    return offsets;
  }

  Query query_;
  std::size_t bytes_left_;
  std::shared_ptr<FooterCache> footers_;
  std::vector<SegmentPtr> sealed_;
  SegmentPtr active_;
  Found found_;
  std::optional<ReadTrouble> trouble_;
};

template <class Range>
std::unique_ptr<ReadPlan> plan_of(const Range& range, std::size_t bytes_max,
                                  const std::vector<SegmentPtr>& segments,
                                  const SegmentIndex& active,
                                  const std::shared_ptr<FooterCache>& footers) {
  auto plan = std::make_unique<DiskPlan>(range, bytes_max, footers);
  for (const SegmentPtr& segment : segments) {
    if (segment->record().sealed && touches(*segment, range)) plan->add_sealed(segment);
  }
  plan->set_active(segments.back(), locate(active, range, bytes_max));
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
  if (index > mark_.id.index || index.next() < first_index()) return std::nullopt;
  // The last segment that begins at or below it.
  const auto after = std::partition_point(
      segments_.begin(), segments_.end(),
      [index](const SegmentPtr& segment) { return segment->record().before.id.index < index; });
  // The entry itself may be gone: with its segment, or under a skip at that segment's end.
  if (after != segments_.end() && (*after)->record().before.id.index == index) {
    return (*after)->record().before.id;
  }
  CHECK(after != segments_.begin());
  const SegmentPtr& segment = *std::prev(after);
  std::optional<Term> term;
  if (!segment->record().sealed) {
    term = active_index_.term_at(index);
  } else if (const auto sealed = index_of(segment)) {
    term = sealed->term_at(index);
  }
  if (!term) return std::nullopt;
  return LogId{.term = *term, .index = index};
}

std::unique_ptr<ReadPlan> SegmentedLog::read(Index from, Index to, std::size_t bytes_max) {
  CHECK(from >= first_index());
  if (buggify(Buggify::kStorageShortRead)) bytes_max = 1;
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
    const auto batches = index == nullptr ? nullptr : index->find(shard);
    return batches == nullptr ? summary->second.first : first_since(*batches);
  }
  const auto active = active_index_.shards().find(shard);
  return active == active_index_.shards().end() ? std::nullopt : first_since(active->second);
}

}  // namespace lignum::storage
