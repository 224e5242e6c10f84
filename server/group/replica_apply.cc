// How a replica applies what is committed and durable here, from memory or read back from the log.
// Part of Replica; see replica.h.

#include <algorithm>

#include <fmt/format.h>
#include "raft/buggify.h"
#include "raft/check.h"
#include "raft/entry.h"
#include "raft/error.h"
#include "raft/mutant.h"
#include "raft/types.h"
#include "server/group/recent_entries.h"
#include "server/group/replica.h"
#include "server/group/upkeep.h"
#include "storage/frame_codec.h"
#include "storage/log.h"

namespace lignum::server {

void Replica::apply_committed() {
  // What follows a snapshot is applied to its state.
  if (installing_ != nullptr) return;
  const Index target = mutant(Mutant::kAppliedBeforeFlush)
                           ? core_.commit()
                           : std::min(core_.commit(), core_.durable());
  while (applied_.id.index < target && damage_.empty()) {
    const Index next = applied_.id.index.next();
    const RecentEntries::Item* const found = recent_.find(next);
    if (found == nullptr) {
      const Index until =
          recent_.empty() ? target : std::min(target, Index(recent_.first().value() - 1));
      if (!replay(until)) return;
      continue;
    }
    const RecentEntries::Item item = *found;
    if (!apply_one(item.entry, item.chain)) return;
  }
  const bool none = alone() || buggify(Buggify::kServerRecentForgotten);
  recent_.release(applied_.id.index, none ? 0 : kRecentBytes);
  const auto own_no_op = core_.leadership_start();
  const bool opened =
      own_no_op && (applied_.id.index >= *own_no_op || mutant(Mutant::kAdmissionBeforeNoOp));
  if (!admitting_ && opened && damage_.empty()) {
    admitting_ = true;
    owner_.on_admitting();
  }
  upkeep_.checkpoint_if_due();
}

bool Replica::apply_one(const Entry& entry, const Hash128& chain) {
  const Result<void> outcome = machine_.apply(entry);
  if (!outcome) {
    halt(fmt::format("entry {} contradicts the state: {}", entry.header.index.value(),
                     outcome.error().message()));
    return false;
  }
  applied_ = {.id = entry.header.id(), .append_time = entry.header.append_time, .chain = chain};
  upkeep_.applied(entry.payload.size() + kLogEntryWeight);
  owner_.on_applied(entry);
  waiters_.applied(applied_.id);
  reads_.applied(applied_.id.index);
  return true;
}

bool Replica::replay(Index to) {
  while (applied_.id.index < to) {
    auto plan = log_->read(applied_.id.index.next(), to, kReplayBytes);
    auto entries = plan->run();
    if (!entries) {
      halt_unreadable(entries.error());
      return false;
    }
    CHECK(!entries->empty());
    for (const Entry& entry : *entries) {
      CHECK(entry.header.index == applied_.id.index.next());
      if (!apply_one(entry, storage::chain_after(entry.header))) return false;
    }
  }
  return true;
}

}  // namespace lignum::server
