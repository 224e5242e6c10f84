// What a follower does with a leader's messages: keeps what matches, takes the rest over, promises
// what is durable (Raft thesis 3.5, 5). Part of Core; see core_state.h.

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "raft/check.h"
#include "raft/core.h"
#include "raft/core_state.h"
#include "raft/entry.h"
#include "raft/log_view.h"
#include "raft/membership.h"
#include "raft/messages.h"
#include "raft/mutant.h"
#include "raft/types.h"

namespace lignum::raft {

namespace {

// Consecutive, of terms that do not fall and are not above the leader's; memberships can be read
// and are of no later recovery than their sender has heard of.
bool well_formed(const AppendEntries& request, std::uint64_t recovery) {
  LogId last = request.previous;
  for (const Entry& entry : request.entries) {
    if (entry.header.index != last.index.next() || entry.header.term < last.term) return false;
    if (entry.header.kind == EntryKind::kMembership) {
      const auto membership = decode_membership(entry.payload.bytes());
      if (!membership || membership->recovery > recovery) return false;
    }
    last = entry.header.id();
  }
  return last.term <= request.term;
}

}  // namespace

void Core::State::commit_to(Index index) {
  if (index <= commit) return;
  CHECK(index <= log.last().index);
  commit = index;
  commit_moved = true;
}

void Core::State::answer_stale(const Message& message) {
  // A leader that was cut off does not see the new term's messages: it has to be told.
  if (const auto* append = std::get_if<AppendEntries>(&message.body)) {
    send(message.from, AppendReply{.term = hard_state.term,
                                   .session = append->session,
                                   .previous = append->previous.index,
                                   .match = {},
                                   .conflict = std::nullopt});
  } else if (const auto* heartbeat = std::get_if<Heartbeat>(&message.body)) {
    send(message.from, HeartbeatReply{.term = hard_state.term, .session = heartbeat->session});
  } else if (const auto* install = std::get_if<InstallSnapshot>(&message.body)) {
    send(message.from, AppendReply{.term = hard_state.term,
                                   .session = install->session,
                                   .previous = install->snapshot.id.index,
                                   .match = {},
                                   .conflict = std::nullopt});
  }
}

void Core::State::on_append(const ReplicaId& from, AppendEntries& request) {
  if (!well_formed(request, hard_state.recovery)) return;
  AppendReply reply{.term = hard_state.term,
                    .session = request.session,
                    .previous = request.previous.index,
                    .match = {},
                    .conflict = std::nullopt};
  const Index last = request.previous.index + request.entries.size();
  // What lies below the log's first entry is committed, so it is the same everywhere.
  const bool matches =
      request.previous.index < log.base().index || log.has(request.previous) ||
      (mutant(Mutant::kPreviousTermIgnored) && request.previous.index <= log.last().index);
  if (!matches) {
    reply.conflict = log.last_not_above(request.previous.index, request.previous.term);
    send(from, reply);
    return;
  }
  if (!accept_entries(request.entries)) return;
  const bool over = mutant(Mutant::kFollowerOvercommit);
  commit_to(std::min(request.commit, over ? log.last().index : last));
  // Not the own last index: what lies behind the leader's last entry is not verified.
  reply.match = mutant(Mutant::kAckOwnLastIndex) ? log.last().index : last;
  if (mutant(Mutant::kAckBeforeFlush)) return send_at_once(from, reply);
  send_when_durable(from, reply);
}

bool Core::State::accept_entries(std::vector<Entry>& entries) {
  const auto differs = [&](const Entry& entry) {
    return entry.header.index > log.base().index &&
           log.term_at(entry.header.index) != entry.header.term;
  };
  auto first = std::ranges::find_if(entries, differs);
  if (mutant(Mutant::kTruncateWithoutConflict) && !entries.empty() &&
      entries.front().header.index > commit) {
    first = entries.begin();
  }
  if (first == entries.end()) return true;
  const Index index = first->header.index;
  if (index <= commit) {
    // Committed entries are never cut: one of the two logs is not what it should be.
    divergence = index;
    damaged = true;
    become_follower(hard_state.term, std::nullopt);
    return false;
  }
  // Only a conflict cuts the log: an append that came late may hold less than what is here.
  if (index <= log.last().index) {
    const Index kept(index.value() - 1);
    log.truncate_after(kept);
    writes.truncate_after(kept);
    if (!mutant(Mutant::kConfigurationNotRolledBack)) configs.truncate_after(kept);
  }
  for (auto entry = first; entry != entries.end(); ++entry) {
    log.append(entry->header.id());
    if (entry->header.kind == EntryKind::kMembership) {
      auto membership = decode_membership(entry->payload.bytes());
      CHECK(membership.has_value());  // well_formed()
      configs.append(entry->header.index, *std::move(membership));
    }
    writes.append(std::move(*entry));
  }
  return true;
}

void Core::State::on_heartbeat(const ReplicaId& from, const Heartbeat& heartbeat) {
  // The leader knows from this replica's own answers that it has everything up to there.
  if (heartbeat.commit <= log.last().index) commit_to(heartbeat.commit);
  send(from, HeartbeatReply{.term = hard_state.term,
                            .session = heartbeat.session,
                            .read_sequence = heartbeat.read_sequence});
}

void Core::State::on_snapshot(const ReplicaId& from, const InstallSnapshot& install) {
  const Snapshot& snapshot = install.snapshot;
  if (snapshot.membership.recovery > hard_state.recovery) return;
  AppendReply reply{.term = hard_state.term,
                    .session = install.session,
                    .previous = snapshot.id.index,
                    .match = snapshot.id.index,
                    .conflict = std::nullopt};
  if (snapshot.id.index <= commit && !mutant(Mutant::kSnapshotBelowCommit)) {
    reply.match = commit;
    send_when_durable(from, reply);
    return;
  }
  const bool kept = mutant(Mutant::kSnapshotKeepsConflictingTail)
                        ? snapshot.id.index <= log.last().index
                        : log.has(snapshot.id);
  if (kept && !mutant(Mutant::kSnapshotDropsMatchingTail)) {
    // The log reaches as far: it is kept, its tail, too.
    commit_to(snapshot.id.index);
    send_when_durable(from, reply);
    return;
  }
  // The snapshot may be older than the change that made this replica a member.
  log.restore(snapshot.id);
  writes.restore(snapshot);
  configs.reset(snapshot.id.index, snapshot.membership);
  commit_to(snapshot.id.index);
  send_when_durable(from, reply);
}

}  // namespace lignum::raft
