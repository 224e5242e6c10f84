#pragma once

// The replicas of a data directory that nobody serves: looked at, and carried over a lost quorum
// (raft/recovery.h).
//
// The directory is opened as a start opens it, with the same recovery of its logs, but nothing is
// started: no tick, no message, no election. Whoever opens one holds the directory's lock. One
// thread; blocks.
//
// The recovery of a group is one durable step on each node. On the seed it is the flush of one
// entry, from which a later start learns everything; the hard state is written after it. On the
// others it is one hard state. A crash leaves the state before that step or the one after it, and
// what was done is recognized when it is asked for again.

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "raft/error.h"
#include "raft/recovery.h"
#include "raft/types.h"
#include "server/group/group_host.h"
#include "server/group/ports.h"
#include "server/group/segment_store.h"
#include "server/group/survivor_facts.h"
#include "storage/file.h"
#include "storage/state_store.h"

namespace lignum::server {

class OfflineNode {
 public:
  struct Parts {
    storage::Directory& root;
    storage::StateStore& store;
    std::function<Result<void>()> reset_store;
    SegmentStoreOptions segments;
    Now now;
    // What was found while opening, for the operator.
    std::function<void(Severity, const std::string&)> report;
  };
  // kNotFound where there is no node's data; otherwise as GroupHost::open.
  static Result<std::unique_ptr<OfflineNode>> open(Parts parts);
  ~OfflineNode();
  OfflineNode(const OfflineNode&) = delete;
  OfflineNode& operator=(const OfflineNode&) = delete;

  // Of every group that could be opened; one that is damaged was reported and cannot survive.
  [[nodiscard]] std::vector<GroupSurvivor> survivors();
  [[nodiscard]] NodeId node() const { return host_->identity().node; }

  // This node's part of `plan`, made of what `told` and others said. True: done now; false: done
  // already. kInvalidArgument where this replica changed since, kNotFound where the group is not
  // here, kIo or kNoSpace.
  Result<bool> recover(const GroupSurvivor& told, const raft::RecoveryPlan& plan);

 private:
  class Lane;
  explicit OfflineNode(Parts parts);

  [[nodiscard]] Replica* find(GroupId group);
  Result<void> append(storage::Log& log, Entry entry);

  Parts parts_;
  // What was posted and not run yet; nothing runs inside the call that asked for it.
  std::deque<Task> tasks_;
  std::unique_ptr<Ports> boot_ports_;
  std::unique_ptr<GroupHost> host_;
};

}  // namespace lignum::server
