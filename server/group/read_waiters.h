#pragma once

// Reads that wait until they are linearizable: first for the core's word that this leadership holds
// (thesis 6.4), then for the state to be applied that far.
//
// Owned by a replica, called from its lane; bounded by raft::Options::reads_max before the word and
// kReadWaitersMax in all. Each ends exactly once: with nothing when it may be served from the
// applied state, else with kNotLeader (leadership changed: ask again), kTimeout or the error of
// fail_all().

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <optional>

#include "raft/error.h"
#include "raft/output.h"
#include "raft/types.h"

namespace lignum::server {

class ReadWaiters {
 public:
  using Callback = std::move_only_function<void(Result<void>)>;
  static constexpr std::size_t kReadWaitersMax = std::size_t{1} << 16;

  [[nodiscard]] bool full() const { return asked_.size() + ready_.size() >= kReadWaitersMax; }

  // Precondition: !full(); `id` is new.
  void add(std::uint64_t id, std::int64_t deadline_monotonic_us, Callback callback);
  // The core answered.
  void answer(const raft::ReadReady& read, Index applied);
  // The state contains everything up to here.
  void applied(Index index);
  void expire(std::int64_t monotonic_us);
  void fail_all(const Error& error);
  // No deadline lies before this; none when nobody waits.
  [[nodiscard]] std::optional<std::int64_t> earliest_deadline() const;

 private:
  struct Waiter {
    std::int64_t deadline = 0;
    Callback callback;
  };
  std::map<std::uint64_t, Waiter> asked_;
  std::multimap<Index, Waiter> ready_;
  // A lower bound, recomputed by expire().
  std::int64_t earliest_ = std::numeric_limits<std::int64_t>::max();
};

}  // namespace lignum::server
