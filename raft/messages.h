#pragma once

// The messages of the Raft protocol as plain values. The codec lives in net/raft_codec.
//
// Every body names the sender's term. Every answer names the request it answers (candidacy, session
// and previous index, read sequence), so that an answer that comes late, twice or after a change of
// membership is never taken for another's.

#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

#include "raft/entry.h"
#include "raft/membership.h"
#include "raft/types.h"

namespace lignum::raft {

enum class Campaign : std::uint8_t {
  kPreVote,   // would you vote for me? Changes nothing at the receiver (thesis 9.6)
  kElection,  // vote for me (thesis 3.4)
  kTransfer,  // the leader asked me to: vote even though you hear a leader (thesis 3.10)
};

// `term` is the term of the candidacy: for a pre-vote one above the sender's own. `last` is the
// candidate's last entry, durable before the request of a real election leaves.
struct RequestVote {
  Term term;
  LogId last;
  Campaign kind = Campaign::kElection;
};

// `term` is the sender's own; `candidacy` and `kind` are those of the request.
struct RequestVoteReply {
  Term term;
  Term candidacy;
  Campaign kind = Campaign::kElection;
  bool granted = false;
};

// One progress of one follower within one leadership; a new one begins when a replica joins the
// configuration, so that answers to an earlier member of the same id are told apart.
using Session = std::uint64_t;

// Thesis 3.5. `commit` is not above the last index of the message: a follower commits only what
// this leader verified.
struct AppendEntries {
  Term term;
  Session session = 0;
  LogId previous;
  Index commit;
  std::vector<Entry> entries;
};

// Sent when everything up to `match` is durable, or at once for a rejection.
struct AppendReply {
  Term term;
  Session session = 0;
  // Of the request.
  Index previous;
  // Accepted: the replica's log equals the leader's up to here, durably. Not above the last index
  // of the request, or the commit index that made a snapshot needless. Rejected: unused.
  Index match;
  // Rejected: the log has no entry `previous`; it may agree with the leader's at or below this
  // entry, and nowhere between it and `previous`.
  std::optional<LogId> conflict;
};

// Keeps elections away, carries the commit index of a follower that has it all, and the newest
// read sequence (6.4).
struct Heartbeat {
  Term term;
  Session session = 0;
  // min(match of this follower, commit).
  Index commit;
  std::uint64_t read_sequence = 0;
};

struct HeartbeatReply {
  Term term;
  Session session = 0;
  std::uint64_t read_sequence = 0;
};

// A state at one index, and the configuration in force there (thesis 5).
struct Snapshot {
  LogId id;
  Membership membership;
  friend bool operator==(const Snapshot&, const Snapshot&) = default;
};

// The state and entries of `snapshot` have arrived: whole, verified and staged, not yet installed.
// The host moves the bytes (server/group/snapshots) and steps this when it has them. Answered by an
// AppendReply.
struct InstallSnapshot {
  Term term;
  Session session = 0;
  Snapshot snapshot;
};

// Campaign now, do not ask first (thesis 3.10).
struct TimeoutNow {
  Term term;
};

// A follower asks the leader for an index at which a read is linearizable (thesis 6.4).
struct ReadRequest {
  Term term;
  std::uint64_t id = 0;
};

struct ReadReply {
  Term term;
  std::uint64_t id = 0;
  Index index;
};

using MessageBody =
    std::variant<RequestVote, RequestVoteReply, AppendEntries, AppendReply, Heartbeat,
                 HeartbeatReply, InstallSnapshot, TimeoutNow, ReadRequest, ReadReply>;

struct Message {
  ReplicaId from;
  ReplicaId to;
  // The sender's HardState::recovery: what was sent before a recovery from a lost quorum means
  // nothing after it.
  std::uint64_t recovery = 0;
  MessageBody body;
};

// The sender's term; of a pre-vote the term of its candidacy.
[[nodiscard]] Term term_of(const Message& message);

}  // namespace lignum::raft
