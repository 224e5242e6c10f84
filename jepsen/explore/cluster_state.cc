#include "jepsen/explore/cluster_state.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <xxhash.h>
#include "jepsen/explore/small_scope.h"
#include "raft/check.h"
#include "raft/core.h"
#include "raft/describe.h"
#include "raft/entry.h"
#include "raft/hard_state.h"
#include "raft/log_view.h"
#include "raft/membership.h"
#include "raft/messages.h"
#include "raft/options.h"
#include "raft/output.h"
#include "raft/quorum.h"
#include "raft/types.h"

namespace lignum::jepsen {

namespace {

using raft::Core;

StateHash hash_of(std::string_view bytes) {
  const XXH128_hash_t hash = XXH3_128bits(bytes.data(), bytes.size());
  return {.low = hash.low64, .high = hash.high64};
}

ReplicaId replica_id(std::size_t which) {
  return {.node = NodeId(static_cast<std::uint32_t>(which)), .incarnation = NodeIncarnation(1)};
}

// Elections come as events, never from timers, so that every order of them is tried; asking first
// and listening for silence only take elections away.
constexpr raft::Options kOptions{.pre_vote = false, .check_quorum = false};

Core boot(ReplicaId self, const Scope& scope, const raft::HardState& hard_state,
          const std::vector<LogId>& disk) {
  raft::Membership membership;
  for (std::size_t i = 0; i < scope.replicas; ++i) membership.voters.push_back(replica_id(i));
  std::vector<raft::TermRun> runs;
  for (const LogId& id : disk) {
    if (runs.empty() || runs.back().term != id.term) {
      runs.push_back({.first = id.index, .term = id.term});
    }
  }
  return {kOptions,
          {.self = self,
           .group = GroupIncarnation(1),
           .hard_state = hard_state,
           .base = {},
           .last = disk.empty() ? LogId{} : disk.back(),
           .terms = std::move(runs),
           .commit = Index(0),
           .configs = {{.index = Index(0), .membership = std::move(membership)}}}};
}

void apply(const raft::PersistOp& op, raft::HardState& hard_state, std::vector<LogId>& disk) {
  if (op.hard_state) hard_state = *op.hard_state;
  if (op.truncate_after) disk.resize(op.truncate_after->value());
  for (const Entry& entry : op.append) disk.push_back(entry.header.id());
}

StateHash hash_replica(const ReplicaState& replica) {
  std::string text = raft::describe(replica.core);
  const auto add = [&text](std::uint64_t number) { text += ' ' + std::to_string(number); };
  add(replica.hard_state.term.value());
  add(replica.hard_state.vote ? replica.hard_state.vote->node.value() + 1 : 0);
  for (const LogId& id : replica.disk) add(id.term.value());
  for (const raft::PersistOp& op : replica.flights) text += raft::describe(op);
  add(replica.checked.value());
  return hash_of(text);
}

}  // namespace

std::shared_ptr<ReplicaState> ReplicaState::copy() const {
  auto other = std::make_shared<ReplicaState>(core.clone());
  other->hard_state = hard_state;
  other->disk = disk;
  other->accepted = accepted;
  other->flights = flights;
  other->checked = checked;
  return other;
}

ClusterState::ClusterState(const Scope& scope) : scope_(scope), left_(scope) {
  for (std::size_t i = 0; i < scope.replicas; ++i) {
    auto replica = std::make_shared<ReplicaState>(boot(replica_id(i), scope, {}, {}));
    replica->hash = hash_replica(*replica);
    replicas_.push_back(std::move(replica));
  }
}

std::vector<Event> ClusterState::events() const {
  std::vector<Event> events;
  for (std::size_t i = 0; i < network_.size(); ++i) {
    // Links keep the order, as TCP does.
    if (i > 0 && network_[i].link == network_[i - 1].link) continue;
    events.push_back({.kind = Event::Kind::kDeliver, .which = i});
    if (left_.duplicates > 0) events.push_back({.kind = Event::Kind::kDuplicate, .which = i});
    if (left_.drops > 0) events.push_back({.kind = Event::Kind::kDrop, .which = i});
  }
  for (std::size_t i = 0; i < replicas_.size(); ++i) add_events_of(i, events);
  return events;
}

void ClusterState::add_events_of(std::size_t i, std::vector<Event>& events) const {
  const ReplicaState& replica = *replicas_[i];
  if (!replica.flights.empty()) events.push_back({.kind = Event::Kind::kFlush, .which = i});
  const bool leads = replica.core.role() == raft::Role::kLeader;
  if (leads && left_.appends > 0) events.push_back({.kind = Event::Kind::kAppend, .which = i});
  // All are alike until the first one campaigns: calling that one the first loses nothing.
  const bool alike = left_.elections == scope_.elections && i > 0;
  if (!leads && left_.elections > 0 && !alike) {
    events.push_back({.kind = Event::Kind::kCampaign, .which = i});
  }
  if (left_.crashes == 0) return;
  for (std::size_t n = 0; n <= replica.flights.size(); ++n) {
    events.push_back({.kind = Event::Kind::kCrash, .which = i, .survive = n});
  }
}

ClusterState ClusterState::after(const Event& event) const {
  ClusterState next(*this);
  switch (event.kind) {
    case Event::Kind::kDuplicate:
    case Event::Kind::kDeliver: {
      const auto message = network_[event.which].message;
      if (event.kind == Event::Kind::kDuplicate) {
        --next.left_.duplicates;
      } else {
        next.network_.erase(next.network_.begin() + static_cast<std::ptrdiff_t>(event.which));
      }
      const std::size_t to = message->to.node.value();
      next.change(to).core.step(*message);
      next.settle(to);
      break;
    }
    case Event::Kind::kDrop:
      --next.left_.drops;
      next.network_.erase(next.network_.begin() + static_cast<std::ptrdiff_t>(event.which));
      break;
    case Event::Kind::kFlush:
      next.flush(event.which);
      break;
    case Event::Kind::kCampaign:
      --next.left_.elections;
      next.change(event.which).core.campaign(raft::Campaign::kElection);
      next.settle(event.which);
      break;
    case Event::Kind::kAppend: {
      --next.left_.appends;
      Entry entry;
      entry.header.kind = EntryKind::kBatch;
      CHECK(next.change(event.which).core.propose(std::move(entry)).has_value());
      next.settle(event.which);
      break;
    }
    case Event::Kind::kCrash:
      --next.left_.crashes;
      next.crash(event.which, event.survive);
      break;
  }
  return next;
}

ReplicaState& ClusterState::change(std::size_t which) {
  auto copy = replicas_[which]->copy();
  ReplicaState& replica = *copy;
  replicas_[which] = std::move(copy);
  return replica;
}

// After an input: takes every output, checks, and remembers what the replica is now.
void ClusterState::settle(std::size_t which) {
  auto& replica = const_cast<ReplicaState&>(*replicas_[which]);  // change() made it for this state
  while (replica.core.has_output()) take(replica, replica.core.take_output());
  replica.hash = hash_replica(replica);
}

void ClusterState::take(ReplicaState& replica, raft::Output output) {
  check_reign(replica);
  if (output.persist) {
    const raft::PersistOp& op = *output.persist;
    if (op.truncate_after) replica.accepted.resize(op.truncate_after->value());
    for (const Entry& entry : op.append) replica.accepted.push_back(entry);
    replica.flights.push_back(std::move(*output.persist));
  }
  for (const raft::Fetch& fetch : output.fetch) supply(replica, fetch);
  for (raft::Message& message : output.send_now) send(replica, std::move(message));
  if (output.divergence) broken("a replica is told to cut what is committed");
  check_commit(replica);
}

void ClusterState::supply(ReplicaState& replica, const raft::Fetch& fetch) {
  const auto at = [&](Index index) {
    return replica.accepted.begin() + static_cast<std::ptrdiff_t>(index.value());
  };
  replica.core.supply(fetch,
                      std::vector<Entry>(at(Index(fetch.first.value() - 1)), at(fetch.last)));
}

void ClusterState::send(const ReplicaState& from, raft::Message message) {
  check_promise(from, message);
  const std::uint32_t link = message.from.node.value() * 64 + message.to.node.value();
  Sent sent{.hash = hash_of(raft::describe(message)),
            .link = link,
            .message = std::make_shared<const raft::Message>(std::move(message))};
  network_.insert(std::ranges::upper_bound(network_, link, {}, &Sent::link), std::move(sent));
}

void ClusterState::flush(std::size_t which) {
  ReplicaState& replica = change(which);
  const raft::PersistOp op = std::move(replica.flights.front());
  replica.flights.pop_front();
  apply(op, replica.hard_state, replica.disk);
  for (const raft::Message& message : op.send_after_persist) send(replica, message);
  replica.core.on_persisted(op.token);
  settle(which);
}

void ClusterState::crash(std::size_t which, std::size_t survive) {
  ReplicaState& replica = change(which);
  for (std::size_t i = 0; i < survive; ++i) {
    apply(replica.flights[i], replica.hard_state, replica.disk);
  }
  replica.flights.clear();
  const LogId last = replica.disk.empty() ? LogId{} : replica.disk.back();
  if (replica.hard_state.term < last.term) {
    replica.hard_state = {.term = last.term, .vote = std::nullopt};
  }
  replica.accepted.clear();
  for (const LogId& id : replica.disk) {
    Entry entry;
    entry.header.term = id.term;
    entry.header.index = id.index;
    entry.header.kind = EntryKind::kBatch;
    replica.accepted.push_back(std::move(entry));
  }
  replica.checked = Index(0);
  replica.core = boot(replica_id(which), scope_, replica.hard_state, replica.disk);
  settle(which);
}

void ClusterState::check_promise(const ReplicaState& from, const raft::Message& message) {
  if (const auto* vote = std::get_if<raft::RequestVoteReply>(&message.body)) {
    const bool kept =
        from.hard_state.term > vote->candidacy ||
        (from.hard_state.term == vote->candidacy && from.hard_state.vote == message.to);
    if (vote->granted && !kept) broken("a vote left before it was durable");
  } else if (const auto* reply = std::get_if<raft::AppendReply>(&message.body)) {
    if (!reply->conflict && reply->match.value() > from.disk.size()) {
      broken("an acknowledgement left before the flush");
    }
  }
  if (from.hard_state.term < raft::term_of(message)) broken("a term left before it was durable");
}

void ClusterState::check_reign(const ReplicaState& replica) {
  if (replica.core.role() != raft::Role::kLeader) return;
  const Term term = replica.core.term();
  const ReplicaId self = replica.core.self();
  for (const Reign& reign : reigns_) {
    if (reign.term != term) continue;
    if (reign.leader != self) broken("two leaders of one term");
    return;
  }
  reigns_.push_back({.term = term, .leader = self});
  std::ranges::sort(reigns_, {}, &Reign::term);
  for (const LogId& id : committed_) {
    if (replica.core.term_at(id.index) != id.term) broken("a leader lacks a committed entry");
  }
}

bool ClusterState::holds(const ReplicaState& replica, const LogId& id) const {
  return replica.disk.size() >= id.index.value() && replica.disk[id.index.value() - 1] == id;
}

void ClusterState::check_commit(ReplicaState& replica) {
  for (Index index = replica.checked.next(); index <= replica.core.commit(); index = index.next()) {
    const LogId id{.term = replica.core.term_at(index).value_or(Term()), .index = index};
    if (index.value() <= committed_.size()) {
      if (committed_[index.value() - 1] != id) broken("two entries were committed at one index");
      continue;
    }
    committed_.push_back(id);
    const auto held =
        std::ranges::count_if(replicas_, [&](const auto& other) { return holds(*other, id); });
    if (static_cast<std::size_t>(held) < raft::majority_of(replicas_.size())) {
      broken("an entry was committed that is not on the disks of a majority");
    }
  }
  replica.checked = replica.core.commit();
}

void ClusterState::broken(std::string rule) {
  if (violation_.empty()) violation_ = std::move(rule);
}

bool ClusterState::fulfilled() const {
  // No-ops beside the appends.
  return left_.appends == 0 && committed_.size() > scope_.appends;
}

StateHash ClusterState::hash() const {
  std::string bytes;
  const auto add = [&bytes](std::uint64_t number) {
    bytes.append(reinterpret_cast<const char*>(&number), sizeof number);
  };
  for (const auto& replica : replicas_) {
    add(replica->hash.low);
    add(replica->hash.high);
  }
  add(network_.size());
  for (const Sent& sent : network_) {
    add(sent.hash.low);
    add(sent.hash.high);
  }
  for (const std::uint32_t budget :
       {left_.elections, left_.appends, left_.crashes, left_.drops, left_.duplicates}) {
    add(budget);
  }
  for (const LogId& id : committed_) add(id.term.value());
  add(0);
  for (const Reign& reign : reigns_) add(reign.term.value() * 64 + reign.leader.node.value());
  return hash_of(bytes);
}

std::string ClusterState::describe(const Event& event) const {
  const auto on = [&](std::string_view what) {
    return std::string(what) + " on replica " + std::to_string(event.which);
  };
  switch (event.kind) {
    case Event::Kind::kDeliver:
      return "arrives: " + raft::describe(*network_[event.which].message);
    case Event::Kind::kDuplicate:
      return "arrives, and once more later: " + raft::describe(*network_[event.which].message);
    case Event::Kind::kDrop:
      return "is lost: " + raft::describe(*network_[event.which].message);
    case Event::Kind::kFlush:
      return on("a flush completes");
    case Event::Kind::kCampaign:
      return on("a campaign begins");
    case Event::Kind::kAppend:
      return on("an append");
    case Event::Kind::kCrash:
      return on("a crash") +
             "; of its flushes under way reached the disk: " + std::to_string(event.survive);
  }
  return {};
}

}  // namespace lignum::jepsen
