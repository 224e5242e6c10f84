#pragma once

// The arithmetic of majorities, of one set of voters and of two that decide together.
//
// The empty set wins every vote and commits everything, so that a joint decision is plainly the
// agreement, and the smaller index, of its two halves. Pure; any thread.

#include <cstdint>
#include <functional>
#include <optional>
#include <span>

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

// What everybody has: the index a voter is known to hold durably; none counts as 0.
using MatchOf = std::function<std::optional<Index>(const ReplicaId&)>;
// What a voter answered; none: not yet.
using VoteOf = std::function<std::optional<bool>(const ReplicaId&)>;

// The highest index that a majority holds; Index's maximum for the empty set.
[[nodiscard]] Index committed_index(std::span<const ReplicaId> voters, const MatchOf& match);
[[nodiscard]] VoteResult vote_result(std::span<const ReplicaId> voters, const VoteOf& vote);

// Of a configuration: of both its sets.
[[nodiscard]] Index committed_index(const Membership& membership, const MatchOf& match);
[[nodiscard]] VoteResult vote_result(const Membership& membership, const VoteOf& vote);

}  // namespace lignum::raft
