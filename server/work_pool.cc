#include "server/work_pool.h"

#include <cstddef>
#include <memory>
#include <thread>
#include <utility>

#include "raft/mutex.h"

namespace lignum::server {

WorkPool::WorkPool(const WorkPoolOptions& options) : queue_max_(options.queue_max) {
  threads_.reserve(options.threads);
  for (std::size_t i = 0; i < options.threads; ++i) threads_.emplace_back([this] { run_thread(); });
}

WorkPool::~WorkPool() {
  {
    const MutexLock lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

bool WorkPool::submit(Item& item) {
  {
    const MutexLock lock(mutex_);
    if (queue_.size() >= queue_max_) return false;
    queue_.push_back(std::move(item));
  }
  changed_.notify_one();
  return true;
}

void WorkPool::run_thread() {
  while (true) {
    Item item;
    {
      const MutexLock lock(mutex_);
      while (queue_.empty() && !stopping_) changed_.wait(mutex_);
      if (queue_.empty()) return;
      item = std::move(queue_.front());
      queue_.pop_front();
    }
    item();
  }
}

WorkLine::WorkLine(WorkPool& pool) : state_(std::make_shared<State>(pool)) {}

bool WorkLine::submit(WorkPool::Item& item) {
  const MutexLock lock(state_->mutex);
  if (!state_->running) {
    if (!start(state_)) return false;
    state_->running = true;
  }
  state_->waiting.push_back(std::move(item));
  return true;
}

bool WorkLine::start(const std::shared_ptr<State>& state) {
  WorkPool::Item run = [state] { run_waiting(state); };
  return state->pool.submit(run);
}

void WorkLine::run_waiting(const std::shared_ptr<State>& state) {
  for (int pieces = 0;; ++pieces) {
    // To the end of the pool's queue, so that a line that never runs dry keeps no thread from
    // others.
    if (pieces >= kPiecesAtOnce && start(state)) return;
    WorkPool::Item item;
    {
      const MutexLock lock(state->mutex);
      if (state->waiting.empty()) {
        state->running = false;
        return;
      }
      item = std::move(state->waiting.front());
      state->waiting.pop_front();
    }
    item();
  }
}

}  // namespace lignum::server
