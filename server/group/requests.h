#pragma once

// What is asked of a group, and what it answers: plain values, as the services hand them over.

#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "raft/entry.h"
#include "raft/error.h"
#include "raft/payload.h"
#include "raft/types.h"
#include "storage/record_batch.h"

namespace lignum::server {

// The records a shard holds: [start, next).
struct ShardBounds {
  Offset start;
  Offset next;  // the watermark: first offset not yet committed
};

// An error, with the shard's bounds or the leader where they help the caller to go on.
struct Refusal {
  Error error;
  std::optional<ShardBounds> bounds = std::nullopt;
  // kNotLeader: whom to ask instead, where that is known.
  std::optional<NodeId> leader = std::nullopt;
  // Of a read that begins where records cannot be read: the first offset behind them.
  std::optional<Offset> readable_from = std::nullopt;
};

[[nodiscard]] inline std::unexpected<Refusal> refuse(Error error) {
  return std::unexpected<Refusal>(Refusal{.error = std::move(error)});
}
[[nodiscard]] inline std::unexpected<Refusal> refuse(Errc code, std::string message) {
  return refuse(Error(code, std::move(message)));
}

// An answer that says nothing but yes.
struct Done {};

// Called exactly once, on the group's lane, possibly from inside the call that took it.
template <class T>
using Reply = std::move_only_function<void(std::expected<T, Refusal>)>;

struct AppendRequest {
  ShardKey shard;
  // One record batch v2, exclusively owned: its base offset is filled in by the group.
  Payload batch;
  // What the front door learned about it.
  BatchSummary summary;
  std::optional<Offset> expected_offset;
  std::int64_t deadline_monotonic_us = 0;
};

struct AppendOutcome {
  Offset base_offset;
  TimeUs append_time = 0;
  Hash128 shard_chain;
  bool duplicate = false;
};

struct ReadRequest {
  ShardKey shard;
  Offset from;
  std::size_t bytes_max = 0;
  // Waits at the watermark until this; in the past: does not wait.
  std::int64_t deadline_monotonic_us = 0;
  std::uint32_t level_mask = kLevelMaskAll;
  // Also answers once the group's closed time has reached this.
  std::optional<TimeUs> close;
  // The answer holds everything that was appended before the request, whoever took it; kTimeout
  // where a majority did not confirm that by `confirm_by_monotonic_us`.
  bool linearizable = false;
  std::int64_t confirm_by_monotonic_us = 0;
};

struct ReadOutcome {
  std::vector<Entry> batches;
  // Read on from here.
  Offset next;
  ShardBounds bounds;
  TimeUs closed_time = 0;
};

struct OffsetsRequest {
  ShardKey shard;
  std::optional<TimeUs> at;
  // As in ReadRequest.
  bool linearizable = false;
  std::int64_t confirm_by_monotonic_us = 0;
};

struct OffsetsOutcome {
  ShardBounds bounds;
  std::optional<Offset> offset;
  TimeUs closed_time = 0;
};

struct TrimOutcome {
  Offset start;
};

struct ShardStatusOutcome {
  ShardBounds bounds;
  std::uint64_t bytes = 0;
  TimeUs last_append = 0;
  Hash128 chain;
  std::uint32_t producers = 0;
};

}  // namespace lignum::server
