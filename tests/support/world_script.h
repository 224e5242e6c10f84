#pragma once

// The commands that scripts give to a world of cores, one block at a time.
//
//   add-nodes N voters=(1,2,3) [learners=(4)] [index=I | log=(terms)] [term=T] [inflight=N]
//             [prevote=B] [checkquorum=B] [async-storage-writes=B] [append-bytes=N]
//   crash N.. | restart N.. | wipe N        wipe: an empty disk, and so a new incarnation
//   recover N..                             of those that are down; the others are lost for ever
//   campaign N | forget-leader N | tick N [times=T] | tick-heartbeat N | tick-election N
//   propose N TEXT | propose-conf-change N [transition=explicit], with a body such as "v1 l2 r3.2"
//   process-ready N.. | process-append-thread N.. | process-apply-thread N..
//   deliver-msgs N.. [drop=(N,..)] [type=KIND] | replay from=N to=N type=KIND [nth=I]
//   inject-append from=N to=N term=T previous=T/I commit=I [log=(terms)], a message made by hand
//   inject-heartbeat from=N to=N term=T commit=I
//   stabilize [N..] | run ticks=T [N..]     run: all of them tick and stabilize, T times
//   compact N I | transfer-leadership from=N to=N | report-unreachable N PEER | send-snapshot N TO
//   snapshot-answers made|by-hand | answer-snapshot from=N to=N [nth=I] [lost=true]
//   damage N from=I | cut N M.. | isolate N.. | heal | read N
//   raft-log N.. | raft-state | status N | log-level none|info|debug
//
// A propose-conf-change without body leaves the joint configuration. The answer to a block is what
// happened: changes of roles, installations, refusals; at level debug every message, at level none
// nothing. What is asked for (raft-log, raft-state, status) is always answered. One thread.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "raft/membership.h"
#include "raft/messages.h"
#include "raft/options.h"
#include "raft/types.h"
#include "tests/conformance/datadriven.h"
#include "tests/support/raft_host.h"
#include "tests/support/raft_world.h"

namespace lignum::world {

// What a leader appends when it refuses a change: nothing, or an empty entry, which keeps the
// indexes of a log level with those of a core that puts one in its place.
enum class RefusedChange : std::uint8_t { kNothing, kEmptyEntry };

// What becomes of a change that comes before the leader has committed an entry of its own term: it
// is refused, or the leader's host acts once, which in a group of one commits that entry, and it is
// asked again.
enum class EarlyChange : std::uint8_t { kRefused, kAfterOwnEntry };

struct ScriptSettings {
  WorldSettings world;
  // Where a script does not say.
  bool pre_vote = true;
  bool check_quorum = true;
  raft::Ticks election_ticks = 10;
  Term first_term;
  RefusedChange refused_change = RefusedChange::kNothing;
  EarlyChange early_change = EarlyChange::kRefused;
  Taking taking = Taking::kEager;
  // Of a node's options; others get its number.
  std::map<Node, std::uint64_t> seeds;
};

class WorldScript {
 public:
  using Block = conformance::Block;

  explicit WorldScript(ScriptSettings settings);

  // Carries out one block; its answer. A block that makes no sense is answered "error: ...".
  std::vector<std::string> run(const Block& block);

  [[nodiscard]] RaftWorld& world() { return world_; }

 private:
  using Lines = std::vector<std::string>;
  using Command = Lines (WorldScript::*)(const Block&);
  static const std::map<std::string_view, Command>& commands();

  Lines add_nodes(const Block& block);
  Lines crash(const Block& block);
  Lines restart(const Block& block);
  Lines wipe(const Block& block);
  Lines recover(const Block& block);
  Lines campaign(const Block& block);
  Lines forget_leader(const Block& block);
  Lines tick(const Block& block);
  Lines tick_heartbeat(const Block& block);
  Lines tick_election(const Block& block);
  Lines propose(const Block& block);
  Lines propose_change(const Block& block);
  Lines process_ready(const Block& block);
  Lines process_append(const Block& block);
  Lines process_apply(const Block& block);
  Lines deliver(const Block& block);
  Lines replay(const Block& block);
  Lines inject_append(const Block& block);
  Lines inject_heartbeat(const Block& block);
  Lines stabilize(const Block& block);
  Lines run_ticks(const Block& block);
  Lines compact(const Block& block);
  Lines transfer(const Block& block);
  Lines report_unreachable(const Block& block);
  Lines send_snapshot(const Block& block);
  Lines snapshot_answers(const Block& block);
  Lines answer_snapshot(const Block& block);
  Lines damage(const Block& block);
  Lines cut(const Block& block);
  Lines isolate(const Block& block);
  Lines heal(const Block& block);
  Lines read(const Block& block);
  Lines raft_log(const Block& block);
  Lines raft_state(const Block& block);
  Lines status(const Block& block);
  Lines log_level(const Block& block);
  Lines ignore(const Block& block);

  [[nodiscard]] ReplicaId replica(std::string_view text) const;
  [[nodiscard]] std::vector<ReplicaId> replicas(const Block& block, std::string_view key) const;
  [[nodiscard]] HostSettings host_settings(const Block& block, Node node) const;
  [[nodiscard]] ReplicaLog first_log(const Block& block) const;
  // Those named by position, or all.
  [[nodiscard]] std::vector<Node> nodes_of(const Block& block) const;
  void ticks(Node node, std::uint64_t times);
  // Steps a message that nobody sent; its session is that of the last message sent there.
  void inject(const Block& block, decltype(raft::Message::body) body);

  ScriptSettings settings_;
  RaftWorld world_;
  bool quiet_ = false;
  // Highest node so far, and the incarnation of those that were wiped.
  Node last_node_ = 0;
  std::map<Node, std::uint64_t> incarnations_;
};

}  // namespace lignum::world
