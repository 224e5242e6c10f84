#pragma once

// A log and hard state in memory, for worlds that run real cores: what a core was told it has, or
// what its disk keeps. Performs persist operations and boots a core. Values; one thread.

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "raft/core.h"
#include "raft/entry.h"
#include "raft/hard_state.h"
#include "raft/membership.h"
#include "raft/output.h"
#include "raft/types.h"

namespace lignum::world {

// A batch whose payload is `text`.
Entry text_entry(std::string_view text);
// Payload of a batch made by text_entry.
std::string text_of(const Entry& entry);

class ReplicaLog {
 public:
  // Empty behind `base`, where `membership` is in force.
  ReplicaLog(LogId base, raft::Membership membership, raft::HardState hard_state)
      : base_(base), base_membership_(std::move(membership)), hard_state_(hard_state) {}

  [[nodiscard]] LogId base() const { return base_; }
  [[nodiscard]] LogId last() const {
    return entries_.empty() ? base_ : entries_.back().header.id();
  }
  [[nodiscard]] const raft::HardState& hard_state() const { return hard_state_; }
  [[nodiscard]] const std::vector<Entry>& entries() const { return entries_; }
  // Null outside (base, last].
  [[nodiscard]] const Entry* find(Index index) const;
  // True also of what a snapshot replaced.
  [[nodiscard]] bool covers(LogId id) const;
  // In force at `index`, which is in [base, last].
  [[nodiscard]] raft::Membership membership_at(Index index) const;

  // In the order that raft/output.h names: hard state, restore or truncation, entries.
  void perform(const raft::PersistOp& op);
  // Drops entries up to `index`, which is in [base, last].
  void compact(Index index);
  void append(Entry entry);

  // What a core finds that starts on this log: nothing above base is known to be committed.
  [[nodiscard]] raft::Boot boot(ReplicaId self, Index commit) const;

 private:
  LogId base_;
  raft::Membership base_membership_;
  raft::HardState hard_state_;
  std::vector<Entry> entries_;
};

}  // namespace lignum::world
