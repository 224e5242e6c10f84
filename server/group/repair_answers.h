#pragma once

// What a sound replica gives to one that is damaged (net/repair_messages.h, rules I).
//
// Entries of its log, whoever leads. Where the damaged one does not know how far its own log
// reached, only a leader answers that a majority has confirmed since it was asked: its log holds
// whatever was or can still be committed with the help of what was lost
// (docs/design/0007-repair-of-damaged-ranges.md).
//
// One piece is read for each asker at a time. Part of a replica; its lane only.

#include <cstddef>
#include <functional>
#include <memory>
#include <set>

#include "net/repair_messages.h"
#include "raft/core.h"
#include "raft/error.h"
#include "raft/types.h"
#include "server/group/ports.h"
#include "server/group/read_waiters.h"
#include "storage/log.h"

namespace lignum::server {

class RepairAnswers {
 public:
  struct Parts {
    GroupId group;
    GroupIncarnation incarnation;
    Ports& ports;
    storage::Log& log;
    const raft::Core& core;
    std::size_t piece_bytes = net::kRepairPieceBytes;
    // As Replica::confirm_read.
    std::function<void(ReadWaiters::Callback)> confirm;
    // The log here cannot be read either.
    std::function<void(const Error&)> damaged;
  };
  explicit RepairAnswers(Parts parts);
  ~RepairAnswers();
  RepairAnswers(const RepairAnswers&) = delete;
  RepairAnswers& operator=(const RepairAnswers&) = delete;

  void on_request(const net::RepairRequest& request);

 private:
  void answer(const net::RepairRequest& request, net::RepairReply reply);
  void answer_end(net::RepairReply reply);
  // Reads on the pool, fills `reply` in, sends it.
  void read(net::RepairReply reply, std::move_only_function<Result<void>(net::RepairReply&)> fill);
  void send(net::RepairReply reply);

  const Parts parts_;
  std::set<ReplicaId> busy_;
  std::shared_ptr<bool> alive_;
};

}  // namespace lignum::server
