#pragma once

// What a Core asks its host to do, and the one order in which to do it.
//
// The order of durability (Raft thesis, 3.8 and 10.2.1; executed in server/group/replica.cc and
// nowhere else):
//   1. `persist`: give hard state, then restore or truncation, then entries to one flush, in this
//      order. The flush may run on another thread; the core keeps stepping meanwhile, and flushes
//      of one group complete in the order of their tokens.
//   2. `fetch`: look the entries up (those of `persist` included) and hand them to Core::supply;
//      what it makes of them comes with the next Output. A leader's own flush overlaps the sending
//      of the same entries to its followers.
//   3. `send_now` may leave at once: nothing in it promises anything about this replica's disk.
//   4. When the flush has completed: send `persist->send_after_persist` (votes, requests for votes
//      and append acks: promises), then call Core::on_persisted(token). Only then does the replica
//      count itself.
//   5. Apply committed entries up to min(commit, own durable index), then wake the waiters and
//      serve `reads` whose index is applied.
// Failing to send is not an error; failing to store is fatal to the process.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "raft/entry.h"
#include "raft/hard_state.h"
#include "raft/messages.h"
#include "raft/types.h"

namespace lignum::raft {

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
  // Install the staged snapshot: the log becomes empty behind it.
  std::optional<Snapshot> restore;
  // Keep entries up to here and drop the rest, before `append`. Never together with `restore`.
  std::optional<Index> truncate_after;
  // Consecutive indexes. Of a leader's own entries the host fills `previous_chain`, and the append
  // time of those that come with 0 (no-op, configurations), and size and checksum of a
  // configuration's payload: the core knows neither hashes nor clocks. Those of a follower are
  // complete.
  std::vector<Entry> append;
  std::vector<Message> send_after_persist;
  WriteToken token;
};

// Entries that a follower needs. The answer is Core::supply with entries from `first` on, as many
// as fit `bytes_max` and at least one, none above `last`; or Core::supply_failed where the log no
// longer holds `first`. Asked again only after the answer.
struct Fetch {
  ReplicaId to;
  Session session = 0;
  Index first;
  Index last;
  std::size_t bytes_max = 0;
};

// A follower needs a snapshot: the host sends it one (its newest image) with this session, and
// says how that ended (Core::on_snapshot_sent). One transfer to a follower is open at a time: a
// later request for it takes the place of an earlier one, whose answer counts nothing any more and
// need not be given.
struct SendSnapshot {
  ReplicaId to;
  Session session = 0;
  // Counts within the session: the answer names the transfer that it ends.
  std::uint64_t transfer = 0;
  friend bool operator==(const SendSnapshot&, const SendSnapshot&) = default;
};

enum class Role : std::uint8_t { kFollower, kPreCandidate, kCandidate, kLeader };

struct RoleChange {
  Role role = Role::kFollower;
  Term term;
  std::optional<ReplicaId> leader;
};

// The read that Core::read_index() named `id` is linearizable at `index`; none when it failed
// (leadership changed): ask again.
struct ReadReady {
  std::uint64_t id = 0;
  std::optional<Index> index;
};

struct Output {
  std::optional<PersistOp> persist;
  std::vector<Fetch> fetch;
  std::vector<SendSnapshot> send_snapshot;
  std::vector<Message> send_now;
  std::vector<ReadReady> reads;
  // Set when role, term or known leader changed. In-flight admission state dies here.
  std::optional<RoleChange> role_change;
  // A leader's log contradicts what is committed here, at this index: the host halts this replica
  // and raises the alarm; it has fallen silent as after Core::on_damaged.
  std::optional<Index> divergence;
  // Every entry up to here is committed. Never shrinks.
  Index commit;
};

}  // namespace lignum::raft
