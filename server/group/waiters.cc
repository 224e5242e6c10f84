#include "server/group/waiters.h"

#include <algorithm>
#include <cstdint>
#include <deque>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include "raft/check.h"
#include "raft/mutant.h"
#include "raft/types.h"

namespace lignum::server {

void Waiters::add(LogId id, std::int64_t deadline_monotonic_us, Callback callback) {
  CHECK(!full());
  earliest_ = waiters_.empty() ? deadline_monotonic_us : std::min(earliest_, deadline_monotonic_us);
  Waiter waiter{.id = id, .deadline = deadline_monotonic_us, .callback = std::move(callback)};
  if (waiters_.empty() || waiters_.back().id.index <= id.index) {
    waiters_.push_back(std::move(waiter));
    return;
  }
  const auto place =
      std::ranges::upper_bound(waiters_, id.index, {}, [](const Waiter& w) { return w.id.index; });
  waiters_.insert(place, std::move(waiter));
}

void Waiters::applied(LogId id) {
  while (!waiters_.empty() && waiters_.front().id.index <= id.index) {
    // Taken out first: the callback may add a waiter.
    Waiter waiter = std::move(waiters_.front());
    waiters_.pop_front();
    const bool same = waiter.id == id || mutant(Mutant::kWaiterByIndexOnly);
    waiter.callback(same ? Fate::kApplied : Fate::kLost);
  }
}

void Waiters::passed(Index index) {
  while (!waiters_.empty() && waiters_.front().id.index <= index) {
    Waiter waiter = std::move(waiters_.front());
    waiters_.pop_front();
    waiter.callback(Fate::kUnknown);
  }
}

void Waiters::fail_all() {
  std::deque<Waiter> all = std::exchange(waiters_, {});
  for (Waiter& waiter : all) waiter.callback(Fate::kUnknown);
}

void Waiters::expire(std::int64_t monotonic_us) {
  if (waiters_.empty() || monotonic_us < earliest_) return;
  std::deque<Waiter> all = std::exchange(waiters_, {});
  std::vector<Waiter> late;
  earliest_ = std::numeric_limits<std::int64_t>::max();
  for (Waiter& waiter : all) {
    if (waiter.deadline <= monotonic_us) {
      late.push_back(std::move(waiter));
    } else {
      earliest_ = std::min(earliest_, waiter.deadline);
      waiters_.push_back(std::move(waiter));
    }
  }
  for (Waiter& waiter : late) waiter.callback(Fate::kUnknown);
}

std::optional<std::int64_t> Waiters::earliest_deadline() const {
  if (waiters_.empty()) return std::nullopt;
  return earliest_;
}

}  // namespace lignum::server
