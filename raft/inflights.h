#pragma once

// The window of AppendEntries that a follower has not answered: a ring of (last index, bytes),
// bounded in messages and in bytes. A part of Progress; same thread.

#include <cstddef>

#include "raft/ring.h"
#include "raft/types.h"

namespace lignum::raft {

class Inflights {
 public:
  struct Limits {
    std::size_t messages_max = 1;
    // The message that reaches it still goes, the next one waits: a message of any size passes
    // an empty window.
    std::size_t bytes_max = 1;
  };

  // Neither limit is 0 (CHECKed).
  explicit Inflights(Limits limits);

  // Nothing may be added.
  [[nodiscard]] bool full() const;
  [[nodiscard]] std::size_t count() const { return messages_.size(); }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }

  // Precondition: !full(); `last` is above that of every earlier message (both CHECKed).
  void add(Index last, std::size_t bytes);
  // Forgets every message whose last index is at or below `index`.
  void free_to(Index index);
  // Forgets the oldest message; there is one (CHECKed).
  void free_first();
  void clear();

  // The sum over the ring, for invariants: equals bytes().
  [[nodiscard]] std::size_t recount_bytes() const;

 private:
  struct Message {
    Index last;
    std::size_t bytes = 0;
  };
  Limits limits_;
  // From the oldest on.
  Ring<Message> messages_;
  std::size_t bytes_ = 0;
};

}  // namespace lignum::raft
