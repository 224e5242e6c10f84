#pragma once

// Going on after a majority of voters was lost for ever: what the survivors say, and what follows.
//
// One survivor, the seed, has the log that ends highest by (term, index), as an election would
// choose it. It appends a configuration that has the survivors as voters and the next recovery
// number, in a term far above all that they know; when that entry is durable the group is another
// one: whoever hears of its number (HardState::recovery) ignores everything from before it, and
// whoever is not in it takes no part any more. The other survivors only write that number down, so
// that they cannot help the lost ones to a majority of the past; the seed, elected by them, brings
// their logs up to its own.
//
// Nothing here can tell whether the lost replicas are really gone: that is the operator's word.
// Pure values: the same facts give the same plan on every node. server/group/recover_group.h does
// what the plan says on a data directory that nobody serves.

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "raft/entry.h"
#include "raft/error.h"
#include "raft/hard_state.h"
#include "raft/membership.h"
#include "raft/types.h"

namespace lignum::raft {

// Terms that the lost replicas may have reached unseen are passed over, so that no entry of theirs
// has the identity of a later one: with pre-vote a term takes a majority, so that these are many.
inline constexpr std::uint64_t kRecoveryTermStep = 1'000'000;

// What a replica that is left finds on its disk.
struct Survivor {
  ReplicaId self;
  GroupIncarnation group;
  // `recovery` not below that of `membership`.
  HardState hard_state;
  // The end of its log, all of it durable.
  LogId last;
  // Known to be committed, not above last.
  Index commit;
  // The newest configuration in its log.
  Membership membership;
  friend bool operator==(const Survivor&, const Survivor&) = default;
};

struct RecoveryPlan {
  ReplicaId seed;
  // Of the entry that the seed appends, right behind its log.
  LogId entry;
  // What is in it: the survivors as voters, and the recovery number.
  Membership membership;
  // Voters of the seed's configuration that are no survivors.
  std::vector<ReplicaId> lost;
  // Up to here a survivor knows that it is committed. What the seed holds above it stays, though
  // nothing proves that a majority ever held it.
  Index proven;
  // Entries that a majority held may have been on lost replicas alone: acknowledged records may
  // be gone. False where every majority has a survivor in it.
  bool may_lose_acknowledged = false;
};

// kInvalidArgument, saying why: no survivors, the same one twice, one of another group, one that is
// no member of the seed's configuration or that an earlier recovery left behind, or a majority that
// can still elect a leader, which needs no recovery.
[[nodiscard]] Result<RecoveryPlan> plan_recovery(std::span<const Survivor> survivors);

// Of one survivor's log: entries above `proven` that it may lose to the seed's.
[[nodiscard]] std::uint64_t entries_at_risk(const RecoveryPlan& plan, const Survivor& survivor);

// What the seed appends. The host fills in what the core leaves to it as well (output.h).
[[nodiscard]] Entry recovery_entry(const RecoveryPlan& plan, GroupIncarnation group);
// What `survivor` writes down in place of its hard state.
[[nodiscard]] HardState recovered_hard_state(const RecoveryPlan& plan, const Survivor& survivor);

// How far the plan is carried out on the replica of which `told` was said and that is now `now`.
enum class RecoveryStep : std::uint8_t {
  kTodo,     // nothing changed since
  kDone,     // its part is done
  kChanged,  // something else happened since: the plan is not about this log any more
};
[[nodiscard]] RecoveryStep recovery_step(const RecoveryPlan& plan, const Survivor& told,
                                         const Survivor& now);

}  // namespace lignum::raft
