#pragma once

// The window of AppendEntries that a follower has not answered: a ring of (last index, bytes),
// bounded in messages and in bytes. A part of Progress; same thread.

#include <cstddef>
#include <vector>

#include "raft/types.h"

namespace lignum::raft {

class Inflights {
 public:
  struct Limits {
    std::size_t messages_max = 1;
    // A single message over the limit goes through alone.
    std::size_t bytes_max = 1;
  };

  explicit Inflights(Limits limits) : limits_(limits) {}

  [[nodiscard]] bool full() const;
  [[nodiscard]] std::size_t count() const { return count_; }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }

  // Precondition: !full(); `last` is above that of every earlier message.
  void add(Index last, std::size_t bytes);
  // Forgets every message whose last index is at or below `index`.
  void free_to(Index index);
  // Forgets the oldest message.
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
  // Grows as needed up to messages_max.
  std::vector<Message> ring_;
  std::size_t first_ = 0;
  std::size_t count_ = 0;
  std::size_t bytes_ = 0;
};

}  // namespace lignum::raft
