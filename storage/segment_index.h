#pragma once

// What one segment holds, by entry: where each one lies and which shard's offsets it carries. The
// arrays of the active segment live in memory; those of a sealed one lie in its footer and are
// read when they are needed.

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "raft/entry.h"
#include "raft/error.h"
#include "raft/payload.h"
#include "raft/types.h"

namespace lignum::storage {

// One entry of a segment.
struct IndexEntry {
  Index index;
  std::uint32_t position = 0;  // of its frame
  std::uint32_t bytes = 0;     // of its frame
};

// One batch of a shard.
struct ShardEntry {
  Offset base;
  std::uint32_t count = 0;
  std::uint32_t position = 0;
  std::uint32_t bytes = 0;
  std::uint32_t level_mask = 0;
  TimeUs append_time = 0;
};

struct TermRun {
  Index first;
  Term term;
};

class SegmentIndex {
 public:
  void add(const EntryHeader& header, std::uint32_t position, std::uint32_t bytes);
  // Forgets entries above `last`.
  void truncate_after(Index last);

  // Ascending by index; holes where a skip frame stands.
  [[nodiscard]] const std::vector<IndexEntry>& entries() const { return entries_; }
  // Ascending by offset.
  [[nodiscard]] const std::map<ShardKey, std::vector<ShardEntry>>& shards() const {
    return shards_;
  }
  // Null where it holds nothing of the shard.
  [[nodiscard]] const std::vector<ShardEntry>* find(ShardKey shard) const {
    const auto found = shards_.find(shard);
    return found == shards_.end() ? nullptr : &found->second;
  }
  [[nodiscard]] std::optional<Term> term_at(Index index) const;

  // Bytes of encode()'s result, for planning.
  [[nodiscard]] std::size_t encoded_bytes() const;
  // Footer bytes: self-checking, with group and segment as their identity.
  [[nodiscard]] std::vector<std::byte> encode(GroupIncarnation group, SegmentId segment) const;
  // kCorrupt unless every checksum and bound is right.
  [[nodiscard]] static Result<SegmentIndex> decode(Bytes bytes, GroupIncarnation group,
                                                   SegmentId segment);

 private:
  std::vector<IndexEntry> entries_;
  std::vector<TermRun> terms_;
  std::map<ShardKey, std::vector<ShardEntry>> shards_;
  std::size_t shard_entries_ = 0;
};

}  // namespace lignum::storage
