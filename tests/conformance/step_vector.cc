#include "tests/conformance/step_vector.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "raft/core.h"
#include "raft/entry.h"
#include "raft/hard_state.h"
#include "raft/membership.h"
#include "raft/messages.h"
#include "raft/options.h"
#include "raft/output.h"
#include "raft/types.h"
#include "tests/conformance/golden.h"
#include "tests/conformance/replay.h"
#include "tests/support/letter.h"
#include "tests/support/raft_host.h"
#include "tests/support/replica_log.h"

namespace lignum::conformance {

namespace {

using world::Letter;
using world::RaftHost;
using world::ReplicaLog;

constexpr std::uint64_t kSeedsMax = 200;
constexpr raft::Session kSession = 1;

ReplicaId replica(std::uint64_t id) {
  return {.node = NodeId(static_cast<NodeId::rep>(id)), .incarnation = NodeIncarnation(1)};
}

std::vector<ReplicaId> replicas(const std::vector<std::uint64_t>& ids) {
  std::vector<ReplicaId> result;
  for (const std::uint64_t id : ids) {
    result.push_back(replica(id));
  }
  return result;
}

Entry entry_of(const GoldenEntry& golden, const raft::Membership& membership) {
  Entry entry = world::text_entry(golden.text);
  entry.header.kind = golden.kind == '0' ? EntryKind::kNoOp : EntryKind::kBatch;
  if (golden.kind == 'C') {
    // Its changes say nothing here: the vector names the configuration in force.
    entry.header.kind = EntryKind::kMembership;
    entry.payload = raft::encode(membership);
  }
  entry.header.index = Index(golden.index);
  entry.header.term = Term(golden.term);
  return entry;
}

std::vector<GoldenEntry> log_of(const RaftHost& host) {
  std::vector<GoldenEntry> entries = entries_of(host);
  for (GoldenEntry& entry : entries) {
    entry.term += kTermShift;  // vectors begin with term 0
  }
  return entries;
}

std::string text_of(const std::vector<GoldenEntry>& entries) {
  std::string text;
  for (const GoldenEntry& entry : entries) {
    text += " " + describe(entry);
  }
  return text;
}

// A core in the state `before`, with what it sends.
class Subject {
 public:
  explicit Subject(const GoldenStep& step) : step_(step), state_(step.before) {}

  // Empty, or why the state cannot be made.
  std::string load();
  void step();
  [[nodiscard]] RaftHost& host() { return *host_; }
  // What left since the message was stepped.
  [[nodiscard]] const std::vector<raft::Message>& sent() const { return sent_; }

 private:
  [[nodiscard]] std::string refusal() const;
  // Entries the state had when its own term began.
  [[nodiscard]] std::size_t inherited() const;
  void boot(raft::HardState hard_state, std::size_t entries, std::uint64_t seed);
  std::string load_follower();
  std::string load_candidate(raft::Campaign kind);
  std::string load_leader();
  void run();
  void deliver(std::uint64_t from, decltype(raft::Message::body) body);
  [[nodiscard]] raft::Membership membership() const;

  const GoldenStep& step_;
  const GoldenNode& state_;
  std::unique_ptr<RaftHost> host_;
  std::vector<raft::Message> sent_;
};

raft::Membership Subject::membership() const {
  return {.voters = replicas(state_.voters),
          .outgoing = replicas(state_.outgoing),
          .learners = replicas(state_.learners),
          .learners_next = {},
          .auto_leave = false,
          .recovery = 0};
}

std::string Subject::refusal() const {
  if (state_.first > 1 && !state_.log.empty() && step_.message.index + 1 == state_.first) {
    return "the term of the entry before the first one is not recorded";
  }
  if (state_.commit + 1 < state_.first) {
    return "commit is below the first entry";
  }
  const std::uint64_t last_term = state_.log.empty() ? state_.last_term : state_.log.back().term;
  if (last_term > state_.term) {
    return "the last entry has a term above the node's";
  }
  return {};
}

std::size_t Subject::inherited() const {
  return static_cast<std::size_t>(std::ranges::count_if(
      state_.log, [&](const GoldenEntry& entry) { return entry.term < state_.term; }));
}

void Subject::boot(raft::HardState hard_state, std::size_t entries, std::uint64_t seed) {
  const std::uint64_t base_term = state_.log.empty() ? state_.last_term
                                  : state_.first > 1 ? state_.log.front().term
                                                     : 0;
  const LogId base =
      state_.first > 1 ? LogId{.term = Term(base_term), .index = Index(state_.first - 1)} : LogId{};
  ReplicaLog log(base, membership(), hard_state);
  for (std::size_t i = 0; i < entries; ++i) {
    log.append(entry_of(state_.log[i], membership()));
  }
  raft::Options options;
  options.pre_vote = step_.pre_vote || state_.role == 'P';
  options.check_quorum = step_.check_quorum;
  options.seed = seed;
  const Index commit = std::min(Index(state_.commit), log.last().index);
  host_ = std::make_unique<RaftHost>(
      world::HostSettings{.self = replica(state_.id), .options = options}, std::move(log), commit,
      [](const std::string&) {});
}

// Writes what the core asks for, and collects what leaves, until it rests.
void Subject::run() {
  host_->pump();
  while (host_->has_ready()) {
    world::Ready ready = host_->take_ready();
    for (const Letter& letter : ready.letters) {
      sent_.push_back(*letter.message());
    }
    for (const raft::PersistOp& op : ready.writes) {
      host_->flush(op);
      sent_.insert(sent_.end(), op.send_after_persist.begin(), op.send_after_persist.end());
      host_->persisted(op.token);
    }
  }
}

void Subject::deliver(std::uint64_t from, decltype(raft::Message::body) body) {
  host_->core().step(
      {.from = replica(from), .to = host_->self(), .recovery = 0, .body = std::move(body)});
  run();
}

std::string Subject::load() {
  std::string reason = refusal();
  if (!reason.empty()) {
    return reason;
  }
  switch (state_.role) {
    case 'F':
      reason = load_follower();
      break;
    case 'P':
      reason = load_candidate(raft::Campaign::kPreVote);
      break;
    case 'C':
      reason = load_candidate(raft::Campaign::kElection);
      break;
    default:
      reason = load_leader();
  }
  sent_.clear();
  return reason;
}

std::string Subject::load_follower() {
  const std::optional<ReplicaId> vote =
      state_.vote == 0 ? std::nullopt : std::optional(replica(state_.vote));
  for (std::uint64_t seed = 1; seed <= kSeedsMax; ++seed) {
    boot({.term = Term(state_.term), .vote = vote}, state_.log.size(), seed);
    if (state_.lead == 0) {
      return {};
    }
    if (state_.lead == state_.id) {
      return "it follows itself";
    }
    deliver(state_.lead,
            raft::Heartbeat{
                .term = Term(state_.term), .session = kSession, .commit = {}, .read_sequence = 0});
    if (step_.lease || !step_.check_quorum) {
      return {};
    }
    // It heard the leader an election timeout ago, and has not campaigned.
    for (raft::Ticks tick = 0; tick < host_->settings().options.election_ticks; ++tick) {
      host_->core().tick();
      run();
    }
    if (host_->core().role() == raft::Role::kFollower &&
        host_->core().term() == Term(state_.term)) {
      return {};
    }
  }
  return "no seed makes it wait so long";
}

std::string Subject::load_candidate(raft::Campaign kind) {
  const bool election = kind == raft::Campaign::kElection;
  if (election &&
      (state_.vote != state_.id || inherited() != state_.log.size() || state_.term == 0)) {
    return "a candidate that has not begun its term";
  }
  const std::optional<ReplicaId> vote =
      election || state_.vote == 0 ? std::nullopt : std::optional(replica(state_.vote));
  boot({.term = Term(state_.term - (election ? 1 : 0)), .vote = vote}, state_.log.size(), 1);
  host_->core().campaign(kind);
  run();
  const raft::Role wanted = election ? raft::Role::kCandidate : raft::Role::kPreCandidate;
  return host_->core().role() == wanted ? "" : "it does not stay a candidate";
}

std::string Subject::load_leader() {
  const std::size_t kept = inherited();
  if (std::ranges::any_of(state_.log, [&](const GoldenEntry& entry) {
        return entry.kind == 'C' && entry.term == state_.term;
      })) {
    return "a leader whose change of membership is in force there only when applied";
  }
  if (kept == state_.log.size() || state_.log[kept].kind != '0' || state_.vote != state_.id) {
    return "a leader without its first entry";
  }
  boot({.term = Term(state_.term - 1), .vote = std::nullopt}, kept, 1);
  host_->core().campaign(raft::Campaign::kElection);
  run();
  for (const std::uint64_t voter : state_.voters) {
    if (voter != state_.id && host_->core().role() == raft::Role::kCandidate) {
      deliver(voter, raft::RequestVoteReply{.term = Term(state_.term),
                                            .candidacy = Term(state_.term),
                                            .kind = raft::Campaign::kElection,
                                            .granted = true});
    }
  }
  for (std::size_t i = kept + 1; i < state_.log.size(); ++i) {
    if (!host_->core().propose(world::text_entry(state_.log[i].text))) {
      return "it does not become the leader";
    }
    run();
  }
  // Acks of all followers up to the commit index; they name the session of what was sent.
  for (const raft::Message& message : std::vector(sent_)) {
    const auto* append = std::get_if<raft::AppendEntries>(&message.body);
    if (append != nullptr && state_.commit >= append->previous.index.value()) {
      deliver(message.to.node.value(), raft::AppendReply{.term = Term(state_.term),
                                                         .session = append->session,
                                                         .previous = append->previous.index,
                                                         .match = Index(state_.commit),
                                                         .conflict = std::nullopt});
    }
  }
  if (host_->core().commit().value() != state_.commit) {
    return "the leader's commit index cannot be reached";
  }
  return {};
}

decltype(raft::Message::body) body_of(const GoldenMessage& message,
                                      const raft::Membership& membership) {
  const LogId log{.term = Term(message.log_term), .index = Index(message.index)};
  if (message.type == "MsgVote" || message.type == "MsgPreVote") {
    const raft::Campaign kind = message.type == "MsgPreVote" ? raft::Campaign::kPreVote
                                : message.transfer           ? raft::Campaign::kTransfer
                                                             : raft::Campaign::kElection;
    return raft::RequestVote{.term = Term(message.term), .last = log, .kind = kind};
  }
  if (message.type == "MsgHeartbeat") {
    return raft::Heartbeat{.term = Term(message.term),
                           .session = kSession,
                           .commit = Index(message.commit),
                           .read_sequence = 0};
  }
  raft::AppendEntries append{.term = Term(message.term),
                             .session = kSession,
                             .previous = log,
                             .commit = Index(message.commit),
                             .entries = {}};
  for (const GoldenEntry& entry : message.entries) {
    append.entries.push_back(entry_of(entry, membership));
  }
  return append;
}

void Subject::step() { deliver(step_.message.from, body_of(step_.message, membership())); }

// What was answered, in the oracle's words: "granted", "acked 5", "" for anything else.
std::string answer_of(const std::vector<raft::Message>& sent, Term term) {
  std::string answer;
  for (const raft::Message& message : sent) {
    if (const auto* vote = std::get_if<raft::RequestVoteReply>(&message.body)) {
      answer += vote->granted ? "granted" : "";
    } else if (const auto* ack = std::get_if<raft::AppendReply>(&message.body)) {
      // Of a newer term than the request's: it only tells an old leader so.
      answer +=
          ack->conflict || ack->term != term ? "" : "acked " + std::to_string(ack->match.value());
    }
  }
  return answer;
}

std::string answer_of(const GoldenStep& step) {
  std::string answer;
  for (const GoldenMessage& message : step.out) {
    if (message.reject) {
      continue;
    }
    if (message.type == "MsgVoteResp" || message.type == "MsgPreVoteResp") {
      answer += "granted";
    } else if (message.type == "MsgAppResp" && message.term == step.message.term) {
      answer += "acked " + std::to_string(message.index);
    }
  }
  return answer;
}

template <class T>
void compare(std::string& text, std::string_view name, const T& ours, const T& golden) {
  if (ours != golden) {
    text += "; " + std::string(name) + " is " + std::to_string(ours) + ", there " +
            std::to_string(golden);
  }
}

std::string difference(const GoldenStep& step, Subject& subject) {
  std::string text;
  const raft::Core& core = subject.host().core();
  const GoldenNode& golden = step.after;
  const std::string_view roles = "FPCL";
  const char role = roles[static_cast<std::size_t>(core.role())];
  if (role != golden.role) {
    text += std::string("; role is ") + role + ", there " + golden.role;
  }
  const std::uint64_t vote = core.vote() ? core.vote()->node.value() : 0;
  compare(text, "term", core.term().value(), golden.term);
  compare(text, "vote", vote, golden.vote);
  compare(text, "commit", core.commit().value(), golden.commit);
  std::vector<GoldenEntry> log = golden.log;
  for (GoldenEntry& entry : log) {
    entry.text = entry.kind == 'C' ? "" : entry.text;
  }
  if (log_of(subject.host()) != log) {
    text += "; log is" + text_of(log_of(subject.host())) + ", there" + text_of(log);
  }
  const std::string ours = answer_of(subject.sent(), Term(step.message.term));
  if (ours != answer_of(step)) {
    text += "; answer is '" + ours + "', there '" + answer_of(step) + "'";
  }
  return text;
}

}  // namespace

StepOutcome run_step(const GoldenStep& step) {
  const std::string& type = step.message.type;
  if (type != "MsgApp" && type != "MsgVote" && type != "MsgPreVote" && type != "MsgHeartbeat") {
    return {.skipped = type + " is not of this class", .difference = {}};
  }
  if (type == "MsgApp" && step.message.index < step.before.commit) {
    return {.skipped = "an append below the commit index, answered early there", .difference = {}};
  }
  if (step.direct && step.message.term != step.before.term) {
    return {.skipped = "called below the check of terms, with another term", .difference = {}};
  }
  if (std::ranges::any_of(step.message.entries, [&](const GoldenEntry& entry) {
        return entry.term > step.message.term;
      })) {
    return {.skipped = "an entry of a term above its leader's", .difference = {}};
  }
  Subject subject(step);
  std::string reason = subject.load();
  if (!reason.empty()) {
    return {.skipped = std::move(reason), .difference = {}};
  }
  subject.step();
  return {.skipped = {}, .difference = difference(step, subject)};
}

}  // namespace lignum::conformance
