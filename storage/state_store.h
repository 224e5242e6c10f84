#pragma once

// Where checkpoints of state machines go: an ordered map with atomic, durable batches.
//
// LevelDB stands behind it in production (leveldb_state_store.h), an ordered map in simulations.
// It is never the only copy: kCorrupt from any call means "drop it and rebuild from image and
// log". Called from one thread at a time.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "raft/error.h"

namespace lignum::storage {

struct StateWrite {
  std::string key;
  // An empty optional deletes.
  std::optional<std::string> value;
};

class StateStore {
 public:
  virtual ~StateStore() = default;
  // Applies all writes or none, and is durable when it returns.
  virtual Result<void> write(const std::vector<StateWrite>& batch) = 0;
  // Calls `visit` for every key with `prefix`, in order, with verified bytes; the views live for
  // the call only.
  virtual Result<void> scan(
      std::string_view prefix,
      const std::function<Result<void>(std::string_view key, std::string_view value)>& visit) = 0;
  // Deletes every key with `prefix`, durably.
  virtual Result<void> drop(std::string_view prefix) = 0;
};

}  // namespace lignum::storage
