#pragma once

// What a core is told at boot, read from the log: where it begins and ends, which term each entry
// has, which configurations are in its tail.
//
// Called by the group host while a group is opened; blocks. Terms are found by bisection (a log of
// millions of entries has a handful); entries are read only where they are not applied yet.

#include "raft/config_history.h"
#include "raft/core.h"
#include "raft/error.h"
#include "raft/hard_state.h"
#include "raft/types.h"
#include "storage/log.h"

namespace lignum::server {

struct BootFacts {
  ReplicaId self;
  GroupIncarnation group;
  // Already raised to the term of the last entry.
  raft::HardState hard_state;
  // The restored state's last entry, which lies in the log or just before it.
  LogId applied;
  // In force there.
  raft::ConfigAt config;
};

// kCorrupt where the log cannot be read, or has another entry where the state was applied.
[[nodiscard]] Result<raft::Boot> read_boot(storage::Log& log, const BootFacts& facts);

}  // namespace lignum::server
