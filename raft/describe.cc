#include "raft/describe.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "raft/config_history.h"
#include "raft/core.h"
#include "raft/core_state.h"
#include "raft/entry.h"
#include "raft/hard_state.h"
#include "raft/membership.h"
#include "raft/messages.h"
#include "raft/output.h"
#include "raft/types.h"

namespace lignum::raft {

namespace {

std::string text(std::uint64_t number) { return std::to_string(number); }
std::string text(Index index) { return text(index.value()); }
std::string text(Term term) { return text(term.value()); }
std::string text(const LogId& id) { return text(id.term) + '/' + text(id.index); }
std::string text(const ReplicaId& id) {
  return text(id.node.value()) + '.' + text(id.incarnation.value());
}
template <class T>
std::string text(const std::optional<T>& value) {
  return value ? text(*value) : "-";
}
std::string text(const HardState& state) {
  return text(state.term) + " vote " + text(state.vote) +
         (state.recovery == 0 ? "" : " recovery " + text(state.recovery));
}

void add_list(std::string& line, std::string_view name, const std::vector<ReplicaId>& list) {
  if (list.empty()) return;
  line.append(name).append("(");
  for (const ReplicaId& id : list) line.append(text(id)).append(" ");
  line.back() = ')';
}

std::string text(const Membership& membership) {
  std::string line;
  add_list(line, "voters", membership.voters);
  add_list(line, "outgoing", membership.outgoing);
  add_list(line, "learners", membership.learners);
  add_list(line, "next", membership.learners_next);
  if (membership.auto_leave) line += "auto";
  if (membership.recovery != 0) line += " recovery " + text(membership.recovery);
  return line;
}

std::string text(const std::vector<Entry>& entries) {
  std::string line = "[";
  for (const Entry& entry : entries) {
    line +=
        text(entry.header.id()) + ':' + text(static_cast<std::uint64_t>(entry.header.kind)) + ' ';
  }
  return line + ']';
}

std::string_view name_of(Campaign kind) {
  switch (kind) {
    case Campaign::kPreVote:
      return "pre-vote";
    case Campaign::kElection:
      return "election";
    case Campaign::kTransfer:
      return "transfer";
  }
  return "?";
}

std::string text(const RequestVote& body) {
  return "vote? " + std::string(name_of(body.kind)) + " term " + text(body.term) + " last " +
         text(body.last);
}
std::string text(const RequestVoteReply& body) {
  return std::string(body.granted ? "vote! " : "vote no ") + std::string(name_of(body.kind)) +
         " term " + text(body.term) + " candidacy " + text(body.candidacy);
}
std::string text(const AppendEntries& body) {
  return "append term " + text(body.term) + " session " + text(body.session) + " after " +
         text(body.previous) + " commit " + text(body.commit) + ' ' + text(body.entries);
}
std::string text(const AppendReply& body) {
  return "appended term " + text(body.term) + " session " + text(body.session) + " after " +
         text(body.previous) + " match " + text(body.match) + " conflict " + text(body.conflict);
}
std::string text(const Heartbeat& body) {
  return "heartbeat term " + text(body.term) + " session " + text(body.session) + " commit " +
         text(body.commit) + " read " + text(body.read_sequence);
}
std::string text(const HeartbeatReply& body) {
  return "heard term " + text(body.term) + " session " + text(body.session) + " read " +
         text(body.read_sequence);
}
std::string text(const InstallSnapshot& body) {
  return "snapshot term " + text(body.term) + " session " + text(body.session) + " at " +
         text(body.snapshot.id) + ' ' + text(body.snapshot.membership);
}
std::string text(const TimeoutNow& body) { return "campaign now, term " + text(body.term); }
std::string text(const ReadRequest& body) {
  return "read? term " + text(body.term) + " id " + text(body.id);
}
std::string text(const ReadReply& body) {
  return "read! term " + text(body.term) + " id " + text(body.id) + " index " + text(body.index);
}

std::string text(const Follower& follower) { return "follower of " + text(follower.leader); }

std::string text(const Candidate& candidate) {
  std::string line = "candidate " + std::string(name_of(candidate.kind));
  for (const auto& [voter, granted] : candidate.votes) {
    line += ' ' + text(voter) + (granted ? "+" : "-");
  }
  return line;
}

std::string text(const Leader& leader) {
  std::string line = "leader since " + text(leader.start);
  for (const auto& [replica, progress] : leader.progress) {
    line += " {" + text(replica) + " session " + text(progress.session()) + " state " +
            text(static_cast<std::uint64_t>(progress.state())) + " transfer " +
            text(progress.transfer()) + " match " + text(progress.match()) + " next " +
            text(progress.next()) + " told " + text(progress.sent_commit()) +
            (progress.paused() ? " paused" : "") + (progress.fetching() ? " fetching" : "") +
            " window " + text(progress.inflights().count()) + '/' +
            text(progress.inflights().bytes()) + '}';
  }
  if (leader.transfer) line += " transfer to " + text(leader.transfer->to);
  return line;
}

}  // namespace

std::string describe(const Message& message) {
  return text(message.from) + " -> " + text(message.to) + ' ' +
         std::visit([](const auto& body) { return text(body); }, message.body);
}

std::string describe(const PersistOp& op) {
  std::string line = "persist";
  if (op.hard_state) line += " state " + text(*op.hard_state);
  if (op.restore) line += " restore " + text(op.restore->id);
  if (op.truncate_after) line += " cut after " + text(*op.truncate_after);
  line +=
      ' ' + text(op.append) + " last " + text(op.token.last) + " cuts " + text(op.token.truncation);
  for (const Message& message : op.send_after_persist) line += " then " + describe(message);
  return line;
}

std::string describe(const Core& core) {
  const Core::State& state = core.state();
  std::string line = text(state.self) + " term " + text(state.hard_state) + ' ' +
                     std::visit([](const auto& role) { return text(role); }, state.role) + " log " +
                     text(state.log.base()) + ".." + text(state.log.last()) + " submitted " +
                     text(state.log.submitted()) + " durable " + text(state.log.durable()) +
                     " cuts " + text(state.log.truncation()) + " commit " + text(state.commit) +
                     " terms";
  // The last entry of each term, the newest first.
  for (LogId id = state.log.last(); id.term > Term(0) && id.index > state.log.base().index;) {
    line += ' ' + text(id);
    id = state.log.last_not_above(id.index, Term(id.term.value() - 1));
  }
  line += " of " + text(state.configs.latest().index) + ' ' + text(state.membership()) +
          " durable " + text(state.writes.durable_hard_state()) + " out " +
          text(state.writes.outstanding()) + (state.damaged ? " damaged" : "");
  return line;
}

}  // namespace lignum::raft
