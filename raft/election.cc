// Who leads: timers, votes, pre-votes, check-quorum and transfer (Raft thesis 3.4, 3.10, 4.2.3,
// 6.2, 9.6). Part of Core; see core_state.h.

#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "raft/buggify.h"
#include "raft/check.h"
#include "raft/core.h"
#include "raft/core_state.h"
#include "raft/entry.h"
#include "raft/error.h"
#include "raft/membership.h"
#include "raft/messages.h"
#include "raft/mutant.h"
#include "raft/options.h"
#include "raft/output.h"
#include "raft/progress.h"
#include "raft/quorum.h"
#include "raft/types.h"

namespace lignum::raft {

void Core::State::reset_election_timer() {
  election_elapsed = 0;
  election_timeout = options.election_ticks +
                     static_cast<Ticks>(random.below(options.election_ticks)) +
                     options.priority_delay_ticks;
  if (buggify(Buggify::kRaftEarlyElection)) election_timeout = options.election_ticks;
}

// Voting is about the candidate's configuration, campaigning about the own one. A replica that an
// uncommitted change removes may still be needed to commit it: it may hold the longest log (thesis
// 4.2.2). It does not count itself then. One that a recovery left behind is a voter of the past.
bool Core::State::may_campaign() const {
  return !damaged && !left_behind() && configs.is_voter_since(commit, self);
}

bool Core::State::hears_leader() const {
  if (leading() != nullptr) return true;
  return known_leader().has_value() && election_elapsed < options.election_ticks;
}

void Core::State::tick() {
  if (damaged) return;
  reads.tick(options.election_ticks, reads_ready);
  ++election_elapsed;
  if (leading() != nullptr) {
    tick_leader();
    return;
  }
  if (campaigned || !may_campaign()) return;
  // A group of one has nobody to wait for, and its own vote is never lost.
  const bool alone = !membership().joint() && membership().voters.size() == 1 &&
                     membership().voters.front() == self;
  const bool due = alone ? role_name() == Role::kFollower : election_elapsed >= election_timeout;
  if (due) campaign(Campaign::kPreVote);
}

void Core::State::tick_leader() {
  Leader* const leader = leading();
  if (election_elapsed >= options.election_ticks) {
    election_elapsed = 0;
    if (options.check_quorum && !heard_a_majority()) {
      become_follower(hard_state.term, std::nullopt);
      return;
    }
  }
  if (leader->transfer && ++leader->transfer->elapsed >= options.election_ticks) {
    leader->transfer.reset();
  }
  if (++leader->heartbeat_elapsed >= options.heartbeat_ticks ||
      buggify(Buggify::kRaftEarlyHeartbeat)) {
    leader->heartbeat_elapsed = 0;
    send_heartbeats();
  }
}

bool Core::State::heard_a_majority() {
  Leader* const leader = leading();
  const VoteResult heard = vote_result(membership(), [&](const ReplicaId& replica) {
    if (replica == self) return std::optional<bool>(true);
    const auto found = leader->progress.find(replica);
    return std::optional<bool>(found != leader->progress.end() && found->second.recently_active());
  });
  for (auto& [replica, progress] : leader->progress) progress.take_recently_active();
  return heard == VoteResult::kWon;
}

void Core::State::become_follower(Term term, std::optional<ReplicaId> leader) {
  CHECK(term >= hard_state.term);
  const bool led = leading() != nullptr;
  const bool changed =
      role_name() != Role::kFollower || term > hard_state.term || known_leader() != leader;
  // A vote is forgotten only with its term.
  if (term > hard_state.term) save_vote(term, std::nullopt);
  role = Follower{.leader = leader};
  if (led) send_snapshot.clear();
  if (!changed) return;
  if (led || leader.has_value()) reset_election_timer();
  uncommitted.clear();
  uncommitted_bytes = 0;
  fail_reads();
  note_role_change();
}

void Core::State::campaign(Campaign kind) {
  if (leading() != nullptr || !may_campaign()) return;
  if (kind == Campaign::kPreVote && !options.pre_vote) kind = Campaign::kElection;
  campaigned = true;
  fail_reads();
  reset_election_timer();
  const bool asks = kind == Campaign::kPreVote;
  role = Candidate{.kind = kind, .votes = {}};
  // A term is begun by writing it down, with the vote for itself.
  if (!asks) save_vote(hard_state.term.next(), self);
  note_role_change();
  const Term candidacy = asks ? hard_state.term.next() : hard_state.term;
  std::vector<ReplicaId> voters = membership().members();
  for (const ReplicaId& voter : voters) {
    if (voter == self || !membership().is_voter(voter)) continue;
    const RequestVote request{.term = candidacy, .last = log.last(), .kind = kind};
    // The request names this replica's last entry, so that has to be durable, too: were it lost,
    // the votes would have been given to a longer log than the leader has.
    if (mutant(Mutant::kOwnVoteBeforeFlush)) {
      send_at_once(voter, request);
    } else if (asks) {
      send(voter, request);
    } else {
      send_when_durable(voter, request);
    }
  }
  if (asks || mutant(Mutant::kOwnVoteBeforeFlush)) {
    on_vote_reply(self,
                  {.term = hard_state.term, .candidacy = candidacy, .kind = kind, .granted = true});
  }
}

void Core::State::on_own_vote_durable() {
  const auto* const candidate = std::get_if<Candidate>(&role);
  if (candidate == nullptr || candidate->kind == Campaign::kPreVote) return;
  if (writes.durable_hard_state() != hard_state) return;
  on_vote_reply(self, {.term = hard_state.term,
                       .candidacy = hard_state.term,
                       .kind = candidate->kind,
                       .granted = true});
}

void Core::State::on_vote_reply(const ReplicaId& from, const RequestVoteReply& reply) {
  auto* const candidate = std::get_if<Candidate>(&role);
  const bool any_kind = mutant(Mutant::kPreVoteCountsAsVote);
  if (candidate == nullptr || (reply.kind != candidate->kind && !any_kind)) return;
  const bool asks = candidate->kind == Campaign::kPreVote;
  if (reply.candidacy != (asks ? hard_state.term.next() : hard_state.term)) return;
  candidate->votes.emplace(from, reply.granted);
  const VoteResult result = vote_result(membership(), [&](const ReplicaId& voter) {
    const auto found = candidate->votes.find(voter);
    return found == candidate->votes.end() ? std::nullopt : std::optional<bool>(found->second);
  });
  if (result == VoteResult::kPending) return;
  if (result == VoteResult::kLost) {
    become_follower(hard_state.term, std::nullopt);
  } else if (asks) {
    campaign(Campaign::kElection);
  } else {
    become_leader();
  }
}

void Core::State::become_leader() {
  role = Leader{.start = log.last().index.next(), .progress = {}, .transfer = std::nullopt};
  election_elapsed = 0;
  uncommitted.clear();
  uncommitted_bytes = 0;
  note_role_change();
  refresh_progress();
  // Lets entries of earlier terms commit (thesis 3.6.2): nothing of them counts before it does. It
  // is in the log before the first follower is probed. It is the announcement, too: a heartbeat
  // beside it would have each answer repeat a probe that is still on its way.
  Entry no_op;
  no_op.header.kind = EntryKind::kNoOp;
  accept(std::move(no_op));
}

void Core::State::on_vote_request(const ReplicaId& from, const RequestVote& request) {
  const bool asks = request.kind == Campaign::kPreVote;
  if (request.term < hard_state.term) {
    // Only a pre-vote is answered: its sender learns the term without anybody's term rising.
    if (asks) {
      send(from, RequestVoteReply{.term = hard_state.term,
                                  .candidacy = request.term,
                                  .kind = request.kind,
                                  .granted = false});
    }
    return;
  }
  // Whoever hears a leader lets nobody disturb it, unless that leader asked for it.
  if (request.term > hard_state.term && options.check_quorum && hears_leader() &&
      request.kind != Campaign::kTransfer) {
    return;
  }
  if (!asks && request.term > hard_state.term) become_follower(request.term, std::nullopt);
  const bool free = hard_state.vote == from || (!hard_state.vote && !known_leader().has_value()) ||
                    (asks && request.term > hard_state.term);
  bool up_to_date = request.last >= log.last();
  if (mutant(Mutant::kVoteByIndexOnly)) up_to_date = request.last.index >= log.last().index;
  if (mutant(Mutant::kVoteByDurableLog)) {
    up_to_date = request.last >= LogId{.term = *log.term_at(log.durable()), .index = log.durable()};
  }
  const RequestVoteReply reply{.term = hard_state.term,
                               .candidacy = request.term,
                               .kind = request.kind,
                               .granted = free && up_to_date};
  if (asks || !reply.granted) {
    send(from, reply);
    return;
  }
  election_elapsed = 0;
  save_vote(hard_state.term, from);
  if (mutant(Mutant::kVoteBeforeFlush)) return send_at_once(from, reply);
  send_when_durable(from, reply);
}

void Core::State::on_timeout_now() {
  // From a leader of this term: whatever this replica heard a moment ago, it may campaign.
  campaign(Campaign::kTransfer);
}

Result<void> Core::State::transfer_leadership(ReplicaId to) {
  Leader* const leader = leading();
  if (leader == nullptr) return fail(Errc::kNotLeader, "this replica does not lead its group");
  if (!membership().is_voter(to)) {
    return fail(Errc::kInvalidArgument, "leadership can only go to a voter of the group");
  }
  if (to == self) return {};
  if (leader->transfer && leader->transfer->to == to) return {};
  leader->transfer = Leader::Transfer{.to = to};
  advance_transfer();
  return {};
}

// The successor has every entry: it may campaign at once.
void Core::State::advance_transfer() {
  Leader* const leader = leading();
  if (leader == nullptr || !leader->transfer || leader->transfer->told) return;
  const auto found = leader->progress.find(leader->transfer->to);
  if (found == leader->progress.end()) {
    leader->transfer.reset();
    return;
  }
  if (found->second.match() != log.last().index) {
    sends_due = true;
    return;
  }
  leader->transfer->told = true;
  send(found->first, TimeoutNow{.term = hard_state.term});
}

}  // namespace lignum::raft
