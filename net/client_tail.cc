#include "net/client_tail.h"

#include <chrono>
#include <expected>
#include <optional>
#include <string>
#include <utility>

#include "net/client.h"
#include "raft/error.h"
#include "raft/mutex.h"

namespace lignum::net {

ClientTail::~ClientTail() {
  {
    const MutexLock lock(state_->mutex);
    state_->abandoned = true;
  }
  ask_turn_();
}

void ClientTail::nudge() {
  if (state_->core.wants_turn() && !state_->turn_asked) {
    state_->turn_asked = true;
    ask_turn_();
  }
}

Result<void> ClientTail::wait_until_settled() {
  const MutexLock lock(state_->mutex);
  while (!state_->core.settled()) {
    state_->changed.wait(state_->mutex);
  }
  const std::optional<Error> error = state_->core.error();
  if (error) {
    return std::unexpected(*error);
  }
  return {};
}

Result<Tail::Item> ClientTail::next(std::chrono::milliseconds wait) {
  const auto deadline = std::chrono::steady_clock::now() + wait;
  const MutexLock lock(state_->mutex);
  bool in_time = true;
  while (true) {
    if (state_->stopped) {
      return Item(End{});
    }
    auto next = state_->core.next();
    nudge();
    if (!next) {
      return std::unexpected(next.error());
    }
    std::optional<Item> item = std::move(*next);
    if (item) {
      return std::move(*item);
    }
    if (!in_time) {
      return Item(Idle{.stalled = state_->core.stalled()});
    }
    in_time = state_->changed.wait_until(state_->mutex, deadline);
  }
}

std::string ClientTail::cursor() const {
  const MutexLock lock(state_->mutex);
  return state_->core.cursor();
}

void ClientTail::stop() {
  const MutexLock lock(state_->mutex);
  state_->stopped = true;
  state_->changed.notify_all();
}

}  // namespace lignum::net
