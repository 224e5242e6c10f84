#include "raft/core.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <variant>
#include <vector>

#include "raft/buggify.h"
#include "raft/check.h"
#include "raft/config_history.h"
#include "raft/core_state.h"
#include "raft/entry.h"
#include "raft/error.h"
#include "raft/hard_state.h"
#include "raft/invariants.h"
#include "raft/membership.h"
#include "raft/messages.h"
#include "raft/mutant.h"
#include "raft/options.h"
#include "raft/output.h"
#include "raft/progress.h"
#include "raft/random.h"
#include "raft/types.h"

namespace lignum::raft {

namespace {

// What the log says of recoveries counts even where the hard state was written before it.
HardState with_recovery_of(const std::vector<ConfigAt>& configs, HardState state) {
  for (const ConfigAt& config : configs) {
    state.recovery = std::max(state.recovery, config.membership.recovery);
  }
  return state;
}

}  // namespace

Core::State::State(const Options& tuning, Boot boot)
    : options(tuning),
      self(boot.self),
      group(boot.group),
      hard_state(with_recovery_of(boot.configs, boot.hard_state)),
      log(boot.base, boot.last, boot.terms),
      writes(hard_state),
      configs(std::move(boot.configs)),
      commit(boot.commit),
      random(tuning.seed, "elections"),
      reads(Random(tuning.seed, "reads").next()) {
  CHECK(validate(options).has_value());
  CHECK(hard_state.term >= log.last().term);
  CHECK(commit >= log.base().index);
  CHECK(commit <= log.last().index);
  CHECK(configs.latest().index <= log.last().index);
  reset_election_timer();
}

std::optional<ReplicaId> Core::State::known_leader() const {
  if (leading() != nullptr) return self;
  const auto* const follower = std::get_if<Follower>(&role);
  return follower == nullptr ? std::nullopt : follower->leader;
}

Role Core::State::role_name() const {
  if (leading() != nullptr) return Role::kLeader;
  const auto* const candidate = std::get_if<Candidate>(&role);
  if (candidate == nullptr) return Role::kFollower;
  return candidate->kind == Campaign::kPreVote ? Role::kPreCandidate : Role::kCandidate;
}

void Core::State::note_role_change() {
  role_change = RoleChange{.role = role_name(), .term = hard_state.term, .leader = known_leader()};
}

void Core::State::save_vote(Term term, std::optional<ReplicaId> vote) {
  save_hard_state({.term = term, .vote = vote, .recovery = hard_state.recovery});
}

void Core::State::save_hard_state(const HardState& next) {
  if (next == hard_state) return;
  hard_state = next;
  writes.save(hard_state);
}

Message Core::State::message_to(const ReplicaId& to, MessageBody body) const {
  return Message{.from = self, .to = to, .recovery = hard_state.recovery, .body = std::move(body)};
}

void Core::State::send(const ReplicaId& to, MessageBody body) {
  Message message = message_to(to, std::move(body));
  const HardState& durable = writes.durable_hard_state();
  if (durable.term == hard_state.term && durable.recovery == hard_state.recovery) {
    push(std::move(message));
  } else {
    writes.send_after(std::move(message));
  }
}

void Core::State::send_when_durable(const ReplicaId& to, MessageBody body) {
  Message message = message_to(to, std::move(body));
  if (writes.idle()) {
    push(std::move(message));
  } else {
    writes.send_after(std::move(message));
  }
}

void Core::State::send_at_once(const ReplicaId& to, MessageBody body) {
  push(message_to(to, std::move(body)));
}

void Core::State::push(Message message) {
  // What a host does not take in time is dropped, as a network might.
  if (buggify(Buggify::kRaftMessageDropped)) return;
  if (send_now.size() < kMessagesMax) send_now.push_back(std::move(message));
}

Core::Core(const Options& options, Boot boot)
    : state_(std::make_unique<State>(options, std::move(boot))) {}
Core::Core(std::unique_ptr<State> state) : state_(std::move(state)) {}
Core::~Core() = default;
Core::Core(Core&&) noexcept = default;
Core& Core::operator=(Core&&) noexcept = default;

namespace {

// Runs one input and checks what must hold afterwards.
template <class Input>
auto checked(Core& core, Input input) {
  const Observation before = observe(core);
  if constexpr (std::is_void_v<decltype(input())>) {
    input();
    check_invariants(before, core);
  } else {
    auto result = input();
    check_invariants(before, core);
    return result;
  }
}

// Sent by whoever leads `term`.
bool from_leader(const Message& message) {
  return std::holds_alternative<AppendEntries>(message.body) ||
         std::holds_alternative<Heartbeat>(message.body) ||
         std::holds_alternative<InstallSnapshot>(message.body) ||
         std::holds_alternative<TimeoutNow>(message.body);
}

// The memory of what was in `to` takes the place of what is handed over.
template <class T>
void hand_over(std::vector<T>& from, std::vector<T>& to) {
  to.clear();
  from.swap(to);
}

}  // namespace

void Core::tick() {
  checked(*this, [&] { state_->tick(); });
}

void Core::step(Message message) {
  State& state = *state_;
  if (message.to != state.self || message.from == state.self) return;
  if (state.damaged && !mutant(Mutant::kDamagedReplicaVotes)) return;
  checked(*this, [&] {
    if (state.counts(message)) state.dispatch(message);
  });
}

bool Core::State::counts(const Message& message) {
  if (message.recovery < hard_state.recovery) {
    // It has to be told, or it would go on asking, and forming quorums of the past. Any message
    // does that; this one answers nothing (sessions begin with 1).
    send(message.from, HeartbeatReply{.term = hard_state.term, .session = 0});
    return false;
  }
  if (message.recovery > hard_state.recovery) {
    // Whatever this replica leads, follows or asks for is of the past.
    become_follower(hard_state.term, std::nullopt);
    HardState next = hard_state;
    next.recovery = message.recovery;
    save_hard_state(next);
  }
  return true;
}

void Core::State::dispatch(Message& message) {
  // Votes judge terms by themselves: asking must change nothing.
  if (const auto* request = std::get_if<RequestVote>(&message.body)) {
    on_vote_request(message.from, *request);
    return;
  }
  const Term term = term_of(message);
  if (is_grant(message)) {
    dispatch_current(message);
    return;
  }
  if (term < hard_state.term) {
    if (mutant(Mutant::kStaleLeaderAccepted)) return dispatch_current(message);
    answer_stale(message);
    return;
  }
  if (from_leader(message)) {
    // Two leaders of one term would be the end of everything: the other one is not followed.
    if (term == hard_state.term && leading() != nullptr) return;
    become_follower(term, message.from);
    election_elapsed = 0;
  } else if (term > hard_state.term) {
    become_follower(term, std::nullopt);
  }
  dispatch_current(message);
}

bool Core::State::is_grant(const Message& message) {
  const auto* const reply = std::get_if<RequestVoteReply>(&message.body);
  return reply != nullptr && reply->kind == Campaign::kPreVote && reply->granted;
}

void Core::State::dispatch_current(Message& message) {
  const ReplicaId from = message.from;
  if (const auto* vote = std::get_if<RequestVoteReply>(&message.body)) {
    on_vote_reply(from, *vote);
  } else if (auto* append = std::get_if<AppendEntries>(&message.body)) {
    on_append(from, *append);
  } else if (const auto* reply = std::get_if<AppendReply>(&message.body)) {
    on_append_reply(from, *reply);
  } else if (const auto* heartbeat = std::get_if<Heartbeat>(&message.body)) {
    on_heartbeat(from, *heartbeat);
  } else if (const auto* answer = std::get_if<HeartbeatReply>(&message.body)) {
    on_heartbeat_reply(from, *answer);
  } else if (const auto* install = std::get_if<InstallSnapshot>(&message.body)) {
    on_snapshot(from, *install);
  } else if (std::holds_alternative<TimeoutNow>(message.body)) {
    on_timeout_now();
  } else if (const auto* request = std::get_if<ReadRequest>(&message.body)) {
    on_read_request(from, *request);
  } else if (const auto* read = std::get_if<ReadReply>(&message.body)) {
    on_read_reply(from, *read);
  }
}

Result<LogId> Core::propose(Entry entry) {
  State& state = *state_;
  CHECK(entry.header.kind != EntryKind::kMembership);
  const Leader* const leader = state.leading();
  if (leader == nullptr) return fail(Errc::kNotLeader, "this replica does not lead its group");
  if (leader->transfer) return fail(Errc::kNotLeader, "the leader is handing its group over");
  const std::size_t bytes = kEntryOverheadBytes + entry.payload.size();
  // A single entry over the limit goes through alone, so that no batch is unappendable.
  const bool full = state.uncommitted_bytes + bytes > state.options.uncommitted_bytes_max ||
                    buggify(Buggify::kRaftProposalRefused);
  if (!state.uncommitted.empty() && full) {
    return fail(Errc::kOverloaded, "too many bytes of this group wait to be committed; retry");
  }
  return state.accept(std::move(entry));
}

Result<LogId> Core::change_membership(std::span<const MemberChange> changes, LeaveJoint leave) {
  return checked(*this, [&] { return state_->change_membership(changes, leave); });
}

Result<LogId> Core::leave_joint_membership() {
  return checked(*this, [&] { return state_->leave_joint_membership(); });
}

void Core::on_persisted(const WriteToken& token) {
  checked(*this, [&] {
    state_->writes.complete(token);
    state_->log.on_durable(token.truncation, token.last);
    state_->on_own_vote_durable();
    state_->advance_commit();
  });
}

void Core::supply(const Fetch& fetch, std::vector<Entry> entries) {
  state_->supply(fetch, std::move(entries));
}

void Core::supply_failed(const Fetch& fetch) {
  Progress* const progress = state_->open_progress(fetch.to, fetch.session);
  if (progress == nullptr || !progress->fetching()) return;
  progress->set_fetching(false);
  if (progress->state() == ProgressState::kSnapshot) return;
  state_->ask_for_snapshot(fetch.to, *progress);
}

void Core::on_snapshot_sent(const SendSnapshot& request, std::optional<LogId> sent) {
  Progress* const progress = state_->open_progress(request.to, request.session);
  if (progress == nullptr) return;
  const auto index = sent ? std::optional<Index>(sent->index) : std::nullopt;
  if (progress->on_snapshot_sent(request.transfer, index)) state_->sends_due = true;
}

void Core::on_compacted(LogId base) {
  CHECK(base.index <= state_->commit);
  state_->log.compact(base);
  state_->configs.forget_before(base.index);
}

void Core::campaign(Campaign kind) {
  checked(*this, [&] { state_->campaign(kind); });
}

Result<void> Core::transfer_leadership(ReplicaId to) {
  return checked(*this, [&] { return state_->transfer_leadership(to); });
}

void Core::forget_leader() {
  auto* const follower = std::get_if<Follower>(&state_->role);
  if (follower == nullptr || !follower->leader) return;
  follower->leader.reset();
  state_->fail_reads();
  state_->note_role_change();
}

void Core::on_unreachable(ReplicaId peer) {
  Leader* const leader = state_->leading();
  if (leader == nullptr) return;
  const auto found = leader->progress.find(peer);
  if (found == leader->progress.end()) return;
  found->second.on_unreachable();
  state_->sends_due = true;
}

Result<std::uint64_t> Core::read_index() {
  auto id = state_->read_index();
  // Reads that come before the output is taken share one round.
  if (id) state_->sends_due = true;
  return id;
}

void Core::on_damaged(Index from) {
  State& state = *state_;
  CHECK(from <= state.log.last().index.next());
  if (state.damaged) return;
  state.damaged = true;
  state.become_follower(state.hard_state.term, std::nullopt);
}

bool Core::has_output() const {
  const State& state = *state_;
  return state.writes.has_op() || !state.send_now.empty() || !state.send_snapshot.empty() ||
         !state.reads_ready.empty() || state.role_change || state.commit_moved ||
         state.divergence || state.sends_due;
}

Output Core::take_output() {
  Output output;
  take_output(output);
  return output;
}

void Core::take_output(Output& output) {
  State& state = *state_;
  output.fetch.clear();
  state.campaigned = false;
  state.begin_read_round();
  if (state.sends_due) state.plan_sends(output.fetch);
  output.persist = state.writes.take(state.log.last(), state.log.truncation());
  state.log.submit();
  hand_over(state.send_snapshot, output.send_snapshot);
  hand_over(state.send_now, output.send_now);
  hand_over(state.reads_ready, output.reads);
  output.role_change = std::exchange(state.role_change, std::nullopt);
  output.divergence = std::exchange(state.divergence, std::nullopt);
  output.commit = state.commit;
  state.commit_moved = false;
}

void Core::reuse(PersistOp spent) { state_->writes.reuse(std::move(spent)); }

Core Core::clone() const { return Core(std::make_unique<State>(*state_)); }

ReplicaId Core::self() const { return state_->self; }
Role Core::role() const { return state_->role_name(); }
Term Core::term() const { return state_->hard_state.term; }
std::optional<ReplicaId> Core::vote() const { return state_->hard_state.vote; }
std::optional<ReplicaId> Core::leader() const { return state_->known_leader(); }
std::optional<Index> Core::leadership_start() const {
  const Leader* const leader = std::as_const(*state_).leading();
  return leader == nullptr ? std::nullopt : std::optional<Index>(leader->start);
}
LogId Core::base() const { return state_->log.base(); }
LogId Core::last() const { return state_->log.last(); }
Index Core::commit() const { return state_->commit; }
Index Core::durable() const { return state_->log.durable(); }
std::optional<Term> Core::term_at(Index index) const { return state_->log.term_at(index); }
std::uint64_t Core::recovery() const { return state_->hard_state.recovery; }
bool Core::left_behind() const { return state_->left_behind(); }
const Membership& Core::membership() const { return state_->membership(); }
const Membership& Core::membership_at(Index index) const {
  return state_->configs.at(index).membership;
}
bool Core::damaged() const { return state_->damaged; }
bool Core::transferring() const {
  const Leader* const leader = std::as_const(*state_).leading();
  return leader != nullptr && leader->transfer.has_value();
}

std::vector<PeerStatus> Core::peers() const {
  std::vector<PeerStatus> peers;
  const Leader* const leader = std::as_const(*state_).leading();
  if (leader == nullptr) return peers;
  for (const auto& [replica, progress] : leader->progress) {
    peers.push_back({.replica = replica,
                     .match = progress.match(),
                     .next = progress.next(),
                     .state = progress.state(),
                     .recently_active = progress.recently_active()});
  }
  return peers;
}

}  // namespace lignum::raft
