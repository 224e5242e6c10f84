#pragma once

// The groups of a node: opened at boot, started, stopped, looked up.
//
// Owned by App (or by a test), which gives it the data directory, the state store, and ports for
// each group; it knows neither sockets nor threads. open() runs on the booting thread before any
// lane does; start() and stop() are called there too and post to the lanes. A group whose log
// cannot be opened is left out and named: the others serve. Where the group has other members its
// log is repaired from them (log_repairer.h), and the group takes its seat later; so it goes, too,
// where a log is found damaged while it serves. Before the meta group is there nothing is served.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
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
#include "server/group/log_repairer.h"
#include "server/group/log_scrubber.h"
#include "server/group/meta_group.h"
#include "server/group/ports.h"
#include "server/group/replica.h"
#include "server/group/transfer_pace.h"
#include "server/router.h"
#include "server/shard/producer_table.h"
#include "storage/file.h"
#include "storage/log.h"
#include "storage/log_repair.h"
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

// Looks at a damaged log to make it good; may run on any thread.
using BeginRepair = std::function<Result<std::unique_ptr<storage::LogRepair>>(
    storage::Directory& directory, const OpenLogRequest& request)>;

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
  // Of all snapshots together that it sends; 0: no limit.
  std::uint64_t snapshot_bytes_per_second = TransferPace::kBytesPerSecond;
  // None: a group whose log is damaged stays halted.
  BeginRepair begin_repair{};
  // How fast the logs of groups with other members are read through.
  ScrubPace scrub;
};

// What boot found, for the ready line.
struct BootReport {
  bool made = false;
  std::uint32_t groups = 0;
  std::uint32_t halted = 0;
  // Of these, those whose log is being repaired.
  std::uint32_t mending = 0;
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
  // The replicas that are there, the meta group's first; for who watches from outside, on the one
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
    // For the operator.
    std::vector<std::pair<Severity, std::string>> remarks;
    std::unique_ptr<storage::Log> log;
    std::unique_ptr<Checkpoints> checkpoints;
    std::unique_ptr<MetaState> meta;
    std::unique_ptr<ShardState> shards;
    raft::Boot boot;
    AppliedMark applied;
    bool store_damaged = false;
    std::string damage;
    // The damage is in the log.
    bool log_damaged = false;
    // Where the log begins that no state here reaches; it is sound itself.
    std::optional<Index> state_from;
    // Nothing is wrong with what is stored; it could not be read this time.
    bool passing = false;
    // The log was repaired before.
    bool mended = false;
    // A repair has looked at all of the log before.
    bool looked = false;
  };
  // What is to be done for a group that could not be opened.
  struct Mend {
    std::uint32_t after_ticks = 0;
    // Nothing is known to be wrong: it is only opened again.
    bool reopen_only = false;
    // It was mended before, and could not be opened.
    bool mended = false;
    // Of LogRepairer::Parts.
    std::optional<Index> state_from{};
    bool make_anew = false;
  };
  // How a damaged log becomes whole; touched on the group's lane only, once groups have begun.
  struct Mending {
    // What a start found to be done.
    std::optional<Mend> wanted;
    // From the end of the damaged replica to the seat of the next.
    bool under_way = false;
    // stop_group() was called.
    bool stopping = false;
    // The replica in the seat was stopped, and nothing is done for another one.
    bool given_up = false;
    // Looks at the log, one after the other, that found nothing to mend.
    std::uint32_t fruitless = 0;
    // Before what could not be read is tried again; longer every time.
    std::uint32_t pause_ticks = LogRepairer::kReopenTicks;
    // LogEvidence::flushed, of the replica that was stopped.
    Index flushed{};
    std::unique_ptr<LogRepairer> repairer;
    // Groups whose place another one took; somebody may still be on the way to them.
    std::vector<std::unique_ptr<DataGroup>> retired;
    std::vector<std::unique_ptr<MetaGroup>> retired_meta;
    Task stopped;
  };
  [[nodiscard]] ReplicaId self() const;
  // What every group's log begins with.
  [[nodiscard]] raft::ConfigAt first_config() const;
  // A group that cannot be opened is damaged; fails where something else is wrong.
  Result<Prepared> prepare(GroupId group);
  Result<void> try_prepare(Prepared& prepared);
  Result<void> seat(Prepared prepared);
  static void give_up(Prepared& prepared, const Error& error);
  void tell(const Prepared& prepared);
  [[nodiscard]] ReplicaParts replica_parts(Prepared& prepared);
  [[nodiscard]] std::unique_ptr<MetaGroup> make_meta(Prepared& prepared);
  [[nodiscard]] std::unique_ptr<DataGroup> make_data(Prepared& prepared);
  void start_meta(Task serving);
  void deliver(GroupId group, net::PeerMessage message);
  void stop_group(GroupId group, Task done);

  // group_host_repair.cc
  [[nodiscard]] bool may_mend() const;
  // The group's replica was halted because its log is damaged.
  void on_damaged(GroupId group);
  // None: nothing can be done, or nobody is there to do it with.
  [[nodiscard]] std::optional<Mend> mend_for(const Prepared& prepared);
  void mend(GroupId group, const Mend& how);
  void reopen(const std::shared_ptr<Prepared>& prepared);
  void reopened(Prepared prepared);
  [[nodiscard]] Result<std::unique_ptr<storage::LogRepair>> begin_repair(GroupId group);
  [[nodiscard]] Result<void> settle_state(GroupId group, storage::Directory& images);
  [[nodiscard]] std::uint64_t recovery_of(GroupId group) const;
  // One object for each, however often it is opened: what a failed sync lost stays lost.
  Result<std::shared_ptr<storage::Directory>> image_directory(GroupId group);
  // Why a sync of one of the group's directories failed, where one did: the process has to end.
  [[nodiscard]] std::optional<Error> sync_error(GroupId group) const;
  // The host is being stopped: whoever waits for this group is told.
  bool stops(Mending& mending, GroupId group);

  GroupHostParts parts_;
  TransferPace pace_;
  OpenDirectory directory_;
  std::unique_ptr<storage::Directory> groups_;
  std::unique_ptr<storage::Directory> images_;
  // Every group has its place in these maps from open() on.
  std::map<GroupId, std::unique_ptr<storage::Directory>> log_directories_;
  std::map<GroupId, std::shared_ptr<storage::Directory>> image_directories_;
  std::map<GroupId, std::unique_ptr<Ports>> ports_;
  Router router_;
  std::unique_ptr<MetaGroup> meta_;
  std::map<GroupId, std::unique_ptr<DataGroup>> data_;
  std::map<GroupId, Mending> mendings_;
  // Waits for the meta group; on its lane.
  Task serving_;
};

}  // namespace lignum::server
