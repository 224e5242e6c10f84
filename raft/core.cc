#include "raft/core.h"

#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
#include <utility>
#include <variant>

#include "raft/check.h"
#include "raft/core_state.h"
#include "raft/entry.h"
#include "raft/error.h"
#include "raft/invariants.h"
#include "raft/messages.h"
#include "raft/options.h"
#include "raft/output.h"
#include "raft/types.h"

namespace lignum::raft {

Core::Core(const Options& options, Boot boot)
    : state_(std::make_unique<State>(options, std::move(boot))) {
  CHECK(validate(options).has_value());
  CHECK(state_->boot.voters.size() == 1);
  CHECK(state_->boot.voters.front() == state_->boot.self);
  CHECK(state_->boot.hard_state.term >= state_->boot.last.term);
  CHECK(state_->boot.commit <= state_->boot.last.index);
}

Core::~Core() = default;
Core::Core(Core&&) noexcept = default;
Core& Core::operator=(Core&&) noexcept = default;

void Core::State::change_role(Role next, std::optional<ReplicaId> leader) {
  role = next;
  known_leader = leader;
  role_change = RoleChange{.role = next, .term = hard_state.term, .leader = leader};
}

// Raft thesis 3.4: a new term, a vote for itself, and no leadership before both are durable.
void Core::State::campaign() {
  hard_state = {.term = hard_state.term.next(), .vote = boot.self};
  writes.save(hard_state);
  change_role(Role::kCandidate, std::nullopt);
}

// The one voter's own durable vote is a majority. The no-op lets entries of earlier terms commit
// (thesis 3.6.2): nothing of them counts before it is durable.
void Core::State::become_leader() {
  change_role(Role::kLeader, boot.self);
  leadership_start = log.last().index.next();
  Entry no_op;
  no_op.header.kind = EntryKind::kNoOp;
  accept(std::move(no_op));
}

LogId Core::State::accept(Entry entry) {
  entry.header.group = boot.group;
  entry.header.index = log.last().index.next();
  entry.header.term = hard_state.term;
  const LogId id = entry.header.id();
  const std::size_t bytes = kEntryOverheadBytes + entry.payload.size();
  log.append(id);
  uncommitted_bytes += bytes;
  uncommitted.push_back({.index = id.index, .bytes = bytes});
  writes.append(std::move(entry));
  return id;
}

// Thesis 3.6.2: only an entry of the own term commits by being counted; with it everything before.
void Core::State::advance_commit() {
  if (role != Role::kLeader || !leadership_start || log.durable() < *leadership_start) return;
  if (log.durable() == commit) return;
  CHECK(log.durable() > commit);
  commit = log.durable();
  commit_moved = true;
  while (!uncommitted.empty() && uncommitted.front().index <= commit) {
    uncommitted_bytes -= uncommitted.front().bytes;
    uncommitted.pop_front();
  }
}

void Core::tick() {
  if (state_->role == Role::kFollower) state_->campaign();
  check_invariants(*this);
}

void Core::step(const Message& message) {
  // No other replica belongs to this group: whoever asks for a vote does not get it, and nothing
  // it says changes the term (thesis 4.2.3, disruptive servers).
  if (message.to != state_->boot.self) return;
  // What a host does not take in time is dropped, as a network might.
  if (state_->send_now.size() >= kMessagesMax) return;
  if (const auto* request = std::get_if<RequestVote>(&message.body)) {
    state_->send_now.push_back(Message{
        .from = state_->boot.self,
        .to = message.from,
        .body = RequestVoteReply{.term = request->term, .granted = false},
    });
  }
}

Result<LogId> Core::propose(Entry entry) {
  State& state = *state_;
  if (state.role != Role::kLeader) {
    return fail(Errc::kNotLeader, "this replica does not lead its group");
  }
  const std::size_t bytes = kEntryOverheadBytes + entry.payload.size();
  // A single entry over the limit goes through alone, so that no batch is unappendable.
  if (!state.uncommitted.empty() &&
      state.uncommitted_bytes + bytes > state.options.uncommitted_bytes_max) {
    return fail(Errc::kOverloaded, "too many bytes of this group wait to be committed; retry");
  }
  return state.accept(std::move(entry));
}

void Core::on_persisted(const WriteToken& token) {
  State& state = *state_;
  state.writes.complete(token);
  state.log.set_durable(token.last.index);
  if (state.role == Role::kCandidate && token.hard_state == state.hard_state) {
    state.become_leader();
  }
  state.advance_commit();
  check_invariants(*this);
}

bool Core::has_output() const {
  return state_->writes.has_op() || !state_->send_now.empty() || state_->role_change ||
         state_->commit_moved;
}

Output Core::take_output() {
  State& state = *state_;
  Output output;
  output.persist = state.writes.take(state.log.last());
  state.log.submit();
  output.send_now = std::exchange(state.send_now, {});
  output.role_change = std::exchange(state.role_change, std::nullopt);
  output.commit = state.commit;
  state.commit_moved = false;
  return output;
}

Role Core::role() const { return state_->role; }
Term Core::term() const { return state_->hard_state.term; }
std::optional<ReplicaId> Core::leader() const { return state_->known_leader; }
std::optional<Index> Core::leadership_start() const {
  return state_->role == Role::kLeader ? state_->leadership_start : std::nullopt;
}
LogId Core::last() const { return state_->log.last(); }
Index Core::commit() const { return state_->commit; }
Index Core::durable() const { return state_->log.durable(); }

}  // namespace lignum::raft
