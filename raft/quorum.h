#pragma once

// The arithmetic of majorities, of one set of voters and of two that decide together.
//
// The empty set wins every vote and commits everything, so that a joint decision is plainly the
// agreement, and the smaller index, of its two halves (thesis 4.3). Whoever campaigns or leads is
// a voter, so nothing is ever decided by the empty set alone. Pure; allocates nothing; any thread.

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>

#include "raft/function_ref.h"
#include "raft/membership.h"
#include "raft/types.h"

namespace lignum::raft {

enum class VoteResult : std::uint8_t {
  kPending,  // neither is decided yet
  kWon,      // a majority said yes
  kLost,     // a majority of yes has become impossible
};

// Members of a majority of `voters`; 0 of none.
[[nodiscard]] constexpr std::size_t majority_of(std::size_t voters) {
  return voters == 0 ? 0 : voters / 2 + 1;
}

// The index that a voter is known to hold durably; none counts as 0. Called once for each voter.
using MatchOf = FunctionRef<std::optional<Index>(const ReplicaId&)>;
// What a voter answered; none: not yet. Called once for each voter.
using VoteOf = FunctionRef<std::optional<bool>(const ReplicaId&)>;

// The highest index that a majority holds; kEverything for the empty set. At most kMembersMax
// voters (CHECKed).
inline constexpr Index kEverything{std::numeric_limits<Index::rep>::max()};
[[nodiscard]] Index committed_index(std::span<const ReplicaId> voters, const MatchOf& match);
[[nodiscard]] VoteResult vote_result(std::span<const ReplicaId> voters, const VoteOf& vote);

// Of a configuration: what both its sets decide.
[[nodiscard]] Index committed_index(const Membership& membership, const MatchOf& match);
[[nodiscard]] VoteResult vote_result(const Membership& membership, const VoteOf& vote);

}  // namespace lignum::raft
