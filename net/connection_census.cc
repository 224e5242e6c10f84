#include "net/connection_census.h"

#include <chrono>
#include <string>

#include "raft/check.h"
#include "raft/mutex.h"

namespace lignum::net {

bool ConnectionCensus::admit(const std::string& address) {
  const MutexLock lock(mutex_);
  if (total_ >= caps_.connections_max) return false;
  const auto found = per_address_.find(address);
  if (found != per_address_.end() && found->second >= caps_.connections_per_address_max) {
    return false;
  }
  ++total_;
  ++per_address_[address];
  return true;
}

void ConnectionCensus::leave(const std::string& address) {
  const MutexLock lock(mutex_);
  const auto found = per_address_.find(address);
  CHECK(found != per_address_.end() && total_ > 0);
  if (--found->second == 0) per_address_.erase(found);
  if (--total_ == 0) empty_.notify_all();
}

bool ConnectionCensus::wait_empty(std::chrono::milliseconds deadline) {
  const auto end = std::chrono::steady_clock::now() + deadline;
  const MutexLock lock(mutex_);
  while (total_ > 0) {
    if (!empty_.wait_until(mutex_, end)) return total_ == 0;
  }
  return true;
}

}  // namespace lignum::net
