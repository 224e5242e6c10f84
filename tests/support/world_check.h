#pragma once

// The rules of safety of a whole cluster, looked at from outside (Raft thesis, figure 3.2):
//
//   promises             a vote, a candidacy or an ack leaves only when the disk holds it
//   commitment           a leader commits what a majority's disks hold
//   election safety      one leader in a term
//   state machine safety one entry at a committed index, for ever
//   match                no leader believes of a follower what its disk does not hold
//
// Fed by a RaftWorld; one thread.

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "raft/core.h"
#include "raft/entry.h"
#include "raft/messages.h"
#include "raft/output.h"
#include "raft/types.h"
#include "tests/support/raft_host.h"
#include "tests/support/replica_log.h"

namespace lignum::world {

// Of a core, before an input.
struct CoreBefore {
  explicit CoreBefore(const raft::Core& core)
      : role(core.role()), term(core.term()), commit(core.commit()) {}
  raft::Role role;
  Term term;
  Index commit;
};

class WorldCheck {
 public:
  using Disks = std::map<ReplicaId, const ReplicaLog*>;

  // `message` leaves `host` now.
  void on_leaving(const RaftHost& host, const raft::Message& message);
  // An input of `host` was taken. `disks` are those of all members, also of nodes that are down.
  void on_input(const RaftHost& host, const CoreBefore& before, const Disks& disks);
  // At rest.
  void on_host(const RaftHost& host);

  // What was broken since the last call.
  [[nodiscard]] std::vector<std::string> take_violations() {
    return std::exchange(violations_, {});
  }

 private:
  void fail(const RaftHost& host, const std::string& what);

  std::map<Term, ReplicaId> leaders_;
  std::map<Index, Entry> committed_;
  std::vector<std::string> violations_;
};

}  // namespace lignum::world
