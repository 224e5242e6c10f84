#pragma once

// What is under way in a world of cores: messages, and what a replica tells itself.

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "raft/membership.h"
#include "raft/messages.h"
#include "raft/output.h"
#include "raft/types.h"

namespace lignum::world {

// The replica's own disk finished a write (asynchronous storage).
struct Persisted {
  raft::WriteToken token;
};

// Without changes: leave the joint configuration.
struct Change {
  std::vector<raft::MemberChange> changes;
  raft::LeaveJoint leave = raft::LeaveJoint::kAutomatic;
};

// A proposal that a follower hands on to its leader.
struct Proposal {
  std::variant<std::string, Change> what;
};

struct Letter {
  ReplicaId from;
  ReplicaId to;
  std::variant<raft::Message, Persisted, Proposal> body;
  // Set when the message is the snapshot that the sender's core asked for.
  std::optional<raft::SendSnapshot> request;

  // A message of another replica; the others are never lost on the way.
  [[nodiscard]] const raft::Message* message() const { return std::get_if<raft::Message>(&body); }
};

}  // namespace lignum::world
