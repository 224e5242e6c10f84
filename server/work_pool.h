#pragma once

// A few threads that run pieces of work in the order of submission.
//
// The threads behind server/group/ports.h: one wide pool for flushes, a small one for cold reads,
// and one of a single thread for checkpoints and cleaning. Owned by App, which stops a pool after
// the lanes that submit to it. Any thread may submit.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "raft/mutex.h"

namespace lignum::server {

struct WorkPoolOptions {
  std::size_t threads = 1;
  // Work waiting beyond this is refused.
  std::size_t queue_max = 4096;
};

class WorkPool {
 public:
  using Item = std::move_only_function<void()>;

  explicit WorkPool(const WorkPoolOptions& options);
  // Runs everything that was submitted, then joins the threads.
  ~WorkPool();
  WorkPool(const WorkPool&) = delete;
  WorkPool& operator=(const WorkPool&) = delete;

  // False, and `item` is untouched, when the queue is full.
  [[nodiscard]] bool submit(Item& item) EXCLUDES(mutex_);

 private:
  void run_thread() EXCLUDES(mutex_);

  const std::size_t queue_max_;
  Mutex mutex_;
  ConditionVariable changed_;
  std::deque<Item> queue_ GUARDED_BY(mutex_);
  bool stopping_ GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;
};

// Work of one owner that must keep its order: pieces run one after the other, on whatever thread of
// the pool is free, without going back to the owner between two that wait. Any thread may submit;
// the pool outlives the line, and work that was submitted runs also when the line is gone.
class WorkLine {
 public:
  // Then it is another line's turn.
  static constexpr int kPiecesAtOnce = 4;

  explicit WorkLine(WorkPool& pool);

  // False, and `item` is untouched, when the pool's queue is full.
  [[nodiscard]] bool submit(WorkPool::Item& item);

 private:
  struct State {
    explicit State(WorkPool& threads) : pool(threads) {}

    WorkPool& pool;
    Mutex mutex;
    std::deque<WorkPool::Item> waiting GUARDED_BY(mutex);
    bool running GUARDED_BY(mutex) = false;
  };
  static bool start(const std::shared_ptr<State>& state);
  static void run_waiting(const std::shared_ptr<State>& state);

  std::shared_ptr<State> state_;
};

}  // namespace lignum::server
