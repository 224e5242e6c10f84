#include "raft/read_tracker.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "raft/membership.h"
#include "raft/mutant.h"
#include "raft/options.h"
#include "raft/output.h"
#include "raft/quorum.h"
#include "raft/types.h"

namespace lignum::raft {

std::size_t ReadTracker::size() const {
  std::size_t reads = gathered_.size() + asked_.size();
  for (const Round& round : rounds_) reads += round.reads.size();
  return reads;
}

void ReadTracker::begin_round(Index commit) {
  rounds_.push_back(
      {.sequence = ++sequence_, .index = commit, .reads = std::exchange(gathered_, {})});
}

void ReadTracker::answered(const ReplicaId& replica, std::uint64_t sequence) {
  // An answer to a sequence that was never sent proves nothing.
  if (sequence > sequence_) return;
  std::uint64_t& newest = answers_[replica];
  newest = std::max(newest, sequence);
}

std::vector<ReadTracker::Confirmed> ReadTracker::take_confirmed(const Membership& membership,
                                                                const ReplicaId& self) {
  std::vector<Confirmed> confirmed;
  while (!rounds_.empty()) {
    const std::uint64_t wanted = rounds_.front().sequence;
    const VoteResult result = vote_result(membership, [&](const ReplicaId& voter) {
      if (voter == self) return std::optional<bool>(true);
      const auto found = answers_.find(voter);
      const bool answered =
          found != answers_.end() && (found->second >= wanted || mutant(Mutant::kReadByOldAnswers));
      return answered ? std::optional<bool>(true) : std::nullopt;
    });
    if (result != VoteResult::kWon && !mutant(Mutant::kReadWithoutQuorum)) break;
    for (const Read& read : rounds_.front().reads) {
      confirmed.push_back({.read = read, .index = rounds_.front().index});
    }
    rounds_.pop_front();
  }
  return confirmed;
}

bool ReadTracker::close(std::uint64_t id) {
  const auto found = std::ranges::find(asked_, id, &Asked::id);
  if (found == asked_.end()) return false;
  asked_.erase(found);
  return true;
}

void ReadTracker::tick(Ticks patience, std::vector<ReadReady>& ready) {
  for (Asked& asked : asked_) ++asked.age;
  // The oldest stand in front.
  while (!asked_.empty() && asked_.front().age >= patience) {
    ready.push_back({.id = asked_.front().id, .index = std::nullopt});
    asked_.pop_front();
  }
}

void ReadTracker::fail_all(std::vector<ReadReady>& ready) {
  const auto fail_own = [&](const Read& read) {
    if (!read.from) ready.push_back({.id = read.id, .index = std::nullopt});
  };
  for (const Round& round : rounds_) {
    for (const Read& read : round.reads) fail_own(read);
  }
  for (const Read& read : gathered_) fail_own(read);
  for (const Asked& asked : asked_) ready.push_back({.id = asked.id, .index = std::nullopt});
  rounds_.clear();
  gathered_.clear();
  asked_.clear();
  answers_.clear();
}

}  // namespace lignum::raft
