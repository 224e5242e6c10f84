#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "net/tail_shard.h"
#include "raft/types.h"

namespace lignum::net {

// The next step of a merge over shards, by (append time, stream, shard).
//
// All records of a batch share their append time, so batches are merged whole. A batch may be
// handed out once no shard without a batch can still bring an earlier one: that is what the bounds
// (the closed times of their groups) say. So the order depends on the log only, never on which
// answer came first.
struct MergeStep {
  enum class Kind : std::uint8_t {
    kBatch,    // take the head of `shard`
    kGap,      // `shard` has a gap before its next batch
    kBlocked,  // a batch waits for the time up to `target` to be closed, or nothing is there yet
    kDone,     // every shard is finished and empty
  };
  Kind kind = Kind::kDone;
  TailShard* shard = nullptr;
  // kBlocked: the latest append time that waits; none where nothing does.
  std::optional<TimeUs> target;
};

// `until`: shards whose head is not before it are finished on the way.
[[nodiscard]] MergeStep next_step(std::span<const std::unique_ptr<TailShard>> shards,
                                  std::optional<TimeUs> until);

}  // namespace lignum::net
