#include "server/group/waiters.h"

#include <algorithm>
#include <cstdint>
#include <deque>
#include <iterator>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include "raft/check.h"
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
    waiter.callback(waiter.id == id ? Fate::kApplied : Fate::kLost);
  }
}

void Waiters::fail_all() {
  std::deque<Waiter> all = std::exchange(waiters_, {});
  for (Waiter& waiter : all) waiter.callback(Fate::kUnknown);
}

void Waiters::expire(std::int64_t monotonic_us) {
  if (waiters_.empty() || monotonic_us < earliest_) return;
  const auto split = std::stable_partition(
      waiters_.begin(), waiters_.end(),
      [monotonic_us](const Waiter& waiter) { return waiter.deadline > monotonic_us; });
  std::vector<Waiter> late(std::make_move_iterator(split), std::make_move_iterator(waiters_.end()));
  waiters_.erase(split, waiters_.end());
  earliest_ = std::numeric_limits<std::int64_t>::max();
  for (const Waiter& waiter : waiters_) earliest_ = std::min(earliest_, waiter.deadline);
  for (Waiter& waiter : late) waiter.callback(Fate::kUnknown);
}

std::optional<std::int64_t> Waiters::earliest_deadline() const {
  if (waiters_.empty()) return std::nullopt;
  return earliest_;
}

}  // namespace lignum::server
