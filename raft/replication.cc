// What a leader does with its followers: sends entries, counts what they hold, commits (Raft thesis
// 3.5, 3.6). Part of Core; see core_state.h.

#include <algorithm>
#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

#include "raft/buggify.h"
#include "raft/check.h"
#include "raft/core.h"
#include "raft/core_state.h"
#include "raft/entry.h"
#include "raft/log_view.h"
#include "raft/membership.h"
#include "raft/messages.h"
#include "raft/mutant.h"
#include "raft/options.h"
#include "raft/output.h"
#include "raft/progress.h"
#include "raft/quorum.h"
#include "raft/types.h"

namespace lignum::raft {

LogId Core::State::accept(Entry entry) {
  entry.header.group = group;
  entry.header.index = log.last().index.next();
  entry.header.term = hard_state.term;
  const LogId id = entry.header.id();
  const std::size_t bytes = kEntryOverheadBytes + entry.payload.size();
  log.append(id);
  uncommitted_bytes += bytes;
  uncommitted.push_back({.index = id.index, .bytes = bytes});
  writes.append(std::move(entry));
  sends_due = true;
  return id;
}

Progress* Core::State::open_progress(const ReplicaId& replica, Session session) {
  Leader* const leader = leading();
  if (leader == nullptr) return nullptr;
  const auto found = leader->progress.find(replica);
  if (found == leader->progress.end() || found->second.session() != session) return nullptr;
  return &found->second;
}

void Core::State::plan_sends(std::vector<Fetch>& fetch) {
  sends_due = false;
  Leader* const leader = leading();
  if (leader == nullptr) return;
  for (auto& [replica, progress] : leader->progress) plan_send(replica, progress, fetch);
}

// What needs no entries leaves at once; entries are asked of the host first.
void Core::State::plan_send(const ReplicaId& to, Progress& progress, std::vector<Fetch>& fetch) {
  if (progress.paused()) return;
  if (buggify(Buggify::kRaftProbeAgain)) progress.on_unreachable();
  const Index previous(progress.next().value() - 1);
  // How far behind a follower is that is probed nobody knows; there is a state to send, though.
  const bool anyway = progress.state() == ProgressState::kProbe && commit > Index() &&
                      buggify(Buggify::kRaftSnapshotAnyway);
  if (anyway || !log.term_at(previous)) return ask_for_snapshot(to, progress);
  if (progress.next() <= log.last().index) {
    // A full window lets a message through after a heartbeat was answered: it asks whether what is
    // in flight has arrived.
    if (progress.state() == ProgressState::kReplicate && progress.inflights().full()) {
      send_append(to, progress, {});
      return;
    }
    progress.set_fetching(true);
    fetch.push_back(
        {.to = to,
         .session = progress.session(),
         .first = progress.next(),
         .last = log.last().index,
         .bytes_max = buggify(Buggify::kRaftShortFetch) ? 1 : options.append_bytes_max});
    return;
  }
  const bool news = progress.sent_commit() < std::min(commit, previous);
  if (news || progress.state() == ProgressState::kProbe) send_append(to, progress, {});
}

void Core::State::ask_for_snapshot(const ReplicaId& to, Progress& progress) {
  progress.become_snapshot();
  std::erase_if(send_snapshot, [&](const SendSnapshot& earlier) { return earlier.to == to; });
  send_snapshot.push_back(
      {.to = to, .session = progress.session(), .transfer = progress.transfer()});
}

void Core::State::send_append(const ReplicaId& to, Progress& progress, std::vector<Entry> entries) {
  const Index previous(progress.next().value() - 1);
  const auto term = log.term_at(previous);
  CHECK(term.has_value());
  const Index last = previous + entries.size();
  // Never above what this very message verifies: a follower's own tail may not be the leader's.
  const Index known = mutant(Mutant::kFollowerOvercommit) ? commit : std::min(commit, last);
  std::size_t bytes = 0;
  for (const Entry& entry : entries) bytes += kEntryOverheadBytes + entry.payload.size();
  progress.on_sent(entries.size(), bytes, known);
  send(to, AppendEntries{.term = hard_state.term,
                         .session = progress.session(),
                         .previous = {.term = *term, .index = previous},
                         .commit = known,
                         .entries = std::move(entries)});
}

void Core::State::supply(const Fetch& fetch, std::vector<Entry> entries) {
  Progress* const progress = open_progress(fetch.to, fetch.session);
  if (progress == nullptr || !progress->fetching()) return;
  progress->set_fetching(false);
  sends_due = true;
  // A rejection that came meanwhile wants other entries.
  if (progress->next() != fetch.first || progress->state() == ProgressState::kSnapshot) return;
  CHECK(!entries.empty());
  if (buggify(Buggify::kRaftShortSupply)) entries.resize(1);
  Index index = fetch.first;
  for (const Entry& entry : entries) {
    // Never a batch with a gap, nor entries of another life of the log.
    CHECK(entry.header.index == index);
    if (log.term_at(index) != entry.header.term) return;
    index = index.next();
  }
  if (!log.term_at(Index(fetch.first.value() - 1))) return;
  send_append(fetch.to, *progress, std::move(entries));
}

void Core::State::send_heartbeats() {
  Leader* const leader = leading();
  CHECK(leader != nullptr);
  for (const auto& [replica, progress] : leader->progress) send_heartbeat(replica, progress);
}

void Core::State::send_heartbeat(const ReplicaId& to, const Progress& progress) {
  send(to, Heartbeat{.term = hard_state.term,
                     .session = progress.session(),
                     .commit = mutant(Mutant::kHeartbeatOvercommit)
                                   ? commit
                                   : std::min(commit, progress.match()),
                     .read_sequence = reads.sequence()});
}

void Core::State::on_append_reply(const ReplicaId& from, const AppendReply& reply) {
  Progress* const progress = open_progress(from, reply.session);
  if (progress == nullptr) return;
  progress->set_recently_active();
  if (reply.conflict) {
    // At most one probe for each term: both sides skip what cannot match.
    // (Below the own base nothing is known but what the follower said.)
    const LogId hint = log.last_not_above(reply.conflict->index, reply.conflict->term);
    const Index retry_after = std::min(hint.index, reply.conflict->index);
    if (progress->on_rejected(reply.previous, retry_after)) sends_due = true;
    return;
  }
  if (reply.match > log.last().index) return;
  const bool was_paused = progress->paused();
  const bool news = progress->on_accepted(reply.match, log.base().index);
  if (news) advance_commit();
  if (news || was_paused) sends_due = true;
  advance_transfer();
}

void Core::State::on_heartbeat_reply(const ReplicaId& from, const HeartbeatReply& reply) {
  Progress* const progress = open_progress(from, reply.session);
  if (progress == nullptr) return;
  progress->set_recently_active();
  progress->on_heartbeat_answered();
  sends_due = true;
  const bool all_sent =
      progress->state() == ProgressState::kReplicate && progress->next() > log.last().index;
  // All that was in flight may be lost: an empty message finds out, for the follower rejects it.
  if (all_sent && progress->match() < log.last().index && !progress->paused()) {
    send_append(from, *progress, {});
  }
  reads.answered(from, reply.read_sequence);
  release_reads();
}

// Thesis 3.6.2: only an entry of the own term commits by being counted; with it everything before.
void Core::State::advance_commit() {
  Leader* const leader = leading();
  if (leader == nullptr) return;
  const auto match = [&](const ReplicaId& replica) {
    // A leader counts itself like everybody else: by what its disk holds.
    const bool early = mutant(Mutant::kLeaderCountsUnflushed);
    if (replica == self) return std::optional<Index>(early ? log.last().index : log.durable());
    const auto found = leader->progress.find(replica);
    return found == leader->progress.end() ? std::nullopt
                                           : std::optional<Index>(found->second.match());
  };
  Index held = committed_index(membership(), match);
  if (mutant(Mutant::kLearnerCountsForCommit)) {
    const std::vector<ReplicaId> members = membership().members();
    held = committed_index(members, match);
  }
  const bool own = log.term_at(held) == hard_state.term || mutant(Mutant::kCommitOldTerm);
  if (held <= commit || !own) return;
  commit = held;
  commit_moved = true;
  on_commit_advanced();
}

void Core::State::on_commit_advanced() {
  while (!uncommitted.empty() && uncommitted.front().index <= commit) {
    uncommitted_bytes -= uncommitted.front().bytes;
    uncommitted.pop_front();
  }
  // Followers hear of it at once: whoever leads next should not have to find out.
  sends_due = true;
  begin_read_round();
  on_membership_committed();
}

}  // namespace lignum::raft
