#include "raft/quorum.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <functional>
#include <optional>
#include <span>

#include "raft/check.h"
#include "raft/membership.h"
#include "raft/mutant.h"
#include "raft/types.h"

namespace lignum::raft {

Index committed_index(std::span<const ReplicaId> voters, const MatchOf& match) {
  if (voters.empty()) return kEverything;
  std::array<Index, kMembersMax> held{};
  CHECK(voters.size() <= held.size());
  std::ranges::transform(voters, held.begin(),
                         [&](const ReplicaId& voter) { return match(voter).value_or(Index()); });
  // Whoever comes majority-th from the top has the highest index that a majority holds.
  const auto first = held.begin();
  const auto rank = static_cast<std::ptrdiff_t>(majority_of(voters.size())) - 1;
  const auto end = first + static_cast<std::ptrdiff_t>(voters.size());
  std::nth_element(first, first + rank, end, std::greater<>());
  return *(first + rank);
}

VoteResult vote_result(std::span<const ReplicaId> voters, const VoteOf& vote) {
  std::size_t yes = 0;
  std::size_t open = 0;
  for (const ReplicaId& voter : voters) {
    const std::optional<bool> answer = vote(voter);
    if (!answer) {
      ++open;
    } else if (*answer) {
      ++yes;
    }
  }
  const std::size_t majority =
      mutant(Mutant::kHalfIsAMajority) ? (voters.size() + 1) / 2 : majority_of(voters.size());
  if (yes >= majority) return VoteResult::kWon;
  return yes + open >= majority ? VoteResult::kPending : VoteResult::kLost;
}

Index committed_index(const Membership& membership, const MatchOf& match) {
  if (mutant(Mutant::kCommitWithoutOldMajority)) return committed_index(membership.voters, match);
  return std::min(committed_index(membership.voters, match),
                  committed_index(membership.outgoing, match));
}

VoteResult vote_result(const Membership& membership, const VoteOf& vote) {
  const VoteResult incoming = vote_result(membership.voters, vote);
  if (mutant(Mutant::kVoteWithoutOldMajority)) return incoming;
  const VoteResult outgoing = vote_result(membership.outgoing, vote);
  if (incoming == outgoing) return incoming;
  // One half lost cannot be made good by the other.
  const bool lost = incoming == VoteResult::kLost || outgoing == VoteResult::kLost;
  return lost ? VoteResult::kLost : VoteResult::kPending;
}

}  // namespace lignum::raft
