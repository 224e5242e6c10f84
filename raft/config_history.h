#pragma once

// The configurations of a log: the one in force at the commit index and every later one.
//
// A configuration is in force as soon as its entry is in the log (thesis 4.1), so cutting the log
// takes configurations back, several levels deep where need be. One change is open at a time, so
// there are few. A part of Core; same thread.

#include <cstddef>
#include <vector>

#include "raft/membership.h"
#include "raft/types.h"

namespace lignum::raft {

// The configuration that the entry at `index` began.
struct ConfigAt {
  Index index;
  Membership membership;
  friend bool operator==(const ConfigAt&, const ConfigAt&) = default;
};

class ConfigHistory {
 public:
  // Rising by index, not empty (CHECKed).
  explicit ConfigHistory(std::vector<ConfigAt> configs);

  // In force: the newest.
  [[nodiscard]] const ConfigAt& latest() const { return configs_.back(); }
  // In force at `index`, which is not below oldest_index() (CHECKed). Valid until the next change.
  [[nodiscard]] const ConfigAt& at(Index index) const;
  [[nodiscard]] Index oldest_index() const { return configs_.front().index; }
  [[nodiscard]] std::size_t size() const { return configs_.size(); }

  // True when `replica` votes in the configuration in force at `index` (or in the oldest one) or in
  // any later one.
  [[nodiscard]] bool is_voter_since(Index index, const ReplicaId& replica) const;

  // `index` is above that of latest() (CHECKed).
  void append(Index index, Membership membership);
  // The log was cut behind `last_kept`, which is not below the oldest one (CHECKed). True when a
  // configuration was taken back.
  bool truncate_after(Index last_kept);
  // Nobody will ask for what was in force below `index`: the one in force there becomes the oldest.
  void forget_before(Index index);
  // A snapshot replaced the log.
  void reset(Index index, Membership membership);

 private:
  std::vector<ConfigAt> configs_;
};

}  // namespace lignum::raft
