#pragma once

// Tuning of a raft core. Times are ticks: the host decides how long one is.

#include <cstddef>
#include <cstdint>

#include "raft/error.h"

namespace lignum::raft {

using Ticks = std::uint32_t;

// What an entry counts beside its payload, for the bound on uncommitted bytes: not less than what
// it takes on disk (server/limits.cc compares).
inline constexpr std::size_t kEntryOverheadBytes = 168;

struct Options {
  // A follower that heard no leader for this long (plus a random part as long again) campaigns. A
  // group of one voter campaigns at its first tick: there is nobody to wait for.
  Ticks election_ticks = 10;
  Ticks heartbeat_ticks = 1;
  // Proposals beyond this are refused with kOverloaded.
  std::size_t uncommitted_bytes_max = std::size_t{12} << 20;
  // Spreads election timeouts; the host mixes node and group into it.
  std::uint64_t seed = 1;
};

// kInvalidArgument naming the field and the bound it breaks.
Result<void> validate(const Options& options);

}  // namespace lignum::raft
