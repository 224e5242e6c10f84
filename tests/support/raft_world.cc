#include "tests/support/raft_world.h"

#include <algorithm>
#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
#include <ranges>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include "raft/check.h"
#include "raft/core.h"
#include "raft/error.h"
#include "raft/messages.h"
#include "raft/output.h"
#include "raft/recovery.h"
#include "raft/types.h"
#include "tests/support/letter.h"
#include "tests/support/raft_host.h"
#include "tests/support/raft_text.h"
#include "tests/support/replica_log.h"
#include "tests/support/world_check.h"

namespace lignum::world {

namespace {

// A cluster that never rests is a bug.
constexpr std::size_t kRoundsMax = 2'000;

Node node_of(const ReplicaId& replica) { return replica.node.value(); }

bool fits(const Letter& letter, std::optional<std::string_view> kind) {
  return !kind || (letter.message() != nullptr && kind_of(*letter.message()) == *kind);
}

bool names_term_only(const raft::Message& message) {
  return std::holds_alternative<raft::RequestVote>(message.body) ||
         std::holds_alternative<raft::HeartbeatReply>(message.body);
}

Result<LogId> change(raft::Core& core, const Change& change) {
  return change.changes.empty() ? core.leave_joint_membership()
                                : core.change_membership(change.changes, change.leave);
}

Result<LogId> propose_to(raft::Core& core, const Proposal& proposal) {
  if (const auto* text = std::get_if<std::string>(&proposal.what)) {
    return core.propose(text_entry(*text));
  }
  return change(core, std::get<Change>(proposal.what));
}

}  // namespace

RaftHost& RaftWorld::add(const HostSettings& settings, const ReplicaLog& disk, Index commit) {
  const Node node = node_of(settings.self);
  corpses_.erase(node);
  auto& host = hosts_[node];
  host = std::make_unique<RaftHost>(settings, disk, commit,
                                    [this](std::string text) { note(std::move(text)); });
  return *host;
}

RaftHost& RaftWorld::host(Node node) {
  const auto found = hosts_.find(node);
  CHECK(found != hosts_.end());
  return *found->second;
}

std::vector<Node> RaftWorld::nodes() const {
  std::vector<Node> nodes;
  for (const auto& [node, host] : hosts_) {
    nodes.push_back(node);
  }
  return nodes;
}

void RaftWorld::crash(Node node) {
  const RaftHost& victim = host(node);
  corpses_.insert_or_assign(node, Corpse{.settings = victim.settings(), .disk = victim.disk()});
  std::erase_if(letters_, [&](const Letter& letter) { return node_of(letter.to) == node; });
  hosts_.erase(node);
}

RaftHost& RaftWorld::restart(Node node) {
  const auto found = corpses_.find(node);
  CHECK(found != corpses_.end());
  Corpse corpse = found->second;
  ++corpse.settings.options.seed;
  return add(corpse.settings, corpse.disk, corpse.disk.base().index);
}

Result<raft::RecoveryPlan> RaftWorld::recover(std::span<const Node> nodes) {
  std::vector<raft::Survivor> survivors;
  for (const Node node : nodes) {
    CHECK(corpses_.contains(node));
    const Corpse& corpse = corpses_.at(node);
    const raft::Boot boot = corpse.disk.boot(corpse.settings.self, corpse.disk.base().index);
    survivors.push_back({.self = boot.self,
                         .group = boot.group,
                         .hard_state = boot.hard_state,
                         .last = boot.last,
                         .commit = boot.commit,
                         .membership = boot.configs.back().membership});
  }
  TRY_ASSIGN(plan, raft::plan_recovery(survivors));
  for (const raft::Survivor& each : survivors) {
    raft::PersistOp op;
    op.hard_state = raft::recovered_hard_state(plan, each);
    if (each.self == plan.seed) {
      op.append.push_back(raft::recovery_entry(plan, each.group));
    }
    op.token.last = op.append.empty() ? each.last : plan.entry;
    corpses_.at(node_of(each.self)).disk.perform(op);
  }
  return plan;
}

bool RaftWorld::process_ready(Node node) {
  RaftHost& host = this->host(node);
  const Index commit = host.applicable();
  const bool asynchronous = host.settings().storage == Storage::kAsynchronous;
  const bool to_apply =
      commit > (host.apply_queue.empty() ? host.applied() : host.apply_queue.back());
  if (!host.has_ready() && !to_apply) {
    return false;
  }
  const bool commit_moved = host.commit_moved();
  Ready ready = host.take_ready();
  for (Letter& letter : ready.letters) {
    post(std::move(letter));
  }
  if (!asynchronous) {
    const Index committed = host.core().commit();
    finish_group(host, ready.writes);
    host.apply_to(std::min(committed, host.applicable()));
    for (const raft::PersistOp& op : ready.writes) {
      const CoreBefore before(host.core());
      host.persisted(op.token);
      after_input(node, before);
    }
    return true;
  }
  for (raft::PersistOp& op : ready.writes) {
    release_term_namers(op);
  }
  if (!ready.writes.empty() || commit_moved) {
    host.append_queue.push_back(std::move(ready.writes));
  }
  if (to_apply) {
    host.apply_queue.push_back(commit);
  }
  return true;
}

void RaftWorld::finish_group(RaftHost& host, const std::vector<raft::PersistOp>& group) {
  for (const raft::PersistOp& op : group) {
    host.flush(op);
    for (const raft::Message& message : op.send_after_persist) {
      post({.from = host.self(), .to = message.to, .body = message, .request = {}});
    }
  }
  host.apply_to(host.disk().base().index);
}

void RaftWorld::release_term_namers(raft::PersistOp& op) {
  if (settings_.term_namers == TermNamers::kWait) {
    return;
  }
  std::erase_if(op.send_after_persist, [&](const raft::Message& message) {
    if (!names_term_only(message)) {
      return false;
    }
    letters_.push_back({.from = message.from, .to = message.to, .body = message, .request = {}});
    return true;
  });
}

bool RaftWorld::process_append(Node node) {
  RaftHost& host = this->host(node);
  if (host.append_queue.empty()) {
    return false;
  }
  const std::vector<raft::PersistOp> group = std::move(host.append_queue.front());
  host.append_queue.pop_front();
  finish_group(host, group);
  for (const raft::PersistOp& op : group) {
    letters_.push_back({.from = host.self(),
                        .to = host.self(),
                        .body = Persisted{.token = op.token},
                        .request = {}});
  }
  return true;
}

bool RaftWorld::process_apply(Node node) {
  RaftHost& host = this->host(node);
  if (host.apply_queue.empty()) {
    return false;
  }
  host.apply_to(host.apply_queue.front());
  host.apply_queue.pop_front();
  return true;
}

void RaftWorld::post(Letter letter) {
  if (const raft::Message* message = letter.message()) {
    if (const auto sender = hosts_.find(node_of(letter.from));
        sender != hosts_.end() && sender->second->self() == letter.from) {
      check_.on_leaving(*sender->second, *message);
    }
    sent_.push_back(letter);
    if (corpses_.contains(node_of(letter.to)) ||
        cut_.contains({node_of(letter.from), node_of(letter.to)})) {
      return;
    }
  }
  letters_.push_back(std::move(letter));
}

bool RaftWorld::deliver(Node node, std::optional<std::string_view> kind) {
  std::vector<Letter> arriving;
  std::deque<Letter> staying;
  for (Letter& letter : letters_) {
    if (node_of(letter.to) == node && fits(letter, kind)) {
      arriving.push_back(std::move(letter));
    } else {
      staying.push_back(std::move(letter));
    }
  }
  letters_ = std::move(staying);
  for (const Letter& letter : arriving) {
    receive(letter);
  }
  return !arriving.empty();
}

void RaftWorld::drop(Node node, std::optional<std::string_view> kind) {
  std::vector<Letter> dropped;
  std::erase_if(letters_, [&](const Letter& letter) {
    const bool goes =
        letter.message() != nullptr && node_of(letter.to) == node && fits(letter, kind);
    if (goes) {
      dropped.push_back(letter);
    }
    return goes;
  });
  for (const Letter& letter : dropped) {
    if (tell_messages_) {
      note("dropped " + describe(letter));
    }
    report_snapshot(letter, std::nullopt);
  }
}

void RaftWorld::receive(const Letter& letter) {
  const Node node = node_of(letter.to);
  if (!is_up(node)) {
    return;
  }
  if (const raft::Message* message = letter.message()) {
    receive_message(letter, *message);
    return;
  }
  const CoreBefore before(host(node).core());
  if (const auto* persisted = std::get_if<Persisted>(&letter.body)) {
    host(node).persisted(persisted->token);
  } else {
    std::ignore = propose_to(host(node).core(), std::get<Proposal>(letter.body));
  }
  after_input(node, before);
}

void RaftWorld::receive_message(const Letter& letter, const raft::Message& message) {
  if (tell_messages_) {
    note(describe(letter));
  }
  input(node_of(letter.to), [&](raft::Core& core) { core.step(message); });
  if (const auto* install = std::get_if<raft::InstallSnapshot>(&message.body)) {
    report_snapshot(letter, install->snapshot.id);
  }
}

void RaftWorld::report_snapshot(const Letter& letter, std::optional<LogId> arrived) {
  const Node sender = node_of(letter.from);
  if (letter.request && settings_.snapshot_reports == SnapshotReports::kMade && is_up(sender)) {
    input(sender, [&](raft::Core& core) { core.on_snapshot_sent(*letter.request, arrived); });
  }
}

void RaftWorld::after_input(Node node, const CoreBefore& before) {
  RaftHost& host = this->host(node);
  host.after_input();
  WorldCheck::Disks disks;
  for (const auto& [number, other] : hosts_) {
    disks[other->self()] = &other->disk();
  }
  for (const auto& [number, corpse] : corpses_) {
    disks[corpse.settings.self] = &corpse.disk;
  }
  check_.on_input(host, before, disks);
  check_.on_host(host);
}

Result<void> RaftWorld::propose(Node node, Proposal proposal) {
  const auto leader = host(node).core().leader();
  if (leader && *leader != host(node).self()) {
    host(node).add_letter(
        {.from = host(node).self(), .to = *leader, .body = std::move(proposal), .request = {}});
    return {};
  }
  Result<LogId> outcome = LogId{};
  input(node, [&](raft::Core& core) { outcome = propose_to(core, proposal); });
  TRY(outcome);
  return {};
}

bool RaftWorld::replay(const Replayed& wanted) {
  std::size_t left = wanted.nth;
  const auto found = std::ranges::find_if(sent_, [&](const Letter& letter) {
    return node_of(letter.from) == wanted.from && node_of(letter.to) == wanted.to &&
           fits(letter, wanted.kind) && --left == 0;
  });
  if (found == sent_.end()) {
    return false;
  }
  Letter letter = *found;
  letter.request.reset();
  receive(letter);
  return true;
}

bool RaftWorld::answer_snapshot(const Replayed& wanted, bool arrived) {
  std::size_t left = wanted.nth;
  const auto found = std::ranges::find_if(sent_, [&](const Letter& letter) {
    return letter.request && node_of(letter.from) == wanted.from &&
           node_of(letter.to) == wanted.to && --left == 0;
  });
  if (found == sent_.end()) {
    return false;
  }
  const LogId id = std::get<raft::InstallSnapshot>(found->message()->body).snapshot.id;
  input(wanted.from, [&](raft::Core& core) {
    core.on_snapshot_sent(*found->request, arrived ? std::optional<LogId>(id) : std::nullopt);
  });
  return true;
}

const Letter* RaftWorld::last_sent(Node from, Node to) const {
  for (const Letter& letter : std::views::reverse(sent_)) {
    if (node_of(letter.from) == from && node_of(letter.to) == to) {
      return &letter;
    }
  }
  return nullptr;
}

void RaftWorld::stabilize(std::span<const Node> nodes) {
  bool moved = true;
  for (std::size_t rounds = 0; moved; ++rounds) {
    CHECK(rounds < kRoundsMax);
    moved = false;
    for (const Node node : nodes) {
      moved = process_ready(node) || moved;
    }
    for (const Node node : nodes) {
      moved = deliver(node) || moved;
    }
    for (const Node node : nodes) {
      while (process_append(node)) {
        moved = true;
      }
    }
    for (const Node node : nodes) {
      while (process_apply(node)) {
        moved = true;
      }
    }
  }
}

void RaftWorld::settle() {
  using State = std::tuple<raft::Role, Term, std::optional<ReplicaId>, Index, Index, LogId>;
  const std::vector<Node> all = nodes();
  std::vector<State> last;
  std::size_t unchanged = 0;
  for (std::size_t rounds = 0;; ++rounds) {
    CHECK(rounds < kRoundsMax);
    stabilize(all);
    std::vector<State> now;
    for (const Node node : all) {
      const RaftHost& host = this->host(node);
      const raft::Core& core = host.core();
      now.emplace_back(core.role(), core.term(), core.leader(), core.commit(), host.applied(),
                       core.last());
    }
    unchanged = now == last ? unchanged + 1 : 0;
    last = std::move(now);
    if (unchanged == 2) {
      return;
    }
    for (const Node node : all) {
      if (host(node).core().role() == raft::Role::kLeader) {
        input(node, [](raft::Core& core) { core.tick(); });
      }
    }
  }
}

std::vector<std::string> RaftWorld::take_notes() { return std::exchange(notes_, {}); }

void RaftWorld::check() {
  for (const auto& [node, host] : hosts_) {
    check_.on_host(*host);
  }
  for (std::string& violation : check_.take_violations()) {
    violations_.push_back(std::move(violation));
  }
}

}  // namespace lignum::world
