#pragma once

// The ordered stream of persist operations of one core, and which of them are durable.
//
// Vote and log are one stream (output.h): an operation gathers hard state and entries until it is
// handed over, gets the next token, and completes in the order of tokens. A part of Core.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>

#include "raft/output.h"
#include "raft/types.h"

namespace lignum::raft {

class WriteTracker {
 public:
  explicit WriteTracker(HardState durable) : durable_hard_state_(durable), hard_state_(durable) {}

  // Adds to the operation being gathered.
  void save(const HardState& hard_state);
  void append(Entry entry);

  [[nodiscard]] bool has_op() const { return gathering_.has_value(); }
  // Hands the operation over with its token; `last` is the last entry of the log with it.
  [[nodiscard]] std::optional<PersistOp> take(LogId last);

  // CHECKs that `token` is the oldest one outstanding.
  void complete(const WriteToken& token);

  // The newest durable term and vote.
  [[nodiscard]] const HardState& durable_hard_state() const { return durable_hard_state_; }
  [[nodiscard]] std::size_t outstanding() const { return outstanding_.size(); }

 private:
  HardState durable_hard_state_;
  // As of the newest operation.
  HardState hard_state_;
  std::optional<PersistOp> gathering_;
  std::uint64_t last_sequence_ = 0;
  std::deque<WriteToken> outstanding_;
};

}  // namespace lignum::raft
