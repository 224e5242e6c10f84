#pragma once

// What a Core asks its host to do, and the one order in which to do it.
//
// The order of durability (Raft thesis, 3.8 and 10.2.1; executed in server/group/replica.cc and
// nowhere else):
//   1. `persist`: give hard state, truncation and entries to one flush, in this order. The flush
//      may run on another thread; the core keeps stepping meanwhile, and flushes of one group
//      complete in the order of their tokens.
//   2. `send_now` may leave at once: nothing in it promises anything about this replica's disk.
//      A leader's own flush overlaps the sending of the same entries to its followers.
//   3. When the flush has completed: send `persist->send_after_persist` (votes and append acks:
//      promises), then call Core::on_persisted(token). Only then does the replica count itself.
//   4. Apply committed entries up to min(commit, own durable index), then wake the waiters.
// Failing to send is not an error; failing to store is fatal to the process.

#include <cstdint>
#include <optional>
#include <vector>

#include "raft/entry.h"
#include "raft/messages.h"
#include "raft/types.h"

namespace lignum::raft {

// What a replica must never forget (Raft thesis, figure 3.1). Term and vote are one record.
struct HardState {
  Term term;
  std::optional<ReplicaId> vote;
  friend bool operator==(const HardState&, const HardState&) = default;
};

// Names one persist operation. Vote and log are one ordered stream, so one token stands for both.
// `truncation` counts truncations of this log: an ack of entries that were truncated and replaced
// since cannot be mistaken for an ack of their successors (ABA).
struct WriteToken {
  std::uint64_t sequence = 0;
  std::uint64_t truncation = 0;
  LogId last;
  HardState hard_state;
  friend bool operator==(const WriteToken&, const WriteToken&) = default;
};

struct PersistOp {
  std::optional<HardState> hard_state;
  // Keep entries up to here and drop the rest, before `append`.
  std::optional<Index> truncate_after;
  // Consecutive indexes. Headers carry group, index and term; the host fills `previous_chain`, and
  // the append time of a leader's own no-op, which comes with 0: the core knows no clock.
  std::vector<Entry> append;
  std::vector<Message> send_after_persist;
  WriteToken token;
};

enum class Role : std::uint8_t { kFollower, kPreCandidate, kCandidate, kLeader };

struct RoleChange {
  Role role = Role::kFollower;
  Term term;
  std::optional<ReplicaId> leader;
};

struct Output {
  std::optional<PersistOp> persist;
  std::vector<Message> send_now;
  // Set when role, term or known leader changed. In-flight admission state dies here.
  std::optional<RoleChange> role_change;
  // Every entry up to here is committed. Never shrinks.
  Index commit;
};

}  // namespace lignum::raft
