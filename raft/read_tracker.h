#pragma once

// Reads that wait for the proof that their leader still leads (Raft thesis 6.4).
//
// Reads gather until a round begins; a round has the commit index of that moment and a sequence
// number that every heartbeat carries from then on and every answer returns. A majority that
// answered this sequence, or a later one, confirms the round: each of them followed this leader
// after the reads had come. Sequences only rise within a leadership, so a delayed answer confirms
// nothing that came after it.
//
// A follower's own requests to its leader are kept here, too. A part of Core; same thread.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <vector>

#include "raft/membership.h"
#include "raft/options.h"
#include "raft/output.h"
#include "raft/types.h"

namespace lignum::raft {

class ReadTracker {
 public:
  struct Read {
    std::uint64_t id = 0;
    // The follower that asked; none: this replica's host did.
    std::optional<ReplicaId> from;
  };
  struct Confirmed {
    Read read;
    Index index;
  };

  // Ids of this replica's reads count from `first_id`.
  explicit ReadTracker(std::uint64_t first_id) : next_id_(first_id) {}

  // Of reads in all places.
  [[nodiscard]] std::size_t size() const;
  [[nodiscard]] std::uint64_t mint_id() { return next_id_++; }

  // ---- Of a leader.
  void gather(Read read) { gathered_.push_back(read); }
  [[nodiscard]] bool gathering() const { return !gathered_.empty(); }
  // Begins a round for what was gathered, at this commit index.
  void begin_round(Index commit);
  // Of the newest round; 0 before the first one.
  [[nodiscard]] std::uint64_t sequence() const { return sequence_; }
  void answered(const ReplicaId& replica, std::uint64_t sequence);
  // Takes the reads of every round that `membership` has confirmed; `self` always answers itself.
  [[nodiscard]] std::vector<Confirmed> take_confirmed(const Membership& membership,
                                                      const ReplicaId& self);

  // ---- Of a follower.
  void ask(std::uint64_t id) { asked_.push_back({.id = id, .age = 0}); }
  // True where `id` was open.
  bool close(std::uint64_t id);
  // Fails what the leader has not answered for `patience` ticks.
  void tick(Ticks patience, std::vector<ReadReady>& ready);

  // Forgets everything; this replica's own reads are added to `ready` as failed.
  void fail_all(std::vector<ReadReady>& ready);

 private:
  struct Round {
    std::uint64_t sequence = 0;
    Index index;
    std::vector<Read> reads;
  };
  struct Asked {
    std::uint64_t id = 0;
    Ticks age = 0;
  };
  std::uint64_t next_id_;
  std::uint64_t sequence_ = 0;
  std::vector<Read> gathered_;
  std::deque<Round> rounds_;
  // The newest sequence that each replica answered.
  std::map<ReplicaId, std::uint64_t> answers_;
  std::deque<Asked> asked_;
};

}  // namespace lignum::raft
