#include "raft/progress.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>

#include "raft/buggify.h"
#include "raft/check.h"
#include "raft/inflights.h"
#include "raft/messages.h"
#include "raft/mutant.h"
#include "raft/types.h"

namespace lignum::raft {

Progress::Progress(Session session, Index next, Inflights::Limits limits)
    : session_(session), next_(next), inflights_(limits) {
  CHECK(next > Index());
}

bool Progress::paused() const {
  return state_ == ProgressState::kSnapshot || waiting_ || fetching_;
}

void Progress::on_sent(std::uint64_t entries, std::size_t bytes, Index commit) {
  CHECK(!paused());
  on_commit_sent(commit);
  if (state_ == ProgressState::kProbe) {
    waiting_ = true;
    probe_out_ = true;
    return;
  }
  if (entries > 0) {
    next_ = next_ + entries;
    inflights_.add(Index(next_.value() - 1), bytes);
  }
  waiting_ = inflights_.full() || (entries > 0 && buggify(Buggify::kRaftWindowShut));
}

void Progress::on_commit_sent(Index commit) { sent_commit_ = std::max(sent_commit_, commit); }

bool Progress::on_accepted(Index match, Index base) {
  if (match < match_) return false;
  const bool grew = match > match_;
  match_ = match;
  next_ = std::max(next_, match.next());
  switch (state_) {
    case ProgressState::kProbe:
      become_replicate();
      return true;
    case ProgressState::kReplicate:
      inflights_.free_to(match);
      // A window that was let through once stays closed until something left it.
      if (grew) waiting_ = inflights_.full();
      return grew;
    case ProgressState::kSnapshot:
      if (match < base) return grew;
      become_replicate();
      return true;
  }
  std::unreachable();
}

bool Progress::on_rejected(Index previous, Index retry_after) {
  if (mutant(Mutant::kMatchFallsOnReject)) match_ = std::min(match_, retry_after);
  // Nothing that is out now has a previous entry outside [match, next).
  if (previous <= match_ || previous >= next_ || state_ == ProgressState::kSnapshot) return false;
  // After a snapshot no probe is out yet, though next() may be where an old one began.
  if (state_ == ProgressState::kProbe && (previous.next() != next_ || !probe_out_)) return false;
  become_probe();
  const Index below(previous.value() - 1);
  probe_from(std::max(std::min(retry_after, below), match_).next());
  return true;
}

void Progress::on_heartbeat_answered() { waiting_ = false; }

void Progress::on_unreachable() {
  // A probe that is out stays out until a heartbeat is answered: a peer that is gone would be sent
  // one after another.
  if (state_ == ProgressState::kReplicate) become_probe();
}

void Progress::become_probe() {
  reset(ProgressState::kProbe);
  probe_from(match_.next());
}

void Progress::become_replicate() {
  reset(ProgressState::kReplicate);
  next_ = match_.next();
}

void Progress::become_snapshot() {
  reset(ProgressState::kSnapshot);
  ++transfer_;
}

bool Progress::on_snapshot_sent(std::uint64_t transfer, std::optional<Index> sent) {
  if (state_ != ProgressState::kSnapshot || transfer != transfer_) return false;
  become_probe();
  if (sent) probe_from(std::max(*sent, match_).next());
  // The answer to the snapshot, or to a heartbeat where it failed, comes first.
  waiting_ = true;
  return true;
}

bool Progress::take_recently_active() { return std::exchange(recently_active_, false); }

void Progress::reset(ProgressState state) {
  state_ = state;
  waiting_ = false;
  probe_out_ = false;
  inflights_.clear();
}

void Progress::probe_from(Index next) {
  next_ = next;
  // What was sent beyond may be lost, the commit index with it.
  sent_commit_ = std::min(sent_commit_, Index(next.value() - 1));
}

}  // namespace lignum::raft
