#pragma once

// The signals of the process: one thread takes them, and sees to it that a stop comes to an end.
//
// The thread that serves may be held up where nobody can help it, by a disk that does not answer
// or a pipe that nobody reads. So a stop is watched by the thread that takes the signals: the
// process ends `stop_max` after the first SIGTERM or SIGINT, and at once at the second one,
// wherever the others are. That loses nothing: what was acknowledged is on disk.
//
// Made by main before any other thread, so that all of them inherit the blocked signals.

#include <chrono>
#include <cstdint>
#include <thread>

#include "raft/mutex.h"

namespace lignum::server {

class Signals {
 public:
  enum class Event : std::uint8_t {
    kNone,    // nothing came in time
    kReload,  // SIGHUP
    kStop,    // SIGTERM or SIGINT; from then on every wait() says so at once
  };

  explicit Signals(std::chrono::milliseconds stop_max);
  // From here on nothing ends the process but its main.
  ~Signals();
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

  [[nodiscard]] Event wait(std::chrono::milliseconds patience) EXCLUDES(mutex_);

 private:
  void run_watch() EXCLUDES(mutex_);

  const std::chrono::milliseconds stop_max_;
  Mutex mutex_;
  ConditionVariable changed_;
  bool reload_ GUARDED_BY(mutex_) = false;
  bool stop_ GUARDED_BY(mutex_) = false;
  bool ended_ GUARDED_BY(mutex_) = false;
  // Last: it uses the others.
  std::thread thread_;
};

}  // namespace lignum::server
