#pragma once

// std::mutex with the annotations of clang's thread-safety analysis, which does not know
// libstdc++'s own. The product has few locks, at its edges only (docs/ARCHITECTURE.md lists them).

#include <chrono>
#include <condition_variable>
#include <mutex>

#if defined(__clang__)
#define LIGNUM_THREAD_ANNOTATION(x) __attribute__((x))
#else
#define LIGNUM_THREAD_ANNOTATION(x)
#endif

#define GUARDED_BY(x) LIGNUM_THREAD_ANNOTATION(guarded_by(x))
#define REQUIRES(...) LIGNUM_THREAD_ANNOTATION(requires_capability(__VA_ARGS__))
#define EXCLUDES(...) LIGNUM_THREAD_ANNOTATION(locks_excluded(__VA_ARGS__))

namespace lignum {

class LIGNUM_THREAD_ANNOTATION(capability("mutex")) Mutex {
 public:
  void lock() LIGNUM_THREAD_ANNOTATION(acquire_capability()) { mutex_.lock(); }
  void unlock() LIGNUM_THREAD_ANNOTATION(release_capability()) { mutex_.unlock(); }

 private:
  friend class ConditionVariable;
  std::mutex mutex_;
};

class LIGNUM_THREAD_ANNOTATION(scoped_lockable) MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) LIGNUM_THREAD_ANNOTATION(acquire_capability(mutex))
      : mutex_(mutex) {
    mutex_.lock();
  }
  ~MutexLock() LIGNUM_THREAD_ANNOTATION(release_capability()) { mutex_.unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mutex_;
};

// Waits are spelled as loops over the condition by the caller, so that the analysis sees the
// guarded members under their lock.
class ConditionVariable {
 public:
  void wait(Mutex& mutex) REQUIRES(mutex) {
    std::unique_lock<std::mutex> lock(mutex.mutex_, std::adopt_lock);
    condition_.wait(lock);
    lock.release();
  }
  // False when the deadline passed first.
  template <class Clock, class Duration>
  bool wait_until(Mutex& mutex, const std::chrono::time_point<Clock, Duration>& deadline)
      REQUIRES(mutex) {
    std::unique_lock<std::mutex> lock(mutex.mutex_, std::adopt_lock);
    const bool in_time = condition_.wait_until(lock, deadline) == std::cv_status::no_timeout;
    lock.release();
    return in_time;
  }
  void notify_one() { condition_.notify_one(); }
  void notify_all() { condition_.notify_all(); }

 private:
  std::condition_variable condition_;
};

}  // namespace lignum
