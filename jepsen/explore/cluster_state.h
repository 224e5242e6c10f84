#pragma once

// One state of a small cluster, and what can happen in it. A value: a step makes a new one that
// shares every replica that did not change.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "jepsen/explore/small_scope.h"
#include "raft/core.h"
#include "raft/messages.h"
#include "raft/output.h"
#include "raft/types.h"

namespace lignum::jepsen {

struct StateHash {
  std::uint64_t low = 0;
  std::uint64_t high = 0;
  friend bool operator==(const StateHash&, const StateHash&) = default;
};

struct ReplicaState {
  explicit ReplicaState(raft::Core from) : core(std::move(from)) {}
  [[nodiscard]] std::shared_ptr<ReplicaState> copy() const;

  raft::Core core;
  // On the disk.
  raft::HardState hard_state;
  std::vector<LogId> disk;
  // On the disk once everything under way is.
  std::vector<Entry> accepted;
  std::deque<raft::PersistOp> flights;
  // Checked up to here against what is committed.
  Index checked;
  StateHash hash;
};

struct Event {
  enum class Kind : std::uint8_t {
    kDeliver,
    kDuplicate,
    kDrop,
    kFlush,
    kCampaign,
    kAppend,
    kCrash,
  };
  Kind kind = Kind::kDeliver;
  // A message, or a replica.
  std::size_t which = 0;
  // kCrash: flushes that reached the disk.
  std::size_t survive = 0;
};

class ClusterState {
 public:
  explicit ClusterState(const Scope& scope);

  // What can happen now.
  [[nodiscard]] std::vector<Event> events() const;
  [[nodiscard]] ClusterState after(const Event& event) const;
  [[nodiscard]] StateHash hash() const;
  [[nodiscard]] std::string describe(const Event& event) const;
  // The rule that the last event broke; empty when none.
  [[nodiscard]] const std::string& violation() const { return violation_; }
  [[nodiscard]] bool fulfilled() const;

 private:
  struct Sent {
    StateHash hash;
    // Sender and receiver.
    std::uint32_t link = 0;
    std::shared_ptr<const raft::Message> message;
  };
  struct Reign {
    Term term;
    ReplicaId leader;
  };

  // Those of one replica, beside the messages to it.
  void add_events_of(std::size_t which, std::vector<Event>& events) const;
  ReplicaState& change(std::size_t which);
  void settle(std::size_t which);
  void take(ReplicaState& replica, raft::Output output);
  static void supply(ReplicaState& replica, const raft::Fetch& fetch);
  void send(const ReplicaState& from, raft::Message message);
  void flush(std::size_t which);
  void crash(std::size_t which, std::size_t survive);
  void check_promise(const ReplicaState& from, const raft::Message& message);
  void check_reign(const ReplicaState& replica);
  void check_commit(ReplicaState& replica);
  [[nodiscard]] bool holds(const ReplicaState& replica, const LogId& id) const;
  void broken(std::string rule);

  Scope scope_;
  std::vector<std::shared_ptr<const ReplicaState>> replicas_;
  // By link, those of one link in the order of sending.
  std::vector<Sent> network_;
  // What the budget has left.
  Scope left_;
  std::vector<LogId> committed_;
  std::vector<Reign> reigns_;
  std::string violation_;
};

}  // namespace lignum::jepsen
