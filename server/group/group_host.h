#pragma once

// The groups of a node: opened at boot, started, stopped, looked up.
//
// Owned by App (or by a test), which gives it the data directory, the state store, and ports for
// each group; it knows neither sockets nor threads. open() runs on the booting thread before any
// lane does; start() and stop() are called there too and post to the lanes. A group whose log
// cannot be opened is left out and named: the others serve.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "net/peer_message.h"
#include "net/snapshot_messages.h"
#include "raft/config_history.h"
#include "raft/core.h"
#include "raft/error.h"
#include "raft/options.h"
#include "raft/types.h"
#include "server/group/checkpoints.h"
#include "server/group/data_directory.h"
#include "server/group/data_group.h"
#include "server/group/meta_group.h"
#include "server/group/ports.h"
#include "server/group/replica.h"
#include "server/router.h"
#include "server/shard/producer_table.h"
#include "storage/file.h"
#include "storage/log.h"
#include "storage/segmented_log.h"
#include "storage/state_store.h"

namespace lignum::server {

// An opened log, and what its recovery had to say (one line each, empty when clean).
struct OpenedLog {
  std::unique_ptr<storage::Log> log;
  std::vector<std::string> remarks;
};

struct OpenLogRequest {
  GroupId group;
  GroupIncarnation incarnation;
  NodeIncarnation node;
  // The log must reach this, or it is damaged.
  storage::LogEvidence evidence;
  // For what the log does in the background; outlives it.
  Ports& ports;
};
// `directory` outlives the log.
using OpenLog =
    std::function<Result<OpenedLog>(storage::Directory& directory, const OpenLogRequest& request)>;

struct GroupHostParts {
  storage::Directory& root;
  BootstrapOptions bootstrap;
  MakeLog make_log;
  OpenLog open_log;
  // The state store as the host may use it; dropped and made anew through `reset_store`.
  storage::StateStore& store;
  std::function<Result<void>()> reset_store;
  std::function<std::unique_ptr<Ports>(GroupId)> make_ports;
  Ports& boot_ports;
  MetaDefaults defaults;
  // Producers that a shard remembers. The same on every node of a cluster, in all its life.
  std::size_t producer_sessions_max = ProducerTable::kSessionsMax;
  // Of every group. Node and group are mixed into the seed; give another one at every start.
  raft::Options raft;
  // How long a tick of the cores is.
  std::int64_t tick_us = 50'000;
  // See ReplicaParts.
  std::size_t snapshot_piece_bytes = net::kSnapshotPieceBytes;
};

// What boot found, for the ready line.
struct BootReport {
  bool made = false;
  std::uint32_t groups = 0;
  std::uint32_t halted = 0;
  std::uint64_t log_bytes = 0;
};

class GroupHost {
 public:
  explicit GroupHost(GroupHostParts parts);
  ~GroupHost();
  GroupHost(const GroupHost&) = delete;
  GroupHost& operator=(const GroupHost&) = delete;

  // kCorrupt, kIo ... when the node as a whole cannot serve (identity, hard state, meta group).
  Result<BootReport> open();
  // Begins in every group. Alone, `serving` is posted to the meta group's lane when every group
  // that is not halted takes appends and the meta group has reconciled once. With other members it
  // does not wait for them: it is posted when every group has begun.
  void start(Task serving);
  // Stops every group; `stopped` is called, on some lane, when all have.
  void stop(Task stopped);

  // A message of another node arrived; it goes to its group's lane. What is for no group here is
  // dropped. From any thread, between start and stop.
  void receive(net::PeerMessage message);
  // The connection to `peer` was lost. From any thread.
  void unreachable(ReplicaId peer);

  [[nodiscard]] Router& router() { return router_; }
  // The replicas that were opened, the meta group's first; for who watches from outside, on the one
  // lane that all groups share there.
  [[nodiscard]] std::vector<Replica*> replicas();
  [[nodiscard]] const storage::NodeIdentity& identity() const { return directory_.identity; }
  // Instead of the one that was found; between open() and start(), for a group that is not started
  // any more (offline_node.h).
  Result<void> store_hard_state(GroupId group, const raft::HardState& state);

 private:
  // A group on its way from its directory to its seat.
  struct Prepared {
    GroupId group;
    std::unique_ptr<Ports> ports;
    std::unique_ptr<storage::Log> log;
    std::unique_ptr<Checkpoints> checkpoints;
    std::unique_ptr<MetaState> meta;
    std::unique_ptr<ShardState> shards;
    raft::Boot boot;
    AppliedMark applied;
    bool store_damaged = false;
    std::string damage;
  };
  [[nodiscard]] ReplicaId self() const;
  // What every group's log begins with.
  [[nodiscard]] raft::ConfigAt first_config() const;
  // A group that cannot be opened is damaged; fails where something else is wrong.
  Result<Prepared> prepare(GroupId group);
  Result<void> try_prepare(Prepared& prepared);
  Result<void> seat(Prepared prepared);

  GroupHostParts parts_;
  OpenDirectory directory_;
  std::unique_ptr<storage::Directory> groups_;
  std::unique_ptr<storage::Directory> images_;
  std::vector<std::unique_ptr<storage::Directory>> log_directories_;
  std::map<GroupId, std::unique_ptr<Ports>> ports_;
  Router router_;
  std::unique_ptr<MetaGroup> meta_;
  std::vector<std::unique_ptr<DataGroup>> data_;
};

}  // namespace lignum::server
