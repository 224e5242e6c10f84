#pragma once

// The ordered stream of persist operations of one core, and which of them are durable.
//
// Vote and log are one stream (output.h): an operation gathers hard state, restore, truncation,
// entries and the messages that promise them, until it is handed over, gets the next token, and
// completes in the order of tokens. A disk that does the operations in order holds, after each,
// the log and hard state of the moment it was handed over. A part of Core; same thread.

#include <cstddef>
#include <cstdint>
#include <optional>

#include "raft/entry.h"
#include "raft/hard_state.h"
#include "raft/messages.h"
#include "raft/output.h"
#include "raft/ring.h"
#include "raft/types.h"

namespace lignum::raft {

class WriteTracker {
 public:
  explicit WriteTracker(HardState durable) : durable_hard_state_(durable), hard_state_(durable) {}

  // Each adds to the operation being gathered.

  // A term never falls, and a vote is given once in a term (both CHECKed).
  void save(const HardState& hard_state);
  // The entry after the last one gathered, of a term that was saved (both CHECKed).
  void append(Entry entry);
  // Entries above `last_kept`, which is below the log's last one, go: those gathered, and by
  // PersistOp::truncate_after those handed over. Also an operation with nothing left in it is
  // handed over: its token names the log's new end, and earlier ones no longer count.
  void truncate_after(Index last_kept);
  // Everything gathered so far of the log is void.
  void restore(const Snapshot& snapshot);
  // Leaves when everything saved and appended so far is durable. It stays where a later truncation
  // or restore takes back what it speaks of: its receiver cannot tell it from one that came late.
  void send_after(Message message);

  // Nothing is gathered and nothing is out: a promise about all that was accepted may leave now.
  [[nodiscard]] bool idle() const { return !gathering_ && outstanding_.empty(); }
  [[nodiscard]] bool has_op() const { return gathering_.has_value(); }
  // Hands the operation over with its token; none when nothing is gathered. `last` is the last
  // entry of the log with it (CHECKed where the operation says), `truncation` the log's truncation
  // number (LogView::truncation).
  [[nodiscard]] std::optional<PersistOp> take(LogId last, std::uint64_t truncation);

  // The operation and all before it are durable. CHECKs that `token` is the oldest outstanding.
  void complete(const WriteToken& token);

  // The memory of an operation that is over serves the next one.
  void reuse(PersistOp spent);

  // The newest durable term and vote.
  [[nodiscard]] const HardState& durable_hard_state() const { return durable_hard_state_; }
  [[nodiscard]] std::size_t outstanding() const { return outstanding_.size(); }

 private:
  PersistOp& gathering();
  // The log's last entry as far as the gathered operation says.
  [[nodiscard]] std::optional<Index> gathered_last() const;

  HardState durable_hard_state_;
  // As of the newest operation.
  HardState hard_state_;
  std::optional<PersistOp> gathering_;
  std::uint64_t last_sequence_ = 0;
  Ring<WriteToken> outstanding_;
  // Memory for the next operation.
  PersistOp spare_;
};

}  // namespace lignum::raft
