#pragma once

// What a replica drives: a deterministic state machine over the committed entries of one group.
//
// The state is an ordered set of key -> value pairs. A checkpoint (LevelDB) holds the pairs changed
// since the one before; an image holds all of them; restore() takes either back. So image and
// checkpoint share one encoding. Called from the replica's lane only; never reads a clock, the
// routing table, or anything that is not in the log.

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "raft/entry.h"
#include "raft/error.h"
#include "storage/state_store.h"

namespace lignum::server {

class StateMachine {
 public:
  virtual ~StateMachine() = default;

  // Applies one committed entry. Entries arrive once each, in index order, every kind of them; a
  // kind the machine has no use for only advances time. kCorrupt means that the entry contradicts
  // the state (rule A1): the replica halts and reports damage.
  virtual Result<void> apply(const Entry& entry) = 0;

  // The pairs that changed since the last call, deletions included; keys carry no group prefix.
  [[nodiscard]] virtual std::vector<storage::StateWrite> take_changes() = 0;
  // Every pair, in key order.
  virtual void for_each(
      const std::function<void(std::string_view key, std::string_view value)>& visit) const = 0;
  // Takes one pair back into an empty machine, before the first apply(). kCorrupt when the pair
  // cannot be read.
  virtual Result<void> restore(std::string_view key, std::string_view value) = 0;
  // Forgets everything, as before the first restore().
  virtual void reset() = 0;
};

}  // namespace lignum::server
