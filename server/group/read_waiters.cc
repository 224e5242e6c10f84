#include "server/group/read_waiters.h"

#include <algorithm>
#include <cstdint>
#include <expected>
#include <limits>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "raft/check.h"
#include "raft/error.h"
#include "raft/mutant.h"
#include "raft/output.h"
#include "raft/types.h"

namespace lignum::server {

void ReadWaiters::add(std::uint64_t id, std::int64_t deadline_monotonic_us, Callback callback) {
  CHECK(!full());
  earliest_ = std::min(earliest_, deadline_monotonic_us);
  const bool fresh =
      asked_.emplace(id, Waiter{.deadline = deadline_monotonic_us, .callback = std::move(callback)})
          .second;
  CHECK(fresh);
}

void ReadWaiters::answer(const raft::ReadReady& read, Index applied) {
  const auto found = asked_.find(read.id);
  // It may have expired.
  if (found == asked_.end()) return;
  Waiter waiter = std::move(found->second);
  asked_.erase(found);
  if (!read.index) {
    waiter.callback(fail(Errc::kNotLeader, "leadership of the group changed"));
  } else if (*read.index <= applied || mutant(Mutant::kReadBeforeApplied)) {
    waiter.callback({});
  } else {
    ready_.emplace(*read.index, std::move(waiter));
  }
}

void ReadWaiters::applied(Index index) {
  // Taken out first: a callback may add a waiter.
  while (!ready_.empty() && ready_.begin()->first <= index) {
    Waiter waiter = std::move(ready_.begin()->second);
    ready_.erase(ready_.begin());
    waiter.callback({});
  }
}

void ReadWaiters::expire(std::int64_t monotonic_us) {
  if (monotonic_us < earliest_) return;
  earliest_ = std::numeric_limits<std::int64_t>::max();
  std::vector<Waiter> late;
  const auto take_late = [&](auto& waiters) {
    for (auto at = waiters.begin(); at != waiters.end();) {
      if (at->second.deadline > monotonic_us) {
        earliest_ = std::min(earliest_, at->second.deadline);
        ++at;
      } else {
        late.push_back(std::move(at->second));
        at = waiters.erase(at);
      }
    }
  };
  take_late(asked_);
  take_late(ready_);
  for (Waiter& waiter : late) {
    waiter.callback(fail(Errc::kTimeout, "no majority confirmed the leader in time"));
  }
}

void ReadWaiters::fail_all(const Error& error) {
  auto asked = std::exchange(asked_, {});
  auto ready = std::exchange(ready_, {});
  for (auto& [id, waiter] : asked) waiter.callback(std::unexpected(error));
  for (auto& [index, waiter] : ready) waiter.callback(std::unexpected(error));
}

std::optional<std::int64_t> ReadWaiters::earliest_deadline() const {
  if (asked_.empty() && ready_.empty()) return std::nullopt;
  return earliest_;
}

}  // namespace lignum::server
