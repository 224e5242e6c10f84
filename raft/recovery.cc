#include "raft/recovery.h"

#include <algorithm>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "raft/entry.h"
#include "raft/error.h"
#include "raft/hard_state.h"
#include "raft/membership.h"
#include "raft/quorum.h"
#include "raft/types.h"

namespace lignum::raft {

namespace {

std::string name_of(const ReplicaId& replica) {
  return "the replica of node " + std::to_string(replica.node.value());
}

std::unexpected<Error> refuse(const ReplicaId& replica, const std::string& why) {
  return fail(Errc::kInvalidArgument, name_of(replica) + " " + why);
}

const Survivor* find(std::span<const Survivor> survivors, const ReplicaId& replica) {
  const auto found = std::ranges::find(survivors, replica, &Survivor::self);
  return found == survivors.end() ? nullptr : &*found;
}

// A recovered log ends in a later term than any of its past.
const Survivor& choose_seed(std::span<const Survivor> survivors) {
  return *std::ranges::max_element(survivors, [](const Survivor& left, const Survivor& right) {
    if (left.last != right.last) return left.last < right.last;
    // The lowest of equals.
    return left.self > right.self;
  });
}

Result<void> check_survivors(std::span<const Survivor> survivors) {
  if (survivors.empty()) return fail(Errc::kInvalidArgument, "no survivor is named");
  std::uint64_t newest = 0;
  for (const Survivor& each : survivors) newest = std::max(newest, each.membership.recovery);
  for (const Survivor& each : survivors) {
    const auto same = [&](const Survivor& other) { return other.self.node == each.self.node; };
    if (std::ranges::count_if(survivors, same) > 1) return refuse(each.self, "is named twice");
    if (each.group != survivors.front().group) {
      return refuse(each.self, "belongs to a group of another cluster than " +
                                   name_of(survivors.front().self));
    }
    if (each.hard_state.recovery < newest) {
      return refuse(each.self, "was left behind by recovery " + std::to_string(newest) +
                                   " of its group: leave it out");
    }
    if (each.commit > each.last.index) {
      return refuse(each.self, "knows of more than its log holds");
    }
  }
  return {};
}

}  // namespace

Result<RecoveryPlan> plan_recovery(std::span<const Survivor> survivors) {
  TRY(check_survivors(survivors));
  const Survivor& seed = choose_seed(survivors);
  const Membership& before = seed.membership;
  // Whoever wrote down a recovery that no log has (it was broken off) helps to elect nobody.
  const VoteResult left = vote_result(before, [&](const ReplicaId& voter) {
    const Survivor* const survivor = find(survivors, voter);
    return std::optional<bool>(survivor != nullptr &&
                               survivor->hard_state.recovery == before.recovery);
  });
  if (left == VoteResult::kWon) {
    return fail(Errc::kInvalidArgument,
                "the survivors are a majority of the voters: nothing is lost, start them");
  }
  RecoveryPlan plan{.seed = seed.self};
  Term highest;
  std::uint64_t recovery = 0;
  for (const Survivor& each : survivors) {
    if (!before.contains(each.self)) {
      return refuse(each.self, "is no member of the group as " + name_of(seed.self) +
                                   " knows it, whose log ends highest: leave it out");
    }
    plan.membership.voters.push_back(each.self);
    plan.proven = std::max(plan.proven, each.commit);
    highest = std::max({highest, each.hard_state.term, each.last.term});
    recovery = std::max(recovery, each.hard_state.recovery);
  }
  std::ranges::sort(plan.membership.voters);
  plan.membership.recovery = recovery + 1;
  plan.entry = {.term = Term(highest.value() + kRecoveryTermStep), .index = seed.last.index.next()};
  for (const ReplicaId& member : before.members()) {
    if (before.is_voter(member) && find(survivors, member) == nullptr) plan.lost.push_back(member);
  }
  plan.may_lose_acknowledged = vote_result(before, [&](const ReplicaId& voter) {
                                 return std::optional<bool>(find(survivors, voter) == nullptr);
                               }) == VoteResult::kWon;
  return plan;
}

std::uint64_t entries_at_risk(const RecoveryPlan& plan, const Survivor& survivor) {
  if (survivor.self == plan.seed || survivor.last.index <= plan.proven) return 0;
  return survivor.last.index - plan.proven;
}

Entry recovery_entry(const RecoveryPlan& plan, GroupIncarnation group) {
  Entry entry;
  entry.header.kind = EntryKind::kMembership;
  entry.header.group = group;
  entry.header.index = plan.entry.index;
  entry.header.term = plan.entry.term;
  entry.payload = encode(plan.membership);
  return entry;
}

HardState recovered_hard_state(const RecoveryPlan& plan, const Survivor& survivor) {
  const std::uint64_t recovery = plan.membership.recovery;
  // As whoever led that term: nobody else can be given a vote in it.
  if (survivor.self == plan.seed) {
    return {.term = plan.entry.term, .vote = plan.seed, .recovery = recovery};
  }
  HardState state = survivor.hard_state;
  state.recovery = recovery;
  return state;
}

RecoveryStep recovery_step(const RecoveryPlan& plan, const Survivor& told, const Survivor& now) {
  if (now == told) return RecoveryStep::kTodo;
  if (now.self != told.self || now.group != told.group) return RecoveryStep::kChanged;
  // The log goes on behind the entry when the group does, also where a later one changed it.
  if (now.membership.recovery >= plan.membership.recovery) return RecoveryStep::kDone;
  const bool fenced = now.hard_state.recovery >= plan.membership.recovery;
  if (now.self != plan.seed) return fenced ? RecoveryStep::kDone : RecoveryStep::kChanged;
  return RecoveryStep::kChanged;
}

}  // namespace lignum::raft
