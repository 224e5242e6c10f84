#include "server/signals.h"

#include <signal.h>  // NOLINT(modernize-deprecated-headers): sigtimedwait and signal sets

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <optional>
#include <thread>
#include <utility>

#include "raft/mutex.h"

namespace lignum::server {

namespace {

using Clock = std::chrono::steady_clock;

sigset_t awaited_signals() {
  sigset_t signals{};
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGHUP);
  return signals;
}

// The next signal, or -1 where none came until the deadline.
int take_signal(const sigset_t& signals, std::optional<Clock::time_point> deadline) {
  // Without a deadline any wait will do: the caller comes again.
  const auto left = deadline ? std::max(Clock::duration::zero(), *deadline - Clock::now())
                             : std::chrono::hours(1);
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
  const timespec patience{
      .tv_sec = seconds.count(),
      .tv_nsec = std::chrono::duration_cast<std::chrono::nanoseconds>(left - seconds).count()};
  return sigtimedwait(&signals, nullptr, &patience);
}

}  // namespace

Signals::Signals(std::chrono::milliseconds stop_max) : stop_max_(stop_max) {
  const sigset_t signals = awaited_signals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  thread_ = std::thread([this] { run_watch(); });
}

Signals::~Signals() {
  {
    const MutexLock lock(mutex_);
    ended_ = true;
  }
  pthread_kill(thread_.native_handle(), SIGHUP);
  thread_.join();
}

void Signals::run_watch() {
  const sigset_t signals = awaited_signals();
  std::optional<Clock::time_point> deadline;
  while (true) {
    const int signal = take_signal(signals, deadline);
    const bool asks_to_stop = signal == SIGTERM || signal == SIGINT;
    const MutexLock lock(mutex_);
    if (ended_) return;
    if (deadline && (asks_to_stop || Clock::now() >= *deadline)) std::_Exit(0);
    if (asks_to_stop) {
      stop_ = true;
      deadline = Clock::now() + stop_max_;
    } else if (signal == SIGHUP) {
      reload_ = true;
    }
    changed_.notify_all();
  }
}

Signals::Event Signals::wait(std::chrono::milliseconds patience) {
  const auto deadline = Clock::now() + patience;
  const MutexLock lock(mutex_);
  while (!stop_ && !reload_) {
    if (!changed_.wait_until(mutex_, deadline)) break;
  }
  if (stop_) return Event::kStop;
  return std::exchange(reload_, false) ? Event::kReload : Event::kNone;
}

}  // namespace lignum::server
