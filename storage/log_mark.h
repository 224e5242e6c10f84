#pragma once

// A place in a group's log, with all that the next entry has to continue; and a piece of a log that
// has holes. Values, known to whoever moves logs between nodes.

#include <optional>

#include "raft/entry.h"
#include "raft/types.h"

namespace lignum::storage {

// Where the log stands after an entry.
struct LogMark {
  LogId id;
  Hash128 chain;
  TimeUs append_time = 0;
  friend bool operator==(const LogMark&, const LogMark&) = default;
};

// A piece of a log whose cleaner has removed entries: an entry, or how far a hole reaches that
// stands before it.
struct KeptItem {
  std::optional<LogMark> skip_to;
  Entry entry;  // unless skip_to is set
};

}  // namespace lignum::storage
