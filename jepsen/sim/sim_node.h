#pragma once

// A whole node in a simulated world: the real host, groups, logs and services, over a simulated
// disk, clock, network and thread pools.
//
//      start            serving                     power cut, kill, disk_failed, stop
//   kDown --> kBooting ---------> kServing --------------------------------------------> kDown
//                 \------------------------------------------------------------------------^
//
// Owned by a Run; outlives its lives. A life is what a process would be: it goes with a crash, and
// whatever it had asked for (timers, tasks, disk work) comes to nothing. What stays is the disk,
// as the crash left it, and the state store, which writes durably at once as LevelDB does when
// asked to sync. A paused node lets everything wait and finds all of it when it goes on.
//
// A node that loses its disk is another member from then on: it has forgotten what it promised.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "jepsen/sim/sim_clock.h"
#include "jepsen/sim/sim_disk.h"
#include "jepsen/sim/sim_network.h"
#include "jepsen/sim/sim_pools.h"
#include "jepsen/sim/world.h"
#include "net/message.h"
#include "net/peer_message.h"
#include "net/raft_codec.h"
#include "net/snapshot_messages.h"
#include "raft/options.h"
#include "raft/random.h"
#include "raft/types.h"
#include "server/group/group_host.h"
#include "server/group/log_scrubber.h"
#include "server/group/ports.h"
#include "server/group/segment_store.h"
#include "server/group/transfer_pace.h"
#include "server/shard/producer_table.h"
#include "storage/file.h"
#include "storage/memory_state_store.h"

namespace lignum::jepsen {

class SimServer;

// What a node is made of; the limits are small so that much happens in a short run.
struct NodePlan {
  std::uint32_t data_groups = 2;
  std::uint32_t shards = 2;
  server::SegmentStoreOptions segments;
  DiskPace pace;
  SimDiskOptions disk{.capacity_bytes = std::uint64_t{1} << 30, .keeps_calls = false};
  // Nodes of the cluster; what each is at first is a voter of every group.
  std::uint32_t members = 1;
  raft::Options raft;
  std::int64_t tick_us = 50'000;
  std::size_t snapshot_piece_bytes = net::kSnapshotPieceBytes;
  std::uint64_t snapshot_bytes_per_second = server::TransferPace::kBytesPerSecond;
  server::ScrubPace scrub;
  // Producers that a shard remembers.
  std::size_t producer_sessions_max = server::ProducerTable::kSessionsMax;
  // Of a server session: requests taken and not yet answered.
  std::size_t outstanding_max = 4096;
};

class SimNode;

// Who watches the nodes. Called from events of the node, never from inside its host.
class NodeWatcher {
 public:
  virtual ~NodeWatcher() = default;
  // Something ran on the node: look at it.
  virtual void on_settled(SimNode& node) = 0;
  // A message leaves the node, from inside its host: only to be looked at.
  virtual void on_send(SimNode& node, const net::PeerMessage& message) = 0;
  // It went down by itself: its disk died or failed. (Not told of what the caller did.)
  virtual void on_down(SimNode& node) = 0;
  // It did not want to start, and is down; or not all of its groups did, and will not.
  virtual void on_refused(SimNode& node, const std::string& why) = 0;
};

class SimNode final : public StreamUser {
 public:
  enum class State : std::uint8_t { kDown, kBooting, kServing };
  // As whom a node comes back whose disk is lost. The second is a mistake, for tests of the checks.
  enum class Comeback : std::uint8_t { kAnotherMember, kSameMember };

  // All references outlive the node. `number` is also its host in the network.
  SimNode(World& world, SimNetwork& network, HostNumber number, const NodePlan& plan,
          NodeWatcher& watcher);
  ~SimNode() override;
  SimNode(const SimNode&) = delete;
  SimNode& operator=(const SimNode&) = delete;

  [[nodiscard]] HostNumber number() const { return number_; }
  // The member of every group that it is, at present.
  [[nodiscard]] ReplicaId self() const { return self_; }
  [[nodiscard]] const NodePlan& plan() const { return plan_; }
  [[nodiscard]] State state() const { return state_; }
  [[nodiscard]] bool paused() const { return paused_; }
  // Null while there is no life.
  [[nodiscard]] server::GroupHost* host();
  [[nodiscard]] SimDisk& disk() { return *disk_; }
  [[nodiscard]] const SimDisk& disk() const { return *disk_; }
  // Of the member that it is, or was: then it is as it was when it was lost. Null for any other.
  [[nodiscard]] const SimDisk* disk_of(const ReplicaId& member) const;
  // The newest entry of a group's log that its checkpoint or an image proves to have been flushed.
  [[nodiscard]] Index proven(GroupId group);
  [[nodiscard]] std::uint64_t lives() const { return life_number_; }

  // What is done to it. start() is for a node that is down, wipe() for any, the others for one that
  // is not down.
  void start();
  void power_cut(const CrashImage& image);
  // All that it had written is gone, and an empty disk is there instead.
  void wipe(Comeback comeback);
  void kill();
  // An orderly shutdown; down when it is done.
  void stop();
  void pause();
  void resume();
  void set_pace(const DiskPace& pace);
  SimClock& clock() { return clock_; }
  // Every state store is lost at the next start, as when LevelDB finds itself damaged.
  void lose_state_store() { *store_ = storage::MemoryStateStore(); }

  // For its ports and its server.
  [[nodiscard]] server::Now clocks() const { return clock_.read(world_.now()); }
  [[nodiscard]] Moment delay_until(std::int64_t monotonic_us) const {
    return clock_.delay_until(monotonic_us, world_.now());
  }
  // Runs in this life, when the node is awake.
  void later(Moment delay, EventQueue::Action action);
  [[nodiscard]] SimPools& pools();
  void send(const net::PeerMessage& message);
  void disk_failed(std::string text);
  void report(server::Severity severity, const std::string& text);

  void on_stream_opened(StreamNumber stream) override;
  void on_stream_bytes(StreamNumber stream, std::vector<std::byte> bytes) override;
  void on_stream_closed(StreamNumber stream) override;
  void on_message(std::vector<std::byte> bytes) override;

 private:
  struct Life;

  void boot();
  void serve();
  // Runs an action of this life now, or when the node is awake again.
  void run(EventQueue::Action action);
  // After everything that ran on the node: has it died of it?
  void settle();
  // A disk error has halted one of its groups.
  [[nodiscard]] bool lost_a_group();
  void end_life(Death death);
  [[nodiscard]] server::GroupHostParts parts(Life& life);

  World& world_;
  SimNetwork& network_;
  const HostNumber number_;
  const NodePlan plan_;
  NodeWatcher& watcher_;
  Random random_;
  ReplicaId self_;
  std::unique_ptr<SimDisk> disk_;
  // There is a data directory on it.
  bool made_ = false;
  // By the members that it was.
  std::map<ReplicaId, std::unique_ptr<SimDisk>> lost_;
  std::shared_ptr<storage::MemoryStateStore> store_;
  SimClock clock_;
  DiskPace pace_;
  // Of messages from other nodes; one comes whole or not at all.
  net::MessageReader reader_{net::kPeerLimits};
  State state_ = State::kDown;
  bool paused_ = false;
  std::deque<EventQueue::Action> deferred_;
  std::uint64_t life_number_ = 0;
  std::unique_ptr<Life> life_;
  std::optional<std::string> death_;
  bool stopped_ = false;
};

// The member of every group that a node is after it has lost so many disks.
[[nodiscard]] ReplicaId replica_of(HostNumber node, std::size_t disks_lost = 0);

// host:port of a node, and back; none for what is no such address.
[[nodiscard]] std::string node_address(HostNumber node);
[[nodiscard]] std::optional<HostNumber> node_of_address(const std::string& address);

}  // namespace lignum::jepsen
