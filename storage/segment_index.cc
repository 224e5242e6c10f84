#include "storage/segment_index.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "raft/check.h"
#include "raft/entry.h"
#include "raft/error.h"
#include "raft/payload.h"
#include "raft/types.h"
#include "storage/byte_order.h"
#include "storage/crc32c.h"
#include "storage/frame_format.h"

namespace lignum::storage {

namespace {

// Footer: magic u32, CRC u32 (of what follows), group incarnation u64, segment u64, entries u32,
// term runs u32, shards u32, shard entries u32; then the arrays.
constexpr std::size_t kFixedBytes = 40;
constexpr std::size_t kGroupAt = 8;
constexpr std::size_t kSegmentAt = 16;
constexpr std::size_t kCountsAt = 24;
constexpr std::size_t kCrcFrom = 8;
constexpr std::size_t kIndexEntryBytes = 16;
constexpr std::size_t kTermRunBytes = 16;
constexpr std::size_t kShardBytes = 16;
constexpr std::size_t kShardEntryBytes = 32;

class Writer {
 public:
  explicit Writer(std::size_t bytes) : out_(bytes) {}
  template <class T>
  void put(std::type_identity_t<T> value) {
    store_le<T>(out_, at_, value);
    at_ += sizeof(T);
  }
  [[nodiscard]] std::vector<std::byte> take() {
    CHECK(at_ == out_.size());
    return std::move(out_);
  }
  [[nodiscard]] std::span<std::byte> all() { return out_; }

 private:
  std::vector<std::byte> out_;
  std::size_t at_ = 0;
};

// The caller has judged the length.
class Reader {
 public:
  explicit Reader(Bytes in) : in_(in) {}
  template <class T>
  T get() {
    const T value = load_le<T>(in_, at_);
    at_ += sizeof(T);
    return value;
  }

 private:
  Bytes in_;
  std::size_t at_ = 0;
};

}  // namespace

void SegmentIndex::add(const EntryHeader& header, std::uint32_t position, std::uint32_t bytes) {
  CHECK(entries_.empty() || entries_.back().index < header.index);
  entries_.push_back({.index = header.index, .position = position, .bytes = bytes});
  if (terms_.empty() || terms_.back().term != header.term) {
    terms_.push_back({.first = header.index, .term = header.term});
  }
  if (header.kind != EntryKind::kBatch) return;
  shards_[header.shard].push_back({.base = header.base_offset,
                                   .count = header.record_count,
                                   .position = position,
                                   .bytes = bytes,
                                   .level_mask = header.level_mask,
                                   .append_time = header.append_time});
  ++shard_entries_;
}

void SegmentIndex::truncate_after(Index last) {
  while (!entries_.empty() && entries_.back().index > last) entries_.pop_back();
  while (!terms_.empty() && terms_.back().first > last) terms_.pop_back();
  const std::uint32_t end = entries_.empty() ? 0 : entries_.back().position + 1;
  for (auto at = shards_.begin(); at != shards_.end();) {
    auto& batches = at->second;
    while (!batches.empty() && batches.back().position >= end) {
      batches.pop_back();
      --shard_entries_;
    }
    at = batches.empty() ? shards_.erase(at) : std::next(at);
  }
}

std::optional<Term> SegmentIndex::term_at(Index index) const {
  const auto after =
      std::upper_bound(terms_.begin(), terms_.end(), index,
                       [](Index wanted, const TermRun& run) { return wanted < run.first; });
  if (after == terms_.begin()) return std::nullopt;
  return std::prev(after)->term;
}

std::size_t SegmentIndex::encoded_bytes() const {
  return kFixedBytes + entries_.size() * kIndexEntryBytes + terms_.size() * kTermRunBytes +
         shards_.size() * kShardBytes + shard_entries_ * kShardEntryBytes;
}

std::vector<std::byte> SegmentIndex::encode(GroupIncarnation group, SegmentId segment) const {
  Writer out(encoded_bytes());
  out.put<std::uint32_t>(kFooterMagic);
  out.put<std::uint32_t>(0);
  out.put<std::uint64_t>(group.value());
  out.put<std::uint64_t>(segment.value());
  out.put<std::uint32_t>(static_cast<std::uint32_t>(entries_.size()));
  out.put<std::uint32_t>(static_cast<std::uint32_t>(terms_.size()));
  out.put<std::uint32_t>(static_cast<std::uint32_t>(shards_.size()));
  out.put<std::uint32_t>(static_cast<std::uint32_t>(shard_entries_));
  for (const IndexEntry& entry : entries_) {
    out.put<std::uint64_t>(entry.index.value());
    out.put<std::uint32_t>(entry.position);
    out.put<std::uint32_t>(entry.bytes);
  }
  for (const TermRun& run : terms_) {
    out.put<std::uint64_t>(run.first.value());
    out.put<std::uint64_t>(run.term.value());
  }
  for (const auto& [key, batches] : shards_) {
    out.put<std::uint64_t>(key.stream.value());
    out.put<std::uint32_t>(key.shard.value());
    out.put<std::uint32_t>(static_cast<std::uint32_t>(batches.size()));
    for (const ShardEntry& batch : batches) {
      out.put<std::uint64_t>(batch.base.value());
      out.put<std::uint32_t>(batch.count);
      out.put<std::uint32_t>(batch.position);
      out.put<std::uint32_t>(batch.bytes);
      out.put<std::uint32_t>(batch.level_mask);
      out.put<std::int64_t>(batch.append_time);
    }
  }
  store_le<std::uint32_t>(out.all(), 4, crc32c(Bytes(out.all()).subspan(kCrcFrom)));
  return out.take();
}

Result<SegmentIndex> SegmentIndex::decode(Bytes bytes, GroupIncarnation group, SegmentId segment) {
  const auto refuse = [] { return fail(Errc::kCorrupt, "the footer does not check"); };
  if (bytes.size() < kFixedBytes || load_le<std::uint32_t>(bytes) != kFooterMagic ||
      load_le<std::uint32_t>(bytes, 4) != crc32c(bytes.subspan(kCrcFrom)) ||
      load_le<std::uint64_t>(bytes, kGroupAt) != group.value() ||
      load_le<std::uint64_t>(bytes, kSegmentAt) != segment.value()) {
    return refuse();
  }
  // The checksum holds: what follows is what was written. Bounds are judged all the same.
  Reader in(bytes.subspan(kCountsAt));
  const std::uint64_t entries = in.get<std::uint32_t>();
  const std::uint64_t terms = in.get<std::uint32_t>();
  const std::uint64_t shards = in.get<std::uint32_t>();
  const std::uint64_t batches = in.get<std::uint32_t>();
  if (bytes.size() != kFixedBytes + entries * kIndexEntryBytes + terms * kTermRunBytes +
                          shards * kShardBytes + batches * kShardEntryBytes) {
    return refuse();
  }
  SegmentIndex index;
  index.entries_.reserve(entries);
  for (std::uint64_t i = 0; i < entries; ++i) {
    index.entries_.push_back({.index = Index(in.get<std::uint64_t>()),
                              .position = in.get<std::uint32_t>(),
                              .bytes = in.get<std::uint32_t>()});
  }
  for (std::uint64_t i = 0; i < terms; ++i) {
    const Index first(in.get<std::uint64_t>());
    index.terms_.push_back({.first = first, .term = Term(in.get<std::uint64_t>())});
  }
  std::uint64_t left = batches;
  for (std::uint64_t i = 0; i < shards; ++i) {
    const StreamId stream(in.get<std::uint64_t>());
    const ShardNumber shard(in.get<std::uint32_t>());
    const std::uint64_t count = in.get<std::uint32_t>();
    if (count > left) return refuse();
    left -= count;
    auto& list = index.shards_[{.stream = stream, .shard = shard}];
    list.reserve(count);
    for (std::uint64_t j = 0; j < count; ++j) {
      ShardEntry batch;
      batch.base = Offset(in.get<std::uint64_t>());
      batch.count = in.get<std::uint32_t>();
      batch.position = in.get<std::uint32_t>();
      batch.bytes = in.get<std::uint32_t>();
      batch.level_mask = in.get<std::uint32_t>();
      batch.append_time = in.get<std::int64_t>();
      list.push_back(batch);
    }
  }
  if (left != 0) return refuse();
  index.shard_entries_ = batches;
  return index;
}

}  // namespace lignum::storage
