#pragma once

// The log that a shard's replicas agree on at the end of a run, and whose append put each record
// there.
//
// Everything else is judged against it, so it is built first and judged itself: replicas agree,
// every record was appended, none twice, none whose append was refused; what was acknowledged lies
// where the ack said, batches lie whole. Where retention trimmed the records, acks and reads fill
// in what is known of them. Linear: an ack claims its place directly, and only records that no ack
// claimed are searched for. Pure; used by one thread.

#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "jepsen/check/history.h"
#include "jepsen/check/violation.h"
#include "raft/types.h"

namespace lignum::jepsen {

struct FinalLog {
  static constexpr std::uint32_t kNoOwner = std::numeric_limits<std::uint32_t>::max();

  // By offset, from 0; kUnknownValue where records are trimmed and nobody saw them.
  std::vector<Value> values;
  // By offset: the place in history.appends() of the append that put the record there.
  std::vector<std::uint32_t> owners;

  [[nodiscard]] std::size_t size() const { return values.size(); }
  // False inside a batch: no operation can have found the log ending there.
  [[nodiscard]] bool may_end_at(std::size_t end) const {
    return end == 0 || end >= size() || owners[end] == kNoOwner || owners[end - 1] != owners[end];
  }
};

// Adds to `found` under the rules kHistory, kAgreement, kHole, kPhantom, kDuplicate, kAborted,
// kLost, kOffset, kAtomic and kConditional.
[[nodiscard]] FinalLog read_final_log(const ShardHistory& history, Violations& found);

}  // namespace lignum::jepsen
