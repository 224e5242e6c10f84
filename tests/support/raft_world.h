#pragma once

// A cluster of real cores in memory: hosts, one list of letters under way, links that can be cut.
//
// Nothing happens by itself: whoever owns a world lets hosts act, letters arrive and time pass, one
// step at a time, and everything is repeatable. The rules of safety are checked at every step
// (world_check.h); what breaks them is collected in violations(). One thread.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "raft/error.h"
#include "raft/recovery.h"
#include "raft/types.h"
#include "tests/support/letter.h"
#include "tests/support/raft_host.h"
#include "tests/support/replica_log.h"
#include "tests/support/world_check.h"

namespace lignum::world {

// Number of a node, as scripts name it.
using Node = std::uint32_t;

// Whether a sender learns what became of a snapshot: that it arrived or was dropped. Without, only
// the follower's ack tells.
enum class SnapshotReports : std::uint8_t { kMade, kNever };

// Requests for votes and answers to heartbeats name a term, so this core has them wait until that
// is durable. Another one lets them go at once: then writes that hold them need not be done first.
enum class TermNamers : std::uint8_t { kWait, kLeaveAtOnce };

struct WorldSettings {
  SnapshotReports snapshot_reports = SnapshotReports::kMade;
  TermNamers term_namers = TermNamers::kWait;
};

class RaftWorld {
 public:
  explicit RaftWorld(WorldSettings settings = {}) : settings_(settings) {}

  // Replaces a host of the same number.
  RaftHost& add(const HostSettings& settings, const ReplicaLog& disk, Index commit);
  // CHECKs that it is up.
  [[nodiscard]] RaftHost& host(Node node);
  [[nodiscard]] bool is_up(Node node) const { return hosts_.contains(node); }
  [[nodiscard]] std::vector<Node> nodes() const;

  // The process ends: what was not flushed is lost, and what it told itself.
  void crash(Node node);
  // A process starts on the disk that crash() left, with another seed.
  RaftHost& restart(Node node);
  // The disks of `nodes`, which are down, are carried over a lost quorum (raft/recovery.h).
  Result<raft::RecoveryPlan> recover(std::span<const Node> nodes);

  // ---- Steps of one host. Each is true when it did something.

  // Does what the core asked for: letters leave, writes are flushed (synchronous storage) or
  // queued (asynchronous storage).
  bool process_ready(Node node);
  // Asynchronous storage: the oldest group of writes is flushed; the letters it held back leave,
  // with one to the host itself.
  bool process_append(Node node);
  bool process_apply(Node node);
  // Every letter to `node` arrives, or those of one kind of message.
  bool deliver(Node node, std::optional<std::string_view> kind = {});
  // They are lost. Letters of a host to itself stay.
  void drop(Node node, std::optional<std::string_view> kind = {});

  // ---- Inputs.

  Result<void> propose(Node node, Proposal proposal);
  // Of the messages ever sent that fit, the nth (from 1 on) arrives once more. False when there are
  // not so many.
  struct Replayed {
    Node from = 0;
    Node to = 0;
    std::string_view kind;
    std::size_t nth = 1;
  };
  bool replay(const Replayed& wanted);
  // From now on; what became of a snapshot is otherwise told by answer_snapshot() alone.
  void report_snapshots(SnapshotReports reports) { settings_.snapshot_reports = reports; }
  // Tells the sender of the nth snapshot that its core asked for what became of it, however late.
  // False when there are not so many.
  bool answer_snapshot(const Replayed& wanted, bool arrived);
  // Wraps any other input of the core of `node`: output is taken and rules are checked.
  template <class Input>
  void input(Node node, Input&& input) {
    const CoreBefore before(host(node).core());
    std::forward<Input>(input)(host(node).core());
    after_input(node, before);
  }

  // ---- The network.

  void cut(Node from, Node to) { cut_.emplace(from, to); }
  void heal() { cut_.clear(); }
  [[nodiscard]] const std::deque<Letter>& letters() const { return letters_; }
  // The last message that left `from` for `to`.
  [[nodiscard]] const Letter* last_sent(Node from, Node to) const;
  void post(Letter letter);

  // ---- Many steps.

  // Until nothing of `nodes` moves.
  void stabilize(std::span<const Node> nodes);
  // Perfect network, and only leaders' heartbeats tick, until two rounds change nothing.
  void settle();

  // What happened since the last call: changes of roles, cuts, installations; where
  // `tell_messages`, also what arrived and what was dropped.
  [[nodiscard]] std::vector<std::string> take_notes();
  void tell_messages(bool tell) { tell_messages_ = tell; }
  [[nodiscard]] const std::vector<std::string>& violations() const { return violations_; }
  // Looks at the whole cluster now.
  void check();

 private:
  void receive(const Letter& letter);
  void receive_message(const Letter& letter, const raft::Message& message);
  // Tells the sender of a snapshot, if a core asked for it, that it arrived, or was lost.
  void report_snapshot(const Letter& letter, std::optional<LogId> arrived);
  void after_input(Node node, const CoreBefore& before);
  void finish_group(RaftHost& host, const std::vector<raft::PersistOp>& group);
  // Takes the messages out of a write that leave at once.
  void release_term_namers(raft::PersistOp& op);
  void note(std::string text) { notes_.push_back(std::move(text)); }

  WorldSettings settings_;
  std::map<Node, std::unique_ptr<RaftHost>> hosts_;
  // Of nodes that are down.
  struct Corpse {
    HostSettings settings;
    ReplicaLog disk;
  };
  std::map<Node, Corpse> corpses_;
  std::deque<Letter> letters_;
  std::vector<Letter> sent_;
  std::set<std::pair<Node, Node>> cut_;
  std::vector<std::string> notes_;
  bool tell_messages_ = false;
  WorldCheck check_;
  std::vector<std::string> violations_;
};

}  // namespace lignum::world
