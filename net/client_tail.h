#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "net/client.h"
#include "net/moment.h"
#include "net/tail_reader.h"
#include "raft/error.h"
#include "raft/mutex.h"

namespace lignum::net {

// A tail's core and what its two threads need: the reader's thread calls next(), the client's
// thread brings answers and takes turns. Shared by the Tail that the user holds and by the shell,
// so that either may go first.
struct TailState {
  explicit TailState(TailReader::Options options) : core(std::move(options)) {}

  Mutex mutex;
  ConditionVariable changed;
  TailReader core GUARDED_BY(mutex);
  // A turn has been asked for and not begun: the client's thread is not woken twice.
  bool turn_asked GUARDED_BY(mutex) = false;
  bool stopped GUARDED_BY(mutex) = false;
  // The user's Tail is gone; the shell forgets this.
  bool abandoned GUARDED_BY(mutex) = false;
};

// The Tail that a user holds. Its thread waits on the state's condition; it never touches a socket.
class ClientTail final : public Tail {
 public:
  // `ask_turn` wakes the client's thread; it outlives the shell and does nothing after its end.
  ClientTail(std::shared_ptr<TailState> state, std::function<void()> ask_turn)
      : state_(std::move(state)), ask_turn_(std::move(ask_turn)) {}
  ~ClientTail() override;
  ClientTail(const ClientTail&) = delete;
  ClientTail& operator=(const ClientTail&) = delete;

  // Blocks until the tail knows where to begin, or cannot.
  [[nodiscard]] Result<void> wait_until_settled();

  Result<Item> next(std::chrono::milliseconds wait) override;
  [[nodiscard]] std::string cursor() const override;
  void stop() override;

 private:
  // Wakes the client's thread where the core wants a turn.
  void nudge() REQUIRES(state_->mutex);

  const std::shared_ptr<TailState> state_;
  const std::function<void()> ask_turn_;
};

}  // namespace lignum::net
