#pragma once

// What a replica holds at the end of a run, read from its disk without its help.

#include <cstdint>
#include <string>
#include <vector>

#include "jepsen/check/history.h"
#include "jepsen/sim/sim_disk.h"
#include "raft/error.h"
#include "raft/hard_state.h"
#include "raft/types.h"
#include "server/group/segment_store.h"

namespace lignum::jepsen {

// A shard as a replica had applied it before its end.
struct ShardExtent {
  GroupId group;
  ShardKey shard;
  Offset start;
  Offset next;
};

// The entry at `index` of the group's log on this disk, opened as a restart would. kNotFound where
// the log does not reach it, or begins behind it.
[[nodiscard]] Result<LogId> durable_id_at(SimDisk& disk, const server::SegmentStoreOptions& limits,
                                          GroupId group, Index index);
// The replica's log holds `id`, or has given back everything up to it, which it does only with what
// is committed.
[[nodiscard]] bool durably_holds(SimDisk& disk, const server::SegmentStoreOptions& limits,
                                 GroupId group, LogId id);
// Term and vote of the group on this disk.
[[nodiscard]] Result<raft::HardState> durable_hard_state(SimDisk& disk, GroupId group);

// Opens the group's log as a restart would, on this very disk, and reads the shard's records from
// start on. kCorrupt where offsets are left out or a batch does not parse, and whatever the log
// says.
[[nodiscard]] Result<std::vector<Value>> read_replica_shard(
    SimDisk& disk, const server::SegmentStoreOptions& limits, const ShardExtent& extent);

}  // namespace lignum::jepsen
