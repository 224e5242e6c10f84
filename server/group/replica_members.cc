// Who belongs to a replica's group, and who leads it, at somebody's wish. Part of Replica; see
// replica.h.

#include <cstddef>
#include <expected>
#include <span>

#include "raft/core.h"
#include "raft/error.h"
#include "raft/membership.h"
#include "raft/types.h"
#include "server/group/replica.h"
#include "server/group/upkeep.h"
#include "storage/log.h"

namespace lignum::server {

namespace {

// More than any encoded membership takes.
constexpr std::size_t kMembershipBytes = std::size_t{8} << 10;

}  // namespace

Result<LogId> Replica::change_membership(std::span<const raft::MemberChange> changes) {
  if (!admitting()) return std::unexpected(refusal());
  if (room(kMembershipBytes, EntryUse::kGivesSpaceBack) != storage::Room::kReady) {
    return fail(Errc::kUnavailable, "the log has no room for a change of members; retry");
  }
  auto id = core_.change_membership(changes);
  if (id) {
    unstaged_bytes_ += kMembershipBytes;
    schedule_pump();
  }
  return id;
}

Result<void> Replica::transfer_leadership(ReplicaId to) {
  if (!admitting()) return std::unexpected(refusal());
  TRY(core_.transfer_leadership(to));
  schedule_pump();
  return {};
}

}  // namespace lignum::server
