#include "tests/support/world_check.h"

#include <algorithm>
#include <cstddef>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "raft/core.h"
#include "raft/entry.h"
#include "raft/hard_state.h"
#include "raft/membership.h"
#include "raft/messages.h"
#include "raft/output.h"
#include "raft/types.h"
#include "tests/support/raft_host.h"
#include "tests/support/raft_text.h"

namespace lignum::world {

namespace {

bool same(const Entry& a, const Entry& b) {
  return a.header.id() == b.header.id() && a.header.kind == b.header.kind &&
         std::ranges::equal(a.payload.bytes(), b.payload.bytes());
}

// True where a majority of `voters` holds `id` on its disk.
bool majority_holds(const std::vector<ReplicaId>& voters, const WorldCheck::Disks& disks,
                    LogId id) {
  const auto holders = std::ranges::count_if(voters, [&](const ReplicaId& voter) {
    const auto disk = disks.find(voter);
    return disk != disks.end() && disk->second->last().index >= id.index &&
           disk->second->covers(id);
  });
  return voters.empty() || static_cast<std::size_t>(holders) > voters.size() / 2;
}

}  // namespace

void WorldCheck::fail(const RaftHost& host, const std::string& what) {
  violations_.push_back(describe(host.self()) + ": " + what);
}

void WorldCheck::on_leaving(const RaftHost& host, const raft::Message& message) {
  const raft::HardState& durable = host.disk().hard_state();
  const auto* reply = std::get_if<raft::RequestVoteReply>(&message.body);
  if (reply != nullptr && reply->granted && reply->kind != raft::Campaign::kPreVote &&
      (durable.term < reply->candidacy ||
       (durable.term == reply->candidacy && durable.vote != message.to))) {
    fail(host, "a vote leaves before it is durable");
  }
  const auto* request = std::get_if<raft::RequestVote>(&message.body);
  if (request != nullptr && request->kind != raft::Campaign::kPreVote &&
      (durable.term < request->term ||
       (durable.term == request->term && durable.vote != host.self()))) {
    fail(host, "a candidacy leaves before the vote for itself is durable");
  }
  const auto* ack = std::get_if<raft::AppendReply>(&message.body);
  if (ack != nullptr && !ack->conflict && host.disk().last().index < ack->match) {
    fail(host, "an ack leaves before its entries are durable");
  }
}

void WorldCheck::on_input(const RaftHost& host, const CoreBefore& before, const Disks& disks) {
  const raft::Core& core = host.core();
  if (core.term() < before.term) {
    fail(host, "the term shrank");
  }
  if (core.commit() < before.commit) {
    fail(host, "the commit index shrank");
  }
  if (before.role != raft::Role::kLeader || core.commit() == before.commit) {
    return;
  }
  const auto term = core.term_at(core.commit());
  if (!term) {
    fail(host, "the leader committed what its log does not hold");
    return;
  }
  const LogId id{.term = *term, .index = core.commit()};
  const raft::Membership& membership = core.membership();
  if (!majority_holds(membership.voters, disks, id) ||
      !majority_holds(membership.outgoing, disks, id)) {
    fail(host, "committed " + describe(id) + ", which no majority's disks hold");
  }
  if (id.term != before.term) {
    fail(host, "committed " + describe(id) + " of another term by counting (figure 3.7)");
  }
}

void WorldCheck::on_host(const RaftHost& host) {
  const raft::Core& core = host.core();
  if (core.role() == raft::Role::kLeader) {
    const auto [leader, fresh] = leaders_.emplace(core.term(), core.self());
    if (!fresh && leader->second != core.self()) {
      fail(host, "leads term " + std::to_string(core.term().value()) + " as " +
                     describe(leader->second) + " does or did");
    }
  }
  for (const Entry& entry : host.log().entries()) {
    if (entry.header.index > core.commit()) {
      break;
    }
    // Where output is taken late, the host does not know yet of what was cut.
    if (core.term_at(entry.header.index) != entry.header.term) {
      continue;
    }
    const auto [committed, fresh] = committed_.emplace(entry.header.index, entry);
    if (!fresh && !same(committed->second, entry)) {
      fail(host, "holds " + describe(entry) + " as committed where " + describe(committed->second) +
                     " is");
    }
  }
}

}  // namespace lignum::world
