#include "tests/raft/model_cluster.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>
#include <span>
#include <sstream>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "raft/check.h"
#include "raft/config_history.h"
#include "raft/core.h"
#include "raft/describe.h"
#include "raft/entry.h"
#include "raft/log_view.h"
#include "raft/membership.h"
#include "raft/messages.h"
#include "raft/options.h"
#include "raft/output.h"
#include "raft/payload.h"
#include "raft/quorum.h"
#include "raft/types.h"

namespace lignum::raft::testing {

ReplicaId replica(std::uint32_t node, std::uint64_t incarnation) {
  return {.node = NodeId(node), .incarnation = NodeIncarnation(incarnation)};
}

void ModelDisk::take(const PersistOp& op) {
  if (op.hard_state) {
    EXPECT_GE(op.hard_state->term, hard_state.term);
    hard_state = *op.hard_state;
  }
  EXPECT_FALSE(op.restore && op.truncate_after);
  if (op.restore) {
    image = *op.restore;
    entries.clear();
  }
  if (op.truncate_after) {
    CHECK(*op.truncate_after >= image.id.index);
    const std::uint64_t kept = *op.truncate_after - image.id.index;
    EXPECT_LE(kept, entries.size());
    entries.resize(kept);
  }
  for (const Entry& entry : op.append) {
    EXPECT_EQ(entry.header.index, last().index.next());
    EXPECT_LE(entry.header.term, hard_state.term) << "an entry of a term that is not durable";
    entries.push_back(entry);
  }
}

void ModelDisk::compact(Index to, const Membership& membership) {
  const Entry* const entry = at(to);
  if (entry == nullptr) return;
  const Snapshot next{.id = entry->header.id(), .membership = membership};
  entries.erase(entries.begin(),
                entries.begin() + static_cast<std::ptrdiff_t>(to - image.id.index));
  image = next;
}

LogId ModelDisk::last() const { return entries.empty() ? image.id : entries.back().header.id(); }

const Entry* ModelDisk::at(Index index) const {
  if (index <= image.id.index || index > last().index) return nullptr;
  return &entries[(index - image.id.index) - 1];
}

bool ModelDisk::holds(LogId id) const {
  // What the image holds is committed: the same everywhere.
  if (id.index <= image.id.index) return true;
  const Entry* const entry = at(id.index);
  return entry != nullptr && entry->header.term == id.term;
}

ModelCluster::ModelCluster(std::uint64_t seed, std::vector<ReplicaId> voters, Options options)
    : random_(seed, "model cluster"), options_(options) {
  first_.voters = std::move(voters);
  for (const ReplicaId& id : first_.voters) {
    Node& node = nodes_[id];
    node.id = id;
    node.disk.image.membership = first_;
    node.staged = node.disk;
    boot(node);
    next_node_ = std::max(next_node_, id.node.value() + 1);
  }
}

void ModelCluster::boot(Node& node) {
  node.flights.clear();
  node.snapshot_ends.clear();
  node.asked.clear();
  node.reads.clear();
  ModelDisk& disk = node.disk;
  if (disk.hard_state.term < disk.last().term) {
    disk.hard_state = {
        .term = disk.last().term, .vote = std::nullopt, .recovery = disk.hard_state.recovery};
  }
  node.staged = disk;
  std::vector<TermRun> runs;
  std::vector<ConfigAt> configs{
      {.index = disk.image.id.index, .membership = disk.image.membership}};
  for (const Entry& entry : disk.entries) {
    const EntryHeader& header = entry.header;
    if (runs.empty() || runs.back().term != header.term) {
      runs.push_back({.first = header.index, .term = header.term});
    }
    if (header.kind == EntryKind::kMembership) {
      configs.push_back(
          {.index = header.index, .membership = *decode_membership(entry.payload.bytes())});
    }
  }
  Options options = options_;
  options.seed = (std::uint64_t{node.id.node.value()} << 48U) +
                 (node.id.incarnation.value() << 24U) + ++node.boots;
  node.checked = disk.image.id.index;
  node.core = std::make_unique<Core>(options, Boot{.self = node.id,
                                                   .group = GroupIncarnation(1),
                                                   .hard_state = disk.hard_state,
                                                   .base = disk.image.id,
                                                   .last = disk.last(),
                                                   .terms = std::move(runs),
                                                   .commit = disk.image.id.index,
                                                   .configs = std::move(configs)});
}

void ModelCluster::note(std::uint64_t what) { trace_ = (trace_ ^ what) * 0x100000001B3ULL; }

ModelCluster::Node& ModelCluster::any() {
  auto found = nodes_.begin();
  std::advance(found, static_cast<std::ptrdiff_t>(random_.below(nodes_.size())));
  return found->second;
}

Core& ModelCluster::core(const ReplicaId& at) { return *nodes_.at(at).core; }

std::optional<ReplicaId> ModelCluster::leader() {
  std::optional<ReplicaId> found;
  Term term;
  for (const auto& [id, node] : nodes_) {
    if (node.core->role() != Role::kLeader || (found && node.core->term() < term)) continue;
    found = id;
    term = node.core->term();
  }
  return found;
}

void ModelCluster::drain(Node& node) {
  while (node.core->has_output()) {
    Output output = node.core->take_output();
    if (output.role_change && output.role_change->role == Role::kLeader) {
      const auto [known, fresh] = leaders_.emplace(output.role_change->term, node.id);
      EXPECT_TRUE(fresh || known->second == node.id) << "two leaders of one term";
      for (const LogId& id : canon_) {
        EXPECT_TRUE(node.staged.holds(id)) << "a leader without a committed entry";
      }
    }
    if (output.persist) {
      node.staged.take(*output.persist);
      node.flights.push_back(std::move(*output.persist));
    }
    for (const Fetch& fetch : output.fetch) serve(node, fetch);
    for (const SendSnapshot& request : output.send_snapshot) send_snapshot(node, request);
    for (Message& message : output.send_now) send(node, std::move(message));
    for (const ReadReady& read : output.reads) end_read(node, read);
    EXPECT_FALSE(output.divergence.has_value()) << "a replica is told to cut what is committed";
    check_commit(node);
  }
}

void ModelCluster::send_snapshot(Node& node, const SendSnapshot& request) {
  const Snapshot snapshot = node.disk.image;
  node.asked[request.to] = request;
  const bool lost = random_.chance(1, 4);
  node.snapshot_ends.push_back(
      {.request = request, .sent = lost ? std::nullopt : std::optional<LogId>(snapshot.id)});
  // Otherwise told later: the follower's answer may come first, and another request after it.
  if (random_.chance(1, 2)) end_snapshot(node);
  if (lost) return;
  send(node, {.from = node.id,
              .to = request.to,
              .body = InstallSnapshot{
                  .term = node.core->term(), .session = request.session, .snapshot = snapshot}});
  ++snapshots_;
}

void ModelCluster::end_snapshot(Node& node) {
  if (node.snapshot_ends.empty()) return;
  const std::uint64_t which = random_.below(node.snapshot_ends.size());
  const Node::SnapshotEnd end = node.snapshot_ends[which];
  node.snapshot_ends.erase(node.snapshot_ends.begin() + static_cast<std::ptrdiff_t>(which));
  const std::string before = raft::describe(*node.core);
  node.core->on_snapshot_sent(end.request, end.sent);
  if (node.asked.at(end.request.to) != end.request) {
    EXPECT_EQ(raft::describe(*node.core), before) << "an old transfer's end counts";
  }
}

void ModelCluster::end_read(Node& node, const ReadReady& read) {
  const auto open = node.reads.find(read.id);
  ASSERT_NE(open, node.reads.end());
  if (read.index) {
    EXPECT_GE(*read.index, open->second) << "a stale read";
    ++reads_done_;
  }
  node.reads.erase(open);
}

void ModelCluster::serve(Node& node, const Fetch& fetch) {
  if (node.staged.at(fetch.first) == nullptr) {
    node.core->supply_failed(fetch);
    return;
  }
  std::vector<Entry> entries;
  std::size_t bytes = 0;
  for (Index index = fetch.first; index <= fetch.last; index = index.next()) {
    const Entry* const entry = node.staged.at(index);
    CHECK(entry != nullptr);
    bytes += entry->payload.size() + kEntryOverheadBytes;
    if (!entries.empty() && bytes > fetch.bytes_max) break;
    entries.push_back(*entry);
  }
  node.core->supply(fetch, std::move(entries));
}

void ModelCluster::send(Node& from, Message message) {
  check_promise(from, message);
  note((std::uint64_t{message.to.node.value()} << 8U) + message.body.index());
  if (link_ && !link_(message.from, message.to)) return;
  network_.push_back(std::move(message));
}

void ModelCluster::connect(std::function<bool(const ReplicaId&, const ReplicaId&)> link) {
  link_ = std::move(link);
  network_.clear();
}

void ModelCluster::pass_tick(int rounds) {
  for (auto& [id, node] : nodes_) {
    node.core->tick();
    drain(node);
  }
  settle(rounds);
}

void ModelCluster::check_promise(const Node& from, const Message& message) {
  const HardState& durable = from.disk.hard_state;
  if (const auto* vote = std::get_if<RequestVoteReply>(&message.body)) {
    if (vote->granted && vote->kind != Campaign::kPreVote) {
      EXPECT_GE(durable.term, vote->candidacy) << "a vote that is not durable";
      if (durable.term == vote->candidacy) EXPECT_EQ(durable.vote, message.to);
    }
  } else if (const auto* request = std::get_if<RequestVote>(&message.body)) {
    if (request->kind != Campaign::kPreVote) {
      EXPECT_GE(durable.term, request->term) << "a candidacy that is not durable";
    }
  } else if (const auto* reply = std::get_if<AppendReply>(&message.body)) {
    EXPECT_GE(durable.term, reply->term);
    if (!reply->conflict) {
      EXPECT_GE(from.disk.last().index, reply->match) << "an ack before the flush";
    }
  } else {
    const Term named = term_of(message);
    EXPECT_GE(durable.term, named) << "a term that is not durable";
  }
}

void ModelCluster::check_commit(Node& node) {
  const Index commit = node.core->commit();
  for (Index index = node.checked.next(); index <= commit; index = index.next()) {
    const auto term = node.core->term_at(index);
    // Below a snapshot that was installed meanwhile.
    if (!term) continue;
    const LogId id{.term = *term, .index = index};
    if (index.value() <= canon_.size()) {
      EXPECT_EQ(canon_[index.value() - 1], id) << "two entries were committed at one index";
      continue;
    }
    ASSERT_EQ(index.value(), canon_.size() + 1);
    canon_.push_back(id);
    const VoteResult held = vote_result(node.core->membership(), [&](const ReplicaId& voter) {
      const auto found = nodes_.find(voter);
      return std::optional<bool>(found != nodes_.end() && found->second.disk.holds(id));
    });
    EXPECT_EQ(held, VoteResult::kWon) << "committed, but not on the disks of a majority";
  }
  node.checked = commit;
}

void ModelCluster::deliver(std::size_t which) {
  const Message message = network_[which];
  network_.erase(network_.begin() + static_cast<std::ptrdiff_t>(which));
  const auto to = nodes_.find(message.to);
  if (to == nodes_.end()) return;
  to->second.core->step(message);
  drain(to->second);
}

void ModelCluster::complete(Node& node) {
  if (node.flights.empty()) return;
  PersistOp op = std::move(node.flights.front());
  node.flights.pop_front();
  node.disk.take(op);
  for (Message& message : op.send_after_persist) send(node, std::move(message));
  node.core->on_persisted(op.token);
  drain(node);
}

// Whatever part of the flushes under way reached the disk, in their order.
void ModelCluster::crash(const ReplicaId& at) {
  Node& node = nodes_.at(at);
  const std::uint64_t survive = random_.below(node.flights.size() + 1);
  for (std::uint64_t i = 0; i < survive; ++i) node.disk.take(node.flights[i]);
  boot(node);
}

void ModelCluster::propose_on(const ReplicaId& at) {
  Node& node = nodes_.at(at);
  Entry entry;
  entry.header.kind = EntryKind::kBatch;
  entry.payload = Payload(std::vector<std::byte>(next_payload_++ % 97));
  static_cast<void>(node.core->propose(std::move(entry)));
  // Sometimes more gathers before the output is taken.
  if (random_.chance(2, 3)) drain(node);
}

void ModelCluster::propose() { propose_on(leader().value_or(any().id)); }

void ModelCluster::change_membership() {
  const auto at = leader();
  if (!at) return;
  Node& node = nodes_.at(*at);
  std::vector<MemberChange> changes;
  const std::uint64_t count = 1 + random_.below(3);
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::vector<ReplicaId> members = node.core->membership().members();
    ReplicaId id = members[random_.below(members.size())];
    if (random_.chance(1, 2) && nodes_.size() < 9) {
      // A new node, or a known one with an empty disk: a new member either way.
      const std::uint64_t draw = random_.below(next_node_ + 1);
      id = replica(static_cast<std::uint32_t>(draw), 2 + next_payload_++);
      if (draw == next_node_) ++next_node_;
      Node& fresh = nodes_[id];
      fresh.id = id;
      boot(fresh);
    }
    const std::uint64_t role = random_.below(4);
    changes.push_back({.replica = id,
                       .role = role < 2   ? MemberRole::kVoter
                               : role < 3 ? MemberRole::kLearner
                                          : MemberRole::kNone});
  }
  const LeaveJoint leave = random_.chance(1, 2) ? LeaveJoint::kAutomatic : LeaveJoint::kExplicit;
  const bool done = node.core->membership().joint()
                        ? node.core->leave_joint_membership().has_value()
                        : node.core->change_membership(changes, leave).has_value();
  if (done) ++memberships_;
  drain(node);
}

void ModelCluster::compact(Node& node) {
  const Index applied = std::min(node.core->commit(), node.core->durable());
  if (applied <= node.disk.image.id.index || !node.flights.empty()) return;
  const Membership membership = node.core->membership_at(applied);
  node.disk.compact(applied, membership);
  node.staged.compact(applied, membership);
  node.core->on_compacted(node.disk.image.id);
  drain(node);
}

void ModelCluster::begin_read(Node& node) {
  const auto id = node.core->read_index();
  if (id) node.reads[*id] = Index(canon_.size());
  if (random_.chance(1, 2)) drain(node);
}

void ModelCluster::act(Scope scope) {
  const std::uint64_t draw = random_.below(1000);
  note(draw);
  if (draw < 120) {
    Node& node = any();
    node.core->tick();
    drain(node);
  } else if (draw < 520) {
    if (network_.empty()) return;
    const std::uint64_t which = random_.below(std::min<std::size_t>(network_.size(), 12));
    // Messages come twice, or late.
    if (random_.chance(1, 10)) network_.push_back(network_[which]);
    deliver(which);
  } else if (draw < 560) {
    if (!network_.empty()) network_.pop_front();
  } else if (draw < 770) {
    complete(any());
  } else if (draw < 780) {
    Node& node = any();
    end_snapshot(node);
    drain(node);
  } else if (draw < 930) {
    propose();
  } else {
    act_rarely(draw, scope);
  }
}

void ModelCluster::act_rarely(std::uint64_t draw, Scope scope) {
  Node& node = any();
  if (draw < 940) {
    crash(node.id);
  } else if (draw < 960) {
    compact(node);
  } else if (draw < 975) {
    begin_read(node);
  } else if (draw < 985) {
    if (scope == Scope::kEverything) change_membership();
  } else if (draw < 992) {
    const auto members = node.core->membership().members();
    if (members.empty()) return;
    static_cast<void>(node.core->transfer_leadership(members[random_.below(members.size())]));
  } else if (draw < 996) {
    node.core->forget_leader();
  } else {
    node.core->on_unreachable(any().id);
  }
  drain(node);
}

void ModelCluster::settle(int rounds) {
  for (int round = 0; round < rounds; ++round) {
    for (auto& [id, node] : nodes_) drain(node);
    for (auto& [id, node] : nodes_) {
      while (!node.flights.empty()) complete(node);
      while (!node.snapshot_ends.empty()) end_snapshot(node);
    }
    std::size_t messages = network_.size();
    while (messages-- > 0) deliver(0);
  }
}

std::string ModelCluster::describe() const {
  std::ostringstream text;
  const auto name = [](const ReplicaId& id) {
    return std::to_string(id.node.value()) + "." + std::to_string(id.incarnation.value());
  };
  for (const auto& [id, node] : nodes_) {
    const Core& core = *node.core;
    text << name(id) << " role " << static_cast<int>(core.role()) << " term " << core.term().value()
         << " last " << core.last().term.value() << '/' << core.last().index.value() << " commit "
         << core.commit().value() << " durable " << core.durable().value() << " base "
         << core.base().index.value() << " voters";
    for (const ReplicaId& voter : core.membership().voters) text << ' ' << name(voter);
    text << " outgoing";
    for (const ReplicaId& voter : core.membership().outgoing) text << ' ' << name(voter);
    for (const PeerStatus& peer : core.peers()) {
      text << "\n    " << name(peer.replica) << " match " << peer.match.value() << " next "
           << peer.next.value() << " state " << static_cast<int>(peer.state);
    }
    text << '\n';
  }
  return text.str();
}

bool ModelCluster::heal(int ticks) {
  link_ = nullptr;
  for (int tick = 0; tick < ticks; ++tick) {
    pass_tick(4);
    const auto at = leader();
    if (!at) continue;
    Core& core = *nodes_.at(*at).core;
    if (core.membership().joint()) static_cast<void>(core.leave_joint_membership());
    settle(4);
    bool same = core.role() == Role::kLeader && core.term_at(core.commit()) == core.term() &&
                core.commit() == core.last().index && !core.membership().joint();
    for (const ReplicaId& member : core.membership().members()) {
      Core& other = *nodes_.at(member).core;
      same = same && other.commit() == core.commit() && other.last() == core.last();
    }
    if (same) return true;
  }
  return false;
}

}  // namespace lignum::raft::testing
