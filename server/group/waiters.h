#pragma once

// Callers that wait for an entry of the log, and the three outcomes they can be told.
//
// A waiter is keyed by (term, index), not by index alone: after a change of leadership another
// entry may stand at the same index. It ends exactly once:
//   kApplied - the entry with this very term and index was applied: it happened;
//   kLost    - another entry stands there, or the entry was truncated: it provably never happened;
//   kUnknown - leadership ended, the deadline passed, or the replica stopped while it was open.
// Owned by a replica, called from its lane. Never calls back from inside add().

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>

#include "raft/types.h"

namespace lignum::server {

enum class Fate : std::uint8_t { kApplied, kLost, kUnknown };

class Waiters {
 public:
  using Callback = std::move_only_function<void(Fate)>;
  static constexpr std::size_t kWaitersMax = std::size_t{1} << 16;

  [[nodiscard]] bool full() const { return waiters_.size() >= kWaitersMax; }
  [[nodiscard]] bool empty() const { return waiters_.empty(); }

  // Precondition: !full(). Several waiters may share one entry (a duplicate shares the fate of
  // the original).
  void add(LogId id, std::int64_t deadline_monotonic_us, Callback callback);

  // The entry `id` was applied: tells everybody who waits at or below its index.
  void applied(LogId id);
  // A snapshot took the place of everything up to here: who waits there is told kUnknown.
  void passed(Index index);
  // Leadership ended or the replica stops: everybody still waiting is told kUnknown.
  void fail_all();
  // Tells kUnknown to everybody whose deadline is at or before `monotonic_us`.
  void expire(std::int64_t monotonic_us);
  // No deadline lies before this; none when nobody waits.
  [[nodiscard]] std::optional<std::int64_t> earliest_deadline() const;

 private:
  struct Waiter {
    LogId id;
    std::int64_t deadline = 0;
    Callback callback;
  };
  // By index. Almost every waiter is added at the back.
  std::deque<Waiter> waiters_;
  // A lower bound, recomputed by expire().
  std::int64_t earliest_ = 0;
};

}  // namespace lignum::server
