#include "jepsen/sim/safety_checks.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/format.h>
#include "jepsen/sim/replica_log.h"
#include "jepsen/sim/sim_disk.h"
#include "jepsen/sim/sim_node.h"
#include "jepsen/sim/trace.h"
#include "jepsen/sim/world.h"
#include "net/peer_message.h"
#include "raft/core.h"
#include "raft/describe.h"
#include "raft/membership.h"
#include "raft/messages.h"
#include "raft/output.h"
#include "raft/types.h"
#include "server/group/group_host.h"
#include "server/group/replica.h"

namespace lignum::jepsen {

namespace {

// One in so many of the moments at which something was applied, or acknowledged, opens disks; more
// of them in the beginning, for most of what can go wrong does so early.
constexpr std::uint64_t kProbeOneIn = 512;
constexpr std::uint64_t kEarlyProbeOneIn = 16;
constexpr std::uint64_t kEarlyProbes = 40;

constexpr CrashImage kNothingUnsynced{.data = Survival::kNone, .names = Survival::kNone};

// Counted here, not by raft/quorum.h: that is part of what is judged.
template <class Holds>
bool by_majority(const std::vector<ReplicaId>& voters, const Holds& holds) {
  return 2 * static_cast<std::size_t>(std::ranges::count_if(voters, holds)) > voters.size();
}

template <class Holds>
bool by_quorum(const raft::Membership& members, const Holds& holds) {
  return by_majority(members.voters, holds) &&
         (!members.joint() || by_majority(members.outgoing, holds));
}

std::string show(const ReplicaId& member) {
  return fmt::format("node {} (incarnation {})", member.node.value() - 1,
                     member.incarnation.value());
}

std::string show(LogId id) { return fmt::format("({}, {})", id.term.value(), id.index.value()); }

}  // namespace

SafetyChecks::SafetyChecks(World& world) : world_(world), random_(world.stream("checks")) {}

void SafetyChecks::watch(std::vector<SimNode*> nodes) {
  nodes_ = std::move(nodes);
  watched_.resize(nodes_.size());
}

const SafetyChecks::Watched& SafetyChecks::watched(SimNode& node) {
  Watched& watched = watched_.at(node.number());
  // Repair replaces a replica while its node lives on.
  const bool lasting = !damage_expected_ && !watched.replicas.empty();
  if (watched.life == node.lives() && lasting) return watched;
  watched.life = node.lives();
  watched.replicas.clear();
  server::GroupHost* const host = node.host();
  if (host == nullptr) return watched;
  for (const server::Replica* replica : host->replicas()) {
    watched.replicas.emplace_back(replica, &seen_[node.self()][replica->group()]);
  }
  return watched;
}

const server::Replica* SafetyChecks::find_replica(SimNode& node, GroupId group) {
  for (const auto& [replica, seen] : watched(node).replicas) {
    if (replica->group() == group) return replica;
  }
  return nullptr;
}

void SafetyChecks::breach(const SimNode& node, GroupId group, const std::string& what) {
  world_.violate(Verdict::kSafety,
                 fmt::format("node {}, group {}: {}", node.number(), group.value(), what));
}

void SafetyChecks::look_at(SimNode& node) {
  // Also while its catalogue is being repaired: its other groups vote and lead meanwhile.
  if (node.state() == SimNode::State::kDown) return;
  for (const auto& [replica, seen] : watched(node).replicas) {
    look_at_replica(node, *replica, *seen);
  }
}

void SafetyChecks::look_at_replica(SimNode& node, const server::Replica& replica, Seen& seen) {
  const GroupId group = replica.group();
  const raft::Core& core = replica.core();
  if (damage_expected_ && replica.log_damaged()) return;
  const Index applied = replica.applied().index;
  look_at_peers(node, replica, seen);
  // Most of what runs on a node moves none of this.
  if (same_life(node, replica, seen) && seen.term == core.term() && seen.commit == core.commit() &&
      seen.applied == applied && seen.last == core.last() && seen.role == core.role() &&
      seen.written == replica.log().last() && seen.durable == core.durable() && !core.damaged()) {
    return;
  }
  look_at_state(node, replica, seen);
  look_at_role(node, replica, seen);
  look_at_log(node, replica, seen);
  const bool same = same_life(node, replica, seen);
  const Index applied_before = same ? seen.applied : Index();
  if (applied > applied_before) {
    world_.note(TraceKind::kCommit, node.number(), group.value(), applied.value());
    take_committed(node, replica, applied_before.next(), applied);
    if (probe_is_due(counts_.disk_probes)) probe_commit(node, replica);
  }
  counts_.snapshots += replica.snapshots_sent() - (same ? seen.snapshots : 0);
  seen = {.life = node.lives(),
          .replica = &replica,
          .term = core.term(),
          .commit = core.commit(),
          .applied = applied,
          .last = core.last(),
          .role = core.role(),
          .snapshots = replica.snapshots_sent(),
          .written = replica.log().last(),
          .durable = core.durable(),
          .joint = core.membership().joint(),
          .peers = std::move(seen.peers),
          .promised = seen.promised,
          .promised_in = seen.promised_in};
}

// By the leader that it follows, as far as that one can be asked.
bool SafetyChecks::overruled(const server::Replica& replica, const Seen& seen) {
  const LogId promised = seen.promised;
  auto leader = replica.core().leader();
  if (!leader) {
    // Its process may have ended since: whoever led last, as far as it knows of terms.
    const auto& leaders = groups_[replica.group()].leaders;
    const auto later = leaders.upper_bound(replica.core().term());
    if (later == leaders.begin() || std::prev(later)->first <= seen.promised_in) return false;
    leader = std::prev(later)->second;
  }
  const server::Replica* const found =
      find_replica(*nodes_.at(leader->node.value() - 1), replica.group());
  if (found == nullptr || found->core().self() != *leader ||
      found->core().term() != replica.core().term() ||
      promised.index < found->core().base().index) {
    return true;
  }
  return found->core().term_at(promised.index) != promised.term;
}

void SafetyChecks::look_at_state(SimNode& node, const server::Replica& replica, Seen& seen) {
  const GroupId group = replica.group();
  const raft::Core& core = replica.core();
  const Index applied = replica.applied().index;
  if (core.damaged()) breach(node, group, "is damaged");
  if (applied > core.commit()) breach(node, group, "applied what is not committed");
  if (applied > core.durable()) breach(node, group, "applied what it has not flushed");
  if (same_life(node, replica, seen)) {
    if (core.term() < seen.term) breach(node, group, "its term went back");
    if (core.commit() < seen.commit) breach(node, group, "its commit index went back");
    if (applied < seen.applied) breach(node, group, "its applied index went back");
  }
  const auto kept = core.term_at(seen.promised.index);
  // By index: the entries of a later leader may be fewer.
  const bool replaced =
      core.last().index < seen.promised.index || (kept && *kept != seen.promised.term);
  if (replaced && core.term() > seen.promised_in && overruled(replica, seen)) {
    // A later leader replaces what was never committed: perhaps by entries of an earlier term, one
    // at a time; and a crash may come between the end of the old ones and the new ones.
    seen.promised = {.term = core.term_at(applied).value_or(Term()), .index = applied};
    seen.promised_in = core.term();
  } else if (core.last() < seen.promised) {
    breach(node, group,
           fmt::format("its log ends in {}, and it has acknowledged {}", show(core.last()),
                       show(seen.promised)));
  }
  const auto durable = replica.log().id_at(core.durable());
  if (core.durable() > core.base().index &&
      (!durable || durable->term != core.term_at(core.durable()))) {
    breach(
        node, group,
        fmt::format("calls entry {} durable, which its log does not hold", core.durable().value()));
  }
}

void SafetyChecks::look_at_role(SimNode& node, const server::Replica& replica, const Seen& seen) {
  const raft::Core& core = replica.core();
  if (core.role() != raft::Role::kLeader) {
    if (seen.role == core.role()) return;
    return world_.tell(
        TraceKind::kRole, node.number(), replica.group().value(), core.term().value(),
        [&] { return fmt::format("group {}: {}", replica.group().value(), raft::describe(core)); });
  }
  const bool led = seen.leads() && same_life(node, replica, seen) && seen.term == core.term();
  if (led) {
    look_at_old_leader(node, replica, seen);
    return;
  }
  world_.tell(TraceKind::kRole, node.number(), replica.group().value(), core.term().value(), [&] {
    return fmt::format("leads group {} in term {}: {}", replica.group().value(),
                       core.term().value(), raft::describe(core));
  });
  const auto [leader, first] =
      groups_[replica.group()].leaders.try_emplace(core.term(), core.self());
  counts_.leaders += first ? 1 : 0;
  if (!first && leader->second != core.self()) {
    breach(node, replica.group(),
           fmt::format("leads term {}, which {} led", core.term().value(), show(leader->second)));
  }
  look_at_new_leader(node, replica);
}

void SafetyChecks::look_at_old_leader(SimNode& node, const server::Replica& replica,
                                      const Seen& seen) {
  const raft::Core& core = replica.core();
  const GroupId group = replica.group();
  if (core.last() < seen.last) breach(node, group, "a leader's log became shorter");
  const raft::Membership& committed = core.membership_at(core.commit());
  if (seen.joint && !core.membership().joint() && !committed.joint() &&
      committed != core.membership()) {
    breach(node, group, "left a joint membership that is not committed");
  }
  if (core.commit() <= seen.commit) return;
  if (core.term_at(core.commit()) != core.term()) {
    breach(node, group, "a leader committed entries of an earlier term by their count");
  }
  const auto peers = core.peers();
  const auto held = [&](const raft::Membership& members, Index index) {
    return by_quorum(members, [&](const ReplicaId& voter) {
      if (voter == core.self()) return core.durable() >= index;
      const auto peer = std::ranges::find(peers, voter, &raft::PeerStatus::replica);
      return peer != peers.end() && peer->match >= index;
    });
  };
  if (held(committed, core.commit())) return;
  // What is left of joint members decides as soon as those have committed their own entry.
  Index joint = std::max(seen.commit, core.base().index);
  while (joint < core.commit() && !core.membership_at(joint).joint()) joint = joint.next();
  const bool decided = joint <= seen.commit || held(core.membership_at(joint), joint);
  if (!committed.joint() || !decided || !held(core.membership(), core.commit())) {
    breach(node, group,
           fmt::format("committed entry {} without a majority", core.commit().value()));
  }
}

void SafetyChecks::look_at_peers(SimNode& node, const server::Replica& replica, Seen& seen) {
  const raft::Core& core = replica.core();
  if (core.role() != raft::Role::kLeader) {
    seen.peers.clear();
    return;
  }
  std::vector<raft::PeerStatus> peers = core.peers();
  if (seen.leads() && same_life(node, replica, seen) && seen.term == core.term()) {
    for (const raft::PeerStatus& peer : peers) {
      const auto before = std::ranges::find(seen.peers, peer.replica, &raft::PeerStatus::replica);
      if (before == seen.peers.end() || before->match <= peer.match) continue;
      breach(node, replica.group(),
             fmt::format("forgot that node {} holds entry {}", peer.replica.node.value() - 1,
                         before->match.value()));
    }
  }
  seen.peers = std::move(peers);
}

void SafetyChecks::look_at_new_leader(SimNode& node, const server::Replica& replica) {
  const raft::Core& core = replica.core();
  const auto& committed = groups_[replica.group()].committed;
  const Index newest(committed.empty() ? 0 : committed.size() - 1);
  // One that was paused may win an old election late: what later leaders committed is not its own.
  const bool newest_leader = groups_[replica.group()].leaders.rbegin()->first == core.term();
  if (newest_leader && newest > core.base().index &&
      core.term_at(newest) != committed[newest.value()]) {
    breach(node, replica.group(),
           fmt::format("leads term {} without entry {}, which is committed", core.term().value(),
                       newest.value()));
  }
  if (losses_expected_) return;
  const auto voted = [&](const ReplicaId& voter) {
    const auto image = image_of(voter, counts_.vote_probes);
    if (!image) return false;
    const auto state = durable_hard_state(*image, replica.group());
    // Whoever has gone on to a later term may have voted.
    return state && (state->term > core.term() ||
                     (state->term == core.term() && state->vote == core.self()));
  };
  ++counts_.vote_probes;
  if (!by_quorum(core.membership(), voted)) {
    breach(node, replica.group(),
           fmt::format("leads term {} without the votes of a majority", core.term().value()));
  }
}

bool SafetyChecks::probe_is_due(std::uint64_t probes) {
  if (damage_expected_) return false;
  return random_.chance(1, probes < kEarlyProbes ? kEarlyProbeOneIn : kProbeOneIn);
}

void SafetyChecks::look_at_log(SimNode& node, const server::Replica& replica, const Seen& seen) {
  const LogId last = replica.log().last();
  if (last == seen.written || last.index == Index()) return;
  auto& chains = groups_[replica.group()].chains;
  const auto [known, first] = chains.try_emplace(last, replica.log().last_chain());
  if (!first && known->second != replica.log().last_chain()) {
    breach(node, replica.group(),
           fmt::format("its log up to {} is another than that of another replica", show(last)));
  }
  if (replica.core().last() != last) return;
  const auto [members, fresh] =
      groups_[replica.group()].members.try_emplace(last, replica.core().membership());
  if (!fresh && members->second != replica.core().membership()) {
    breach(node, replica.group(),
           fmt::format("with a log up to {} its members are others than those of another replica",
                       show(last)));
  }
}

void SafetyChecks::take_committed(SimNode& node, const server::Replica& replica, Index from,
                                  Index to) {
  std::vector<std::optional<Term>>& committed = groups_[replica.group()].committed;
  if (committed.size() <= to.value()) committed.resize(to.value() + 1);
  for (Index index = from; index <= to; index = index.next()) {
    // What lies before the log's first entry was looked at when it was applied.
    const std::optional<Term> term = replica.core().term_at(index);
    if (!term) continue;
    std::optional<Term>& known = committed[index.value()];
    if (!known) {
      ++counts_.committed_entries;
      known = term;
    } else if (*known != *term) {
      breach(node, replica.group(),
             fmt::format("applied {}, where another replica applied an entry of term {}",
                         show({.term = *term, .index = index}), known->value()));
    }
  }
}

std::unique_ptr<SimDisk> SafetyChecks::image_of(const ReplicaId& member, std::uint64_t seed) const {
  const SimDisk* const disk = nodes_.at(member.node.value() - 1)->disk_of(member);
  return disk == nullptr ? nullptr : disk->crash(seed, kNothingUnsynced);
}

void SafetyChecks::probe_commit(SimNode& node, const server::Replica& replica) {
  const GroupId group = replica.group();
  const LogId applied = replica.applied();
  ++counts_.disk_probes;
  std::map<ReplicaId, bool> asked;
  const auto holds = [&](const ReplicaId& member) {
    const auto [known, first] = asked.try_emplace(member, false);
    if (first) {
      const auto image = image_of(member, counts_.disk_probes);
      known->second = image && durably_holds(*image, node.plan().segments, group, applied);
    }
    return known->second;
  };
  if (!holds(node.self())) {
    breach(node, group, fmt::format("applied {}, which its disk does not hold", show(applied)));
  }
  // It was committed under the members of then, or under later ones.
  if (!by_quorum(replica.core().membership_at(applied.index), holds) &&
      !by_quorum(replica.core().membership(), holds) && !left_joint(group, applied, holds)) {
    const auto held = std::ranges::count_if(asked, &std::pair<const ReplicaId, bool>::second);
    breach(node, group,
           fmt::format("{} is committed, and on the disks of {} of {} members", show(applied), held,
                       asked.size()));
  }
}

bool SafetyChecks::left_joint(GroupId group, LogId applied,
                              const std::function<bool(const ReplicaId&)>& holds) {
  return std::ranges::any_of(nodes_, [&](SimNode* each) {
    const server::Replica* const replica = find_replica(*each, group);
    return replica != nullptr && replica->core().term_at(applied.index) == applied.term &&
           by_quorum(replica->core().membership(), holds);
  });
}

void SafetyChecks::on_send(SimNode& node, const net::PeerMessage& message) {
  const auto* const sent = std::get_if<raft::Message>(&message.body);
  if (sent == nullptr) return;
  if (sent->from != node.self()) {
    breach(node, message.group, "speaks for another member: " + show(sent->from));
  }
  if (const auto* request = std::get_if<raft::RequestVote>(&sent->body)) {
    if (request->kind != raft::Campaign::kPreVote) {
      check_vote(node, message.group, request->term, sent->from);
      groups_[message.group].candidacies[{sent->from, request->term}] = request->last;
    }
  } else if (const auto* reply = std::get_if<raft::RequestVoteReply>(&sent->body)) {
    if (reply->granted && reply->kind != raft::Campaign::kPreVote) {
      check_vote(node, message.group, reply->candidacy, sent->to);
      check_electable(node, message.group, reply->candidacy, sent->to);
    }
  } else if (const auto* ack = std::get_if<raft::AppendReply>(&sent->body)) {
    if (!ack->conflict) check_ack(node, message.group, *ack);
  }
}

void SafetyChecks::check_vote(SimNode& node, GroupId group, Term term, const ReplicaId& vote) {
  const auto [given, first] = groups_[group].votes.try_emplace(std::pair(node.self(), term), vote);
  if (!first && given->second != vote) {
    breach(node, group,
           fmt::format("voted for {} in term {}, in which it has voted for {}", show(vote),
                       term.value(), show(given->second)));
  }
  ++counts_.vote_probes;
  const auto image = node.disk().crash(counts_.vote_probes, kNothingUnsynced);
  const auto state = durable_hard_state(*image, group);
  if (!state && losses_expected_) return;
  if (!state) {
    breach(node, group, "voted, and its disk has lost its vote: " + state.error().describe());
  } else if (state->term < term || (state->term == term && state->vote != vote)) {
    breach(
        node, group,
        fmt::format("voted for {} in term {}, which is not on its disk", show(vote), term.value()));
  }
}

// Whoever gets a vote has everything that the voter has (thesis 3.6.1), flushed or not: of what is
// on its way to the disk the leader may hear yet.
void SafetyChecks::check_electable(SimNode& node, GroupId group, Term term,
                                   const ReplicaId& candidate) {
  const server::Replica* const found = find_replica(node, group);
  const auto& candidacies = groups_[group].candidacies;
  const auto asked = candidacies.find({candidate, term});
  if (found == nullptr || asked == candidacies.end()) return;
  // A vote leaves when it is flushed: the leader of that term, or of a later one, may have written
  // to it meanwhile, also entries of earlier terms.
  const LogId last = found->core().last();
  const bool led = last.term >= term || found->core().leader();
  if (found->core().term() != term || led || asked->second >= last) return;
  breach(node, group,
         fmt::format("voted for {}, whose log ends in {}, before its own, which ends in {}",
                     show(candidate), show(asked->second), show(last)));
}

void SafetyChecks::check_ack(SimNode& node, GroupId group, const raft::AppendReply& reply) {
  const server::Replica* const found = find_replica(node, group);
  if (found == nullptr) return;
  const server::Replica& replica = *found;
  // A later leader may have replaced meanwhile what an earlier one is told.
  if (replica.core().term() != reply.term) return;
  const auto term = replica.core().term_at(reply.match);
  if (!term) return;
  const LogId promised{.term = *term, .index = reply.match};
  Seen& seen = seen_[node.self()][group];
  if (promised > seen.promised) {
    seen.promised = promised;
    seen.promised_in = reply.term;
  }
  check_ack_of_leader(node, group, reply.term, promised);
  if (!probe_is_due(counts_.disk_probes)) return;
  ++counts_.disk_probes;
  const auto image = node.disk().crash(counts_.disk_probes, kNothingUnsynced);
  const auto there = durable_id_at(*image, node.plan().segments, group, reply.match);
  if (reply.match > Index() && (!there || *there != promised)) {
    breach(node, group,
           fmt::format("acknowledged {}, which its disk does not hold", show(promised)));
  }
  const auto state = durable_hard_state(*image, group);
  if (!state || state->term < promised.term) {
    breach(node, group,
           fmt::format("acknowledged {}, and its disk does not know of that term", show(promised)));
  }
}

void SafetyChecks::check_ack_of_leader(SimNode& node, GroupId group, Term term, LogId promised) {
  const auto known = groups_[group].leaders.find(term);
  if (known == groups_[group].leaders.end()) return;
  SimNode& led_by = *nodes_.at(known->second.node.value() - 1);
  const server::Replica* const found = find_replica(led_by, group);
  if (found == nullptr || led_by.self() != known->second) return;
  const raft::Core& leader = found->core();
  if (leader.role() != raft::Role::kLeader || leader.term() != term) return;
  if (promised.index < leader.base().index) return;
  if (leader.term_at(promised.index) != promised.term) {
    breach(node, group,
           fmt::format("acknowledged {}, which is not in the log of its leader", show(promised)));
  }
}

}  // namespace lignum::jepsen
