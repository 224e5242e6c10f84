#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <string>

#include "raft/mutex.h"

namespace lignum::net {

// How many connections there are, in all and from each address, against their caps. Shared by the
// acceptor, which asks before it takes one, and the lanes, which tell when one is gone. Any thread.
class ConnectionCensus {
 public:
  struct Caps {
    std::size_t connections_max = 0;
    std::size_t connections_per_address_max = 0;
  };

  explicit ConnectionCensus(Caps caps) : caps_(caps) {}

  // False at a cap; then nothing was counted.
  [[nodiscard]] bool admit(const std::string& address) EXCLUDES(mutex_);
  void leave(const std::string& address) EXCLUDES(mutex_);
  // Waits until there is none. False when the deadline passed first.
  [[nodiscard]] bool wait_empty(std::chrono::milliseconds deadline) EXCLUDES(mutex_);

 private:
  const Caps caps_;
  Mutex mutex_;
  ConditionVariable empty_;
  std::size_t total_ GUARDED_BY(mutex_) = 0;
  std::map<std::string, std::size_t> per_address_ GUARDED_BY(mutex_);
};

}  // namespace lignum::net
