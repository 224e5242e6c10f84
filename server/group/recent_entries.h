#pragma once

// The newest entries of a replica's log, in memory: all that are not applied yet, and of those that
// are as many as fit a bound, so that followers are served without reading the disk.
//
// A part of a replica; its lane only. The entries lie side by side without a gap and reach to the
// log's end, as far as it is staged. Payloads are shared with the log's own cache. What is not
// applied is bounded by the core (uncommitted_bytes_max, the window of a leader).

#include <cstddef>
#include <deque>
#include <vector>

#include "raft/entry.h"
#include "raft/types.h"

namespace lignum::server {

class RecentEntries {
 public:
  struct Item {
    Entry entry;
    // Group chain after it.
    Hash128 chain;
  };

  [[nodiscard]] bool empty() const { return items_.empty(); }
  // Index of the first one; precondition: !empty().
  [[nodiscard]] Index first() const { return items_.front().entry.header.index; }
  // Null where it is not here; valid until the next change.
  [[nodiscard]] const Item* find(Index index) const;
  // Entries from `from` on, none above `to`, as many as fit `bytes_max` and at least one. `from` is
  // here.
  [[nodiscard]] std::vector<Entry> copy(Index from, Index to, std::size_t bytes_max) const;

  // The entry after the last one (CHECKed), or any where it is empty.
  void append(const Entry& entry, const Hash128& chain);
  void truncate_after(Index last_kept);
  void clear();
  // Everything up to `applied` is applied: the oldest of that go, until the rest takes no more than
  // `bytes_max`, payload and raft::kEntryOverheadBytes each.
  void release(Index applied, std::size_t bytes_max);

 private:
  void pop_front();

  std::deque<Item> items_;
  // Items at the front that are applied, and what they take.
  std::size_t applied_ = 0;
  std::size_t applied_bytes_ = 0;
};

// What an entry counts in the bounds of a message.
[[nodiscard]] std::size_t entry_weight(const Entry& entry);
// Drops entries from the back until the rest fits `bytes_max`, or one is left.
void trim_to(std::vector<Entry>& entries, std::size_t bytes_max);

}  // namespace lignum::server
