#pragma once

// A cluster of bare cores: each with a disk that loses what was not flushed, and a network that
// loses, doubles and reorders. Hand-driven, one thread, deterministic.
//
// The world judges by what lies on the disks, never by what a core believes: every message that
// promises something is compared with its sender's disk when it leaves, every commit with the disks
// of a majority. A broken promise is a gtest failure and stops the run.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "raft/core.h"
#include "raft/entry.h"
#include "raft/membership.h"
#include "raft/messages.h"
#include "raft/options.h"
#include "raft/output.h"
#include "raft/random.h"
#include "raft/types.h"

namespace lignum::raft::testing {

[[nodiscard]] ReplicaId replica(std::uint32_t node, std::uint64_t incarnation = 1);

// What one replica's disk holds.
struct ModelDisk {
  HardState hard_state;
  // Everything up to here is in the image.
  Snapshot image;
  // Entries after the image.
  std::vector<Entry> entries;

  void take(const PersistOp& op);
  void compact(Index to, const Membership& membership);
  [[nodiscard]] LogId last() const;
  [[nodiscard]] bool holds(LogId id) const;
  [[nodiscard]] const Entry* at(Index index) const;
};

class ModelCluster {
 public:
  ModelCluster(std::uint64_t seed, std::vector<ReplicaId> voters, Options options);

  enum class Scope : std::uint8_t { kEverything, kFixedMembers };
  // One random thing happens.
  void act(Scope scope = Scope::kEverything);
  // From now on only what `link(from, to)` is true for arrives; what was under way is lost.
  void connect(std::function<bool(const ReplicaId& from, const ReplicaId& to)> link);
  // One tick for everybody, then messages and flushes until nothing moves (or `rounds` passed).
  void pass_tick(int rounds);
  // Nothing is lost any more, everybody runs: until a leader has committed an entry of its own and
  // every member has it, or `ticks` have passed (false).
  bool heal(int ticks);

  // Ticks, messages, flushes, in rounds; nothing is lost.
  void settle(int rounds);
  void propose();
  void propose_on(const ReplicaId& at);
  void crash(const ReplicaId& at);
  [[nodiscard]] Core& core(const ReplicaId& at);
  [[nodiscard]] std::optional<ReplicaId> leader();
  [[nodiscard]] std::size_t committed() const { return canon_.size(); }
  [[nodiscard]] std::size_t memberships() const { return memberships_; }
  [[nodiscard]] std::size_t snapshots() const { return snapshots_; }
  [[nodiscard]] std::size_t reads() const { return reads_done_; }
  [[nodiscard]] std::size_t leaderships() const { return leaders_.size(); }
  // One line for each replica, for failure messages.
  [[nodiscard]] std::string describe() const;
  // Of everything that happened, for comparing two runs.
  [[nodiscard]] std::uint64_t trace() const { return trace_; }

 private:
  struct Node {
    ReplicaId id;
    ModelDisk disk;
    // The disk with everything that was handed over.
    ModelDisk staged;
    std::deque<PersistOp> flights;
    std::unique_ptr<Core> core;
    Index checked;
    std::uint64_t boots = 0;
    // What became of snapshots that were asked for, not told yet; and the newest request for each
    // follower.
    struct SnapshotEnd {
      SendSnapshot request;
      std::optional<LogId> sent;
    };
    std::vector<SnapshotEnd> snapshot_ends;
    std::map<ReplicaId, SendSnapshot> asked;
    // Open reads, and what was committed anywhere when they began.
    std::map<std::uint64_t, Index> reads;
  };

  void boot(Node& node);
  void drain(Node& node);
  void act_rarely(std::uint64_t draw, Scope scope);
  void serve(Node& node, const Fetch& fetch);
  void send_snapshot(Node& node, const SendSnapshot& request);
  // Tells the core how a transfer ended: any that is open, not the oldest one first.
  void end_snapshot(Node& node);
  void end_read(Node& node, const ReadReady& read);
  void send(Node& from, Message message);
  void deliver(std::size_t which);
  void complete(Node& node);
  void change_membership();
  void compact(Node& node);
  void begin_read(Node& node);
  void check_promise(const Node& from, const Message& message);
  void check_commit(Node& node);
  void note(std::uint64_t what);
  Node& any();

  Random random_;
  Options options_;
  Membership first_;
  std::map<ReplicaId, Node> nodes_;
  std::deque<Message> network_;
  std::function<bool(const ReplicaId& from, const ReplicaId& to)> link_;
  // What is committed: term and payload size of entry i + 1.
  std::vector<LogId> canon_;
  std::map<Term, ReplicaId> leaders_;
  std::uint64_t next_payload_ = 1;
  std::size_t memberships_ = 0;
  std::size_t snapshots_ = 0;
  std::size_t reads_done_ = 0;
  std::uint32_t next_node_ = 0;
  std::uint64_t trace_ = 0xCBF29CE484222325ULL;
};

}  // namespace lignum::raft::testing
