#include "jepsen/sim/run.h"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include "jepsen/sim/audit.h"
#include "jepsen/sim/faults.h"
#include "jepsen/sim/rare_paths.h"
#include "jepsen/sim/run_plan.h"
#include "jepsen/sim/safety_checks.h"
#include "jepsen/sim/sim_network.h"
#include "jepsen/sim/sim_node.h"
#include "jepsen/sim/trace.h"
#include "jepsen/sim/workload.h"
#include "jepsen/sim/world.h"
#include "net/moment.h"
#include "net/peer_message.h"
#include "raft/membership.h"
#include "raft/types.h"
#include "server/group/replica.h"

namespace lignum::jepsen {

namespace {

// Clients give up by then: what is in flight ends.
constexpr Moment kDrainMax = 60 * net::kSecond;
constexpr Moment kSetupMax = 60 * net::kSecond;

class Run final : public NodeWatcher {
 public:
  Run(const RunPlan& plan, std::FILE* story)
      : plan_(plan),
        world_(plan.seed, story),
        rare_(world_, plan.rare),
        network_(world_, plan.nodes + plan.workload.users),
        checks_(world_),
        workload_(std::make_unique<Workload>(world_, network_, plan.nodes, plan.workload)) {
    for (HostNumber number = 0; number < plan.nodes; ++number) {
      nodes_.push_back(std::make_unique<SimNode>(world_, network_, number, plan.node, *this));
    }
    checks_.watch(all_nodes());
    if (plan.faults.damage > 0) checks_.expect_damage(plan.faults.beyond);
    faults_ = std::make_unique<Faults>(world_, network_, all_nodes(), plan.faults);
  }

  RunReport execute() {
    play();
    // Before the world goes: what hangs in its queue refers to these.
    RunReport report{.seed = plan_.seed,
                     .verdict = Verdict::kClean,
                     .what = {},
                     .trace_hash = world_.trace.hash(),
                     .simulated = world_.now(),
                     .steps = world_.queue.steps(),
                     .counts = workload_->counts(),
                     .snapshots = checks_.counts().snapshots,
                     .faults = world_.faults,
                     .rare = rare_.fired(),
                     .struck = faults_->struck(),
                     .ended = world_.now()};
    if (const auto& breach = world_.breach()) {
      report.verdict = breach->verdict;
      report.ended = breach->at;
      report.what = fmt::format("at {}.{:06} s: {}", breach->at / net::kSecond,
                                breach->at % net::kSecond, breach->what);
    }
    return report;
  }

  void on_settled(SimNode& node) override { checks_.look_at(node); }
  void on_send(SimNode& node, const net::PeerMessage& message) override {
    checks_.on_send(node, message);
  }
  void on_down(SimNode& node) override { faults_->restart_later(node); }
  void on_refused(SimNode& node, const std::string& why) override {
    if (plan_.faults.beyond) return;
    world_.violate(Verdict::kSafety, fmt::format("node {} does not start: {}", node.number(), why));
  }

 private:
  // Until `done`, or `until`; false for the latter, and for a breach.
  bool steps(Moment until, const std::function<bool()>& done) {
    while (!done()) {
      if (world_.breach()) return false;
      const auto next = world_.queue.next();
      if (!next || *next > until) return false;
      world_.queue.step();
    }
    return true;
  }
  bool wait(Moment span) {
    bool passed = false;
    world_.queue.after(span, [&passed] { passed = true; });
    return steps(world_.now() + span + 1, [&passed] { return passed; });
  }
  void phase(std::uint64_t number, const char* name) {
    world_.tell(TraceKind::kPhase, 0, number, 0, [name] { return std::string(name); });
  }
  void late(const std::string& what) {
    if (!world_.breach()) world_.violate(Verdict::kLiveness, what);
  }

  void play() {
    phase(1, "setup");
    for (const auto& node : nodes_) {
      faults_->fail_while_starting(*node);
      node->start();
    }
    workload_->begin();
    if (!steps(kSetupMax, [this] { return workload_->running(); })) {
      return late("the streams could not be made");
    }
    phase(2, "fire");
    for (HostNumber from = 0; from < network_.hosts(); ++from) {
      for (HostNumber to = 0; to < network_.hosts(); ++to) {
        network_.link(from, to).weather = plan_.weather;
      }
    }
    for (const auto& node : nodes_) node->set_pace(plan_.faults.pace);
    faults_->begin();
    if (!wait(plan_.fire)) return;
    phase(3, "calm");
    workload_->quiet();
    rare_.end();
    faults_->end(plan_.held_down);
    for (HostNumber from = 0; from < network_.hosts(); ++from) {
      for (HostNumber to = 0; to < network_.hosts(); ++to) network_.link(from, to).weather = {};
    }
    if (plan_.faults.beyond) {
      faults_->release();
      return play_rest();
    }
    bool probed = false;
    workload_->probe([&probed] { probed = true; });
    if (!steps(world_.now() + plan_.calm_max, [&probed] { return probed; })) {
      return late("not every shard takes appends after everything was healed");
    }
    faults_->release();
    if (!steps(world_.now() + kDrainMax, [this] { return workload_->idle(); })) {
      return late("an append has neither an answer nor a deadline");
    }
    if (!steps(world_.now() + plan_.calm_max, [this] { return !apart(); })) {
      if (const auto found = apart()) late(found->describe());
      return;
    }
    if (plan_.faults.damage > 0 && !heal()) return;
    audit();
  }

  // What a start finds is found by one more start of every node at once, the rest by reading.
  bool heal() {
    // All have applied the same, and are to have applied as much again.
    std::map<GroupId, Index> before;
    for (const server::Replica* replica : nodes_.front()->host()->replicas()) {
      before[replica->group()] = replica->applied().index;
    }
    for (const auto& node : nodes_) {
      node->kill();
      node->start();
    }
    std::string where;
    Moment next_look = 0;
    const auto whole = [&] {
      if (world_.now() < next_look) return false;
      next_look = world_.now() + net::kSecond;
      if (const auto found = apart()) {
        where = found->describe();
        return false;
      }
      const auto behind = [&before](const server::Replica* replica) {
        return replica->applied().index < before[replica->group()];
      };
      if (std::ranges::any_of(nodes_.front()->host()->replicas(), behind)) {
        where = "a group has not applied again what it had";
        return false;
      }
      return faults_->healed(where);
    };
    if (!steps(world_.now() + 2 * plan_.calm_max, whole)) late(where);
    return !world_.breach();
  }

  // A replica that has not applied what others have, or whose members are not the nodes; without a
  // group: a node that does not serve all of them.
  struct Apart {
    HostNumber node = 0;
    std::optional<GroupId> group{};
    // As far as it knows the voters are the nodes as they are now.
    bool seated = true;
    Index applied{};
    Index others{};
    [[nodiscard]] std::string describe() const {
      if (!group) return fmt::format("node {} does not serve every group", node);
      if (!seated) {
        return fmt::format("node {}, group {}: not every node is a voter, or who is none votes",
                           node, group->value());
      }
      return fmt::format("node {}, group {}: applied {}, others {}", node, group->value(),
                         applied.value(), others.value());
    }
  };

  bool seated(const server::Replica& replica) const {
    if (!plan_.faults.changes_members()) return true;
    raft::Membership all;
    for (const auto& node : nodes_) all.voters.push_back(node->self());
    return replica.core().membership() == all;
  }

  // None where every replica has applied what every other has.
  std::optional<Apart> apart() {
    std::map<GroupId, Index> applied;
    for (const auto& node : nodes_) {
      if (node->state() != SimNode::State::kServing) return Apart{.node = node->number()};
      const auto replicas = node->host()->replicas();
      const bool all = replicas.size() == plan_.node.data_groups + 1;
      if (!all || std::ranges::any_of(replicas, &server::Replica::halted)) {
        return Apart{.node = node->number()};
      }
      for (const server::Replica* replica : replicas) {
        if (!seated(*replica)) {
          return Apart{.node = node->number(), .group = replica->group(), .seated = false};
        }
        const Index own = replica->applied().index;
        const auto [other, first] = applied.try_emplace(replica->group(), own);
        if (first || other->second == own) continue;
        return Apart{.node = node->number(),
                     .group = replica->group(),
                     .applied = own,
                     .others = other->second};
      }
    }
    return std::nullopt;
  }

  // Whatever still serves goes on; what was lost beyond what is promised may stay halted.
  void play_rest() {
    const Moment until = world_.now() + plan_.calm_max;
    (void)steps(until, [this, until] { return world_.now() >= until; });
    if (world_.breach()) return;
    if (!steps(world_.now() + kDrainMax, [this] { return workload_->idle(); })) {
      return late("an append has neither an answer nor a deadline");
    }
    phase(4, "audit");
    workload_->finish();
    Audit(world_, *workload_, all_nodes(), plan_.faults.damage > 0).judge_rest();
  }

  void audit() {
    phase(4, "audit");
    workload_->finish();
    for (const auto& node : nodes_) {
      if (node->state() != SimNode::State::kServing) return late("a node does not serve");
    }
    Audit(world_, *workload_, all_nodes(), plan_.faults.damage > 0).judge_all();
  }

  [[nodiscard]] std::vector<SimNode*> all_nodes() const {
    std::vector<SimNode*> all;
    all.reserve(nodes_.size());
    for (const auto& node : nodes_) all.push_back(node.get());
    return all;
  }

  const RunPlan& plan_;
  // The world goes last: actors refer to it.
  World world_;
  RarePaths rare_;
  SimNetwork network_;
  SafetyChecks checks_;
  std::vector<std::unique_ptr<SimNode>> nodes_;
  std::unique_ptr<Workload> workload_;
  std::unique_ptr<Faults> faults_;
};

}  // namespace

RunReport run_plan(const RunPlan& plan, std::FILE* story) { return Run(plan, story).execute(); }

}  // namespace lignum::jepsen
