#pragma once

// What a leader knows of one follower's log, and what it has on the way to it.
//
//   kProbe      match unknown: one message at a time, until one is accepted
//   kReplicate  messages are pipelined, `next` runs ahead of `match` within the window
//   kSnapshot   the log no longer holds what the follower needs: a snapshot is on its way
//
//              accepted                        rejected, unreachable
//     kProbe -----------> kReplicate   kReplicate -----------> kProbe
//
//              the log begins above next               sent, or failed
//     either ----------------------------> kSnapshot -----------------> kProbe
//
// match() < next(), always, and match() never shrinks: what a follower once acknowledged it holds,
// and an answer that says less comes late. A part of Core; same thread.

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
  // Begins in kProbe with nothing known; `next`, where the first probe begins, is not 0 (CHECKed).
  Progress(Session session, Index next, Inflights::Limits limits);

  [[nodiscard]] Session session() const { return session_; }
  [[nodiscard]] ProgressState state() const { return state_; }
  [[nodiscard]] Index match() const { return match_; }
  // The first entry not sent yet; in kProbe the first one of the next probe.
  [[nodiscard]] Index next() const { return next_; }
  // Highest commit index that was sent and is not known to be lost.
  [[nodiscard]] Index sent_commit() const { return sent_commit_; }
  [[nodiscard]] const Inflights& inflights() const { return inflights_; }

  // Nothing may be sent now but heartbeats: an unanswered probe, a full window, a snapshot on its
  // way, or entries that were asked for and have not come.
  [[nodiscard]] bool paused() const;
  // Entries were asked of the host (Fetch) and have not come yet. No change of state ends that: the
  // host answers each Fetch once.
  [[nodiscard]] bool fetching() const { return fetching_; }
  void set_fetching(bool fetching) { fetching_ = fetching; }

  // A message with `entries` entries of `bytes` from next() on leaves, naming `commit`. In kProbe
  // next() stays where it is. Preconditions: !paused(), and no entries into a window that is full
  // (both CHECKed).
  void on_sent(std::uint64_t entries, std::size_t bytes, Index commit);
  // The same for a heartbeat.
  void on_commit_sent(Index commit);

  // The follower has everything up to `match`. True when that is news: match() or state() changed.
  // Frees the window; leaves kProbe for kReplicate, and kSnapshot once `match` connects with the
  // log (it is at or above `base`, the index before the leader's first entry).
  bool on_accepted(Index match, Index base);
  // The message after `previous` was rejected: kProbe follows, and the entries after `retry_after`
  // (from the hint; lowered below `previous`, raised to match()) are tried next. False when the
  // answer is stale, which changes nothing: it contradicts match(), it is about entries that were
  // not sent since, in kProbe it answers another probe, in kSnapshot any.
  bool on_rejected(Index previous, Index retry_after);

  // An answer to a heartbeat: a probe that was lost may be repeated, and a full window is let one
  // message without entries through. All of what was in flight may have been lost; the answer to
  // that one tells.
  void on_heartbeat_answered();
  // The connection broke: what was in flight is lost. kReplicate goes back to kProbe; in kProbe a
  // heartbeat's answer repeats the probe, in kSnapshot the host says how the sending ended.
  void on_unreachable();

  // Each forgets what is in flight. The first two go on after match(); the third begins another
  // transfer().
  void become_probe();
  void become_replicate();
  void become_snapshot();
  // The newest transfer of a snapshot; 0 before the first.
  [[nodiscard]] std::uint64_t transfer() const { return transfer_; }
  // That transfer left completely (probe after it) or failed (probe from match); either way after
  // the next answer. True when that is news: what is said of an earlier transfer is not, nor is it
  // outside kSnapshot, where the follower was quicker.
  bool on_snapshot_sent(std::uint64_t transfer, std::optional<Index> sent);

  // An answer came since the last call of take_recently_active().
  void set_recently_active() { recently_active_ = true; }
  [[nodiscard]] bool recently_active() const { return recently_active_; }
  bool take_recently_active();

 private:
  void reset(ProgressState state);
  void probe_from(Index next);

  Session session_;
  ProgressState state_ = ProgressState::kProbe;
  Index match_;
  Index next_;
  Index sent_commit_;
  std::uint64_t transfer_ = 0;
  // A probe is out, or the window was full after the last message.
  bool waiting_ = false;
  // In kProbe: a message was sent that a rejection may answer.
  bool probe_out_ = false;
  bool fetching_ = false;
  bool recently_active_ = false;
  Inflights inflights_;
};

}  // namespace lignum::raft
