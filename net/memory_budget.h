#pragma once

// What all connections of a server may hold together: messages that are being received, payloads
// of requests without an answer, replies that were not taken.
//
// The bounds of a single session (net/server_session.h) are generous, and thousands of sessions at
// their bounds would be more than a machine has. Counted here is what is large; the chunk and the
// bookkeeping that every connection has are bounded by the cap on connections.

#include <atomic>
#include <cstddef>

namespace lignum::net {

// Shared by the sessions of all lanes. Any thread.
class MemoryBudget {
 public:
  explicit MemoryBudget(std::size_t bytes_max) : bytes_max_(bytes_max) {}

  // Whether `bytes` more fit. Lanes that ask at the same moment may both hear yes: the budget is
  // then passed by one message for each lane at most.
  [[nodiscard]] bool has_room(std::size_t bytes) const {
    const std::size_t held = held_.load(std::memory_order_relaxed);
    return held <= bytes_max_ && bytes <= bytes_max_ - held;
  }
  [[nodiscard]] std::size_t held() const { return held_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::size_t bytes_max() const { return bytes_max_; }

 private:
  friend class MemoryShare;
  const std::size_t bytes_max_;
  std::atomic<std::size_t> held_{0};
};

// What one session holds of a budget; given back with the session. One thread at a time.
class MemoryShare {
 public:
  // `budget` outlives the share.
  explicit MemoryShare(MemoryBudget& budget) : budget_(budget) {}
  ~MemoryShare() { set(0); }
  MemoryShare(const MemoryShare&) = delete;
  MemoryShare& operator=(const MemoryShare&) = delete;

  void set(std::size_t bytes) {
    if (bytes == bytes_) return;
    // Modulo 2^64, so that one addition goes both ways.
    budget_.held_.fetch_add(bytes - bytes_, std::memory_order_relaxed);
    bytes_ = bytes;
  }

 private:
  MemoryBudget& budget_;
  std::size_t bytes_ = 0;
};

}  // namespace lignum::net
