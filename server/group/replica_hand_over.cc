// How a replica that leads stops: it gives the group away first, so that nobody has to find out by
// an election timeout that the leader is gone. Part of Replica; see replica.h.

#include <algorithm>
#include <optional>
#include <tuple>
#include <vector>

#include "raft/core.h"
#include "raft/output.h"
#include "raft/types.h"
#include "server/group/ports.h"
#include "server/group/replica.h"

namespace lignum::server {

void Replica::begin_hand_over() {
  if (core_.role() != raft::Role::kLeader || alone() || !damage_.empty()) return;
  hand_over_until_ = ports_.now().monotonic_us + kHandOverUs;
  wake_by(*hand_over_until_);
}

std::optional<ReplicaId> Replica::successor() const {
  std::vector<raft::PeerStatus> voters = core_.peers();
  std::erase_if(voters, [this](const raft::PeerStatus& peer) {
    return !core_.membership().is_voter(peer.replica);
  });
  if (voters.empty()) return std::nullopt;
  // Who answers, and has most of the log, first; the next one where that comes to nothing.
  std::ranges::sort(voters, [](const raft::PeerStatus& left, const raft::PeerStatus& right) {
    return std::tuple(left.recently_active, left.match, right.replica) >
           std::tuple(right.recently_active, right.match, left.replica);
  });
  return voters.at(hand_overs_tried_ % voters.size()).replica;
}

// The group is given away when another leader is known, and what was asked for here is decided.
void Replica::continue_hand_over() {
  if (!hand_over_until_) return;
  const bool given = other_leader().has_value() && waiters_.empty();
  if (given || !damage_.empty() || ports_.now().monotonic_us >= *hand_over_until_) {
    hand_over_until_.reset();
    return go_quiet();
  }
  if (core_.role() != raft::Role::kLeader || core_.transferring()) return;
  const auto to = successor();
  ++hand_overs_tried_;
  if (to && core_.transfer_leadership(*to)) schedule_pump();
}

}  // namespace lignum::server
