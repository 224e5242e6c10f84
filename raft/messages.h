#pragma once

// The messages of the Raft protocol as plain values. The codec lives in net/raft_codec.

#include <variant>

#include "raft/types.h"

namespace lignum::raft {

// A candidate's request for a vote (Raft thesis, 3.4). `last` is the candidate's last log entry.
struct RequestVote {
  Term term;
  LogId last;
};

// Answer to RequestVote; `term` is the term the request named, so that a late answer to an
// earlier candidacy is never counted.
struct RequestVoteReply {
  Term term;
  bool granted = false;
};

struct Message {
  ReplicaId from;
  ReplicaId to;
  std::variant<RequestVote, RequestVoteReply> body;
};

}  // namespace lignum::raft
