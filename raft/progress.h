#pragma once

// What a leader knows of one follower's log, and what it has on the way to it.
//
//   kProbe      match unknown: one message at a time, until one is accepted
//   kReplicate  messages are pipelined, `next` runs ahead of `match` within the window
//   kSnapshot   the log no longer holds what the follower needs: a snapshot is on its way
//
// `match` never shrinks within a session (trap: a late rejection). A part of Core; same thread.

#include <cstddef>
#include <cstdint>
#include <optional>

#include "raft/inflights.h"
#include "raft/messages.h"
#include "raft/types.h"

namespace lignum::raft {

enum class ProgressState : std::uint8_t { kProbe, kReplicate, kSnapshot };

class Progress {
 public:
  Progress(Session session, Index next, Inflights::Limits limits)
      : session_(session), next_(next), inflights_(limits) {}

  [[nodiscard]] Session session() const { return session_; }
  [[nodiscard]] ProgressState state() const { return state_; }
  [[nodiscard]] Index match() const { return match_; }
  // The first entry not sent yet; in kProbe the first one of the next probe.
  [[nodiscard]] Index next() const { return next_; }
  // Highest commit index that was sent.
  [[nodiscard]] Index sent_commit() const { return sent_commit_; }
  [[nodiscard]] const Inflights& inflights() const { return inflights_; }

  // Nothing may be sent now but heartbeats: an unanswered probe, a full window, a snapshot on its
  // way, or entries that were asked for and have not come.
  [[nodiscard]] bool paused() const;
  // Entries were asked of the host (Fetch) and have not come yet.
  [[nodiscard]] bool fetching() const { return fetching_; }
  void set_fetching(bool fetching) { fetching_ = fetching; }

  // A message with `entries` entries of `bytes` from next() on leaves, naming `commit`. In kProbe
  // next() stays where it is.
  void on_sent(std::uint64_t entries, std::size_t bytes, Index commit);
  void on_commit_sent(Index commit);

  // The follower has everything up to `match`. True when that is news. Frees the window; leaves
  // kProbe for kReplicate, and kSnapshot once `match` connects with the log (it is at or above
  // `base`, the index before the leader's first entry).
  bool on_accepted(Index match, Index base);
  // The message after `previous` was rejected; entries after `retry_after` (from the hint, below
  // `previous`) are tried next. False when the answer is stale: it contradicts match(), or in
  // kProbe answers another probe.
  bool on_rejected(Index previous, Index retry_after);

  // An answer to a heartbeat: a probe that was lost may be repeated, and a full window is let one
  // message through (all of what was in flight may have been lost).
  void on_heartbeat_answered();
  // The connection broke: what was in flight is lost. kReplicate goes back to kProbe.
  void on_unreachable();

  void become_probe();
  void become_replicate();
  // `offered`: the snapshot's index; not known before it was sent.
  void become_snapshot();
  // The snapshot left completely (probe after it) or its sending failed (probe from match).
  void on_snapshot_sent(std::optional<Index> sent);

  // Since the last call of take_recently_active(): an answer came.
  void set_recently_active() { recently_active_ = true; }
  [[nodiscard]] bool recently_active() const { return recently_active_; }
  bool take_recently_active();

 private:
  Session session_;
  ProgressState state_ = ProgressState::kProbe;
  Index match_;
  Index next_;
  Index sent_commit_;
  // Of kSnapshot, once sent.
  std::optional<Index> snapshot_;
  bool probe_sent_ = false;
  bool fetching_ = false;
  bool recently_active_ = false;
  Inflights inflights_;
};

}  // namespace lignum::raft
