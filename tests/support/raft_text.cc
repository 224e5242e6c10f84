#include "tests/support/raft_text.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "raft/check.h"
#include "raft/entry.h"
#include "raft/membership.h"
#include "raft/messages.h"
#include "raft/output.h"
#include "raft/progress.h"
#include "raft/types.h"
#include "tests/support/letter.h"
#include "tests/support/replica_log.h"

namespace lignum::world {

namespace {

template <class... Ts>
struct Overloaded : Ts... {
  using Ts::operator()...;
};

std::string field(std::string_view name, std::uint64_t value) {
  return " " + std::string(name) + "=" + std::to_string(value);
}

std::string replicas(std::string_view name, const std::vector<ReplicaId>& list) {
  if (list.empty()) {
    return {};
  }
  std::string text = " " + std::string(name) + "=(";
  for (const ReplicaId& replica : list) {
    text += (text.ends_with('(') ? "" : " ") + describe(replica);
  }
  return text + ")";
}

std::string_view name_of(raft::Campaign kind) {
  switch (kind) {
    case raft::Campaign::kPreVote:
      return "pre-vote";
    case raft::Campaign::kElection:
      return "election";
    case raft::Campaign::kTransfer:
      return "transfer";
  }
  CHECK(false);
}

std::string list_of(const std::vector<Entry>& entries) {
  std::string text;
  for (const Entry& entry : entries) {
    text += (text.empty() ? " entries=[" : ", ") + describe(entry);
  }
  return text.empty() ? text : text + "]";
}

std::string body_of(const raft::Message& message) {
  return std::visit(
      Overloaded{
          [](const raft::RequestVote& body) {
            return field("term", body.term.value()) + " last=" + describe(body.last) + " " +
                   std::string(name_of(body.kind));
          },
          [](const raft::RequestVoteReply& body) {
            return field("term", body.term.value()) + field("candidacy", body.candidacy.value()) +
                   " " + std::string(name_of(body.kind)) + (body.granted ? " granted" : " refused");
          },
          [](const raft::AppendEntries& body) {
            return field("term", body.term.value()) + " previous=" + describe(body.previous) +
                   field("commit", body.commit.value()) + list_of(body.entries);
          },
          [](const raft::AppendReply& body) {
            return field("term", body.term.value()) + field("previous", body.previous.value()) +
                   (body.conflict ? " rejected conflict=" + describe(*body.conflict)
                                  : field("match", body.match.value()));
          },
          [](const raft::Heartbeat& body) {
            return field("term", body.term.value()) + field("commit", body.commit.value());
          },
          [](const raft::HeartbeatReply& body) { return field("term", body.term.value()); },
          [](const raft::InstallSnapshot& body) {
            return field("term", body.term.value()) + " snapshot=" + describe(body.snapshot.id) +
                   " " + describe(body.snapshot.membership);
          },
          [](const raft::TimeoutNow& body) { return field("term", body.term.value()); },
          [](const raft::ReadRequest& body) { return field("term", body.term.value()); },
          [](const raft::ReadReply& body) {
            return field("term", body.term.value()) + field("index", body.index.value());
          }},
      message.body);
}

}  // namespace

std::string describe(const ReplicaId& replica) {
  std::string text = std::to_string(replica.node.value());
  if (replica.incarnation.value() > 1) {
    text += "." + std::to_string(replica.incarnation.value());
  }
  return text;
}

std::string describe(const std::optional<ReplicaId>& replica) {
  return replica ? describe(*replica) : "none";
}

std::string describe(LogId id) {
  return std::to_string(id.term.value()) + "/" + std::to_string(id.index.value());
}

std::string describe(const Entry& entry) {
  const std::string id = describe(entry.header.id());
  switch (entry.header.kind) {
    case EntryKind::kNoOp:
      return id + " no-op";
    case EntryKind::kMembership:
      return id + " " + describe(*raft::decode_membership(entry.payload.bytes()));
    case EntryKind::kBatch:
    case EntryKind::kCommand:
      return entry.payload.empty() ? id : id + " '" + text_of(entry) + "'";
  }
  CHECK(false);
}

std::string describe(const raft::Membership& membership) {
  const std::string text = replicas("voters", membership.voters) +
                           replicas("outgoing", membership.outgoing) +
                           replicas("learners", membership.learners) +
                           replicas("learners-next", membership.learners_next) +
                           (membership.joint() && membership.auto_leave ? " auto-leave" : "") +
                           (membership.recovery > 0 ? field("recovery", membership.recovery) : "");
  return text.empty() ? "nobody" : text.substr(1);
}

std::string describe(const Letter& letter) {
  const std::string way = describe(letter.from) + "->" + describe(letter.to) + " ";
  if (const raft::Message* message = letter.message()) {
    return way + std::string(kind_of(*message)) + body_of(*message);
  }
  return way + (std::holds_alternative<Persisted>(letter.body) ? "Persisted" : "Proposal");
}

std::string_view describe(raft::Role role) {
  switch (role) {
    case raft::Role::kFollower:
      return "follower";
    case raft::Role::kPreCandidate:
      return "pre-candidate";
    case raft::Role::kCandidate:
      return "candidate";
    case raft::Role::kLeader:
      return "leader";
  }
  CHECK(false);
}

std::string_view describe(raft::ProgressState state) {
  switch (state) {
    case raft::ProgressState::kProbe:
      return "probe";
    case raft::ProgressState::kReplicate:
      return "replicate";
    case raft::ProgressState::kSnapshot:
      return "snapshot";
  }
  CHECK(false);
}

std::string_view kind_of(const raft::Message& message) {
  return std::visit(Overloaded{[](const raft::RequestVote&) { return "RequestVote"; },
                               [](const raft::RequestVoteReply&) { return "RequestVoteReply"; },
                               [](const raft::AppendEntries&) { return "AppendEntries"; },
                               [](const raft::AppendReply&) { return "AppendReply"; },
                               [](const raft::Heartbeat&) { return "Heartbeat"; },
                               [](const raft::HeartbeatReply&) { return "HeartbeatReply"; },
                               [](const raft::InstallSnapshot&) { return "InstallSnapshot"; },
                               [](const raft::TimeoutNow&) { return "TimeoutNow"; },
                               [](const raft::ReadRequest&) { return "ReadRequest"; },
                               [](const raft::ReadReply&) { return "ReadReply"; }},
                    message.body);
}

}  // namespace lignum::world
