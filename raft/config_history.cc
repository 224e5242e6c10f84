#include "raft/config_history.h"

#include <algorithm>
#include <functional>
#include <iterator>
#include <utility>
#include <vector>

#include "raft/check.h"
#include "raft/membership.h"
#include "raft/types.h"

namespace lignum::raft {

namespace {

// The first configuration above `index`.
auto after(const std::vector<ConfigAt>& configs, Index index) {
  return std::ranges::upper_bound(configs, index, std::less<>(), &ConfigAt::index);
}

}  // namespace

ConfigHistory::ConfigHistory(std::vector<ConfigAt> configs) : configs_(std::move(configs)) {
  CHECK(!configs_.empty());
  // Strictly: no two neighbours where the left one is not below the right one.
  CHECK(std::ranges::adjacent_find(configs_, std::greater_equal<>(), &ConfigAt::index) ==
        configs_.end());
}

const ConfigAt& ConfigHistory::at(Index index) const {
  CHECK(index >= oldest_index());
  return *std::prev(after(configs_, index));
}

bool ConfigHistory::is_voter_since(Index index, const ReplicaId& replica) const {
  const auto later = after(configs_, index);
  const auto first = later == configs_.begin() ? later : std::prev(later);
  return std::any_of(first, configs_.end(),
                     [&](const ConfigAt& config) { return config.membership.is_voter(replica); });
}

void ConfigHistory::append(Index index, Membership membership) {
  CHECK(index > latest().index);
  configs_.push_back({.index = index, .membership = std::move(membership)});
}

bool ConfigHistory::truncate_after(Index last_kept) {
  CHECK(last_kept >= oldest_index());
  const auto cut = after(configs_, last_kept);
  const bool taken_back = cut != configs_.end();
  configs_.erase(cut, configs_.end());
  return taken_back;
}

void ConfigHistory::forget_before(Index index) {
  if (index <= oldest_index()) return;
  configs_.erase(configs_.begin(), std::prev(after(configs_, index)));
}

void ConfigHistory::reset(Index index, Membership membership) {
  configs_.clear();
  configs_.push_back({.index = index, .membership = std::move(membership)});
}

}  // namespace lignum::raft
