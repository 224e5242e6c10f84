#pragma once

// Tuning of a raft core. Times are ticks: the host decides how long one is.

#include <cstddef>
#include <cstdint>

#include "raft/error.h"

namespace lignum::raft {

using Ticks = std::uint32_t;

// Of an election timeout, and of the delay that priority adds: sums of a few stay within Ticks.
inline constexpr Ticks kTicksMax = Ticks{1} << 20;

// What an entry counts beside its payload, for the bounds on bytes: not less than what it takes on
// disk (server/limits.cc compares).
inline constexpr std::size_t kEntryOverheadBytes = 168;

struct Options {
  // A follower that heard no leader for this long (plus a random part as long again) campaigns. A
  // group of one voter campaigns at its first tick: there is nobody to wait for.
  Ticks election_ticks = 10;
  Ticks heartbeat_ticks = 1;
  // Added to the election timeout of this replica: the lower of two candidates leads in the end.
  Ticks priority_delay_ticks = 0;
  // Ask before campaigning (thesis 9.6), so that a replica that was cut off disturbs nobody.
  bool pre_vote = true;
  // A leader that hears no majority for an election timeout steps down (thesis 6.2), and whoever
  // hears a leader refuses votes (thesis 4.2.3). Both or none.
  bool check_quorum = true;

  // Proposals beyond this are refused with kOverloaded.
  std::size_t uncommitted_bytes_max = std::size_t{12} << 20;
  // One AppendEntries holds at most this much, or a single entry.
  std::size_t append_bytes_max = std::size_t{1} << 20;
  // Unanswered AppendEntries of one follower.
  std::size_t inflight_messages_max = 64;
  std::size_t inflight_bytes_max = std::size_t{16} << 20;
  // A learner becomes a voter only when it lacks at most this many entries (thesis 4.2.1).
  std::uint64_t promotion_lag_max = 1000;
  // Reads that wait for confirmation; more are refused with kOverloaded.
  std::size_t reads_max = 4096;

  // Spreads election timeouts and names reads; the host mixes node, group and the start of the
  // process into it: another one at every start.
  std::uint64_t seed = 1;
};

// kInvalidArgument naming the field and the bound it breaks.
Result<void> validate(const Options& options);

}  // namespace lignum::raft
