#pragma once

// The ordered stream of persist operations of one core, and which of them are durable.
//
// Vote and log are one stream (output.h): an operation gathers hard state, restore, truncation,
// entries and the messages that promise them, until it is handed over, gets the next token, and
// completes in the order of tokens. A part of Core; same thread.

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

  // Each adds to the operation being gathered.
  void save(const HardState& hard_state);
  void append(Entry entry);
  // Entries above `last_kept` go: those gathered, and by truncate_after those handed over.
  void truncate_after(Index last_kept);
  // Everything gathered so far of the log is void.
  void restore(const Snapshot& snapshot);
  // Leaves when everything saved and appended so far is durable.
  void send_after(Message message);

  // Nothing is gathered and nothing is out: a promise about all that was accepted may leave now.
  [[nodiscard]] bool idle() const { return !gathering_ && outstanding_.empty(); }
  [[nodiscard]] bool has_op() const { return gathering_.has_value(); }
  // Hands the operation over with its token. `last` is the last entry of the log with it,
  // `truncation` the log's truncation number.
  [[nodiscard]] std::optional<PersistOp> take(LogId last, std::uint64_t truncation);

  // CHECKs that `token` is the oldest one outstanding.
  void complete(const WriteToken& token);

  // The newest durable term and vote.
  [[nodiscard]] const HardState& durable_hard_state() const { return durable_hard_state_; }
  [[nodiscard]] std::size_t outstanding() const { return outstanding_.size(); }

 private:
  PersistOp& gathering();

  HardState durable_hard_state_;
  // As of the newest operation.
  HardState hard_state_;
  std::optional<PersistOp> gathering_;
  std::uint64_t last_sequence_ = 0;
  std::deque<WriteToken> outstanding_;
};

}  // namespace lignum::raft
