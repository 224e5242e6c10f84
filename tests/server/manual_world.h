#pragma once

// Ports whose threads, timers and clocks are a queue that the test runs by hand.
//
// One world stands for one process: every group has its own ManualPorts in it. Nothing happens
// until the test says so: run() works off tasks, pool work and completions until nothing is left;
// advance() moves both clocks and rings timers on the way. Flushes of different groups run in an
// order drawn from a seed. A test may hold flushes back (hold_flushes) to look at what a node says
// while nothing is durable yet.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "net/peer_message.h"
#include "raft/error.h"
#include "raft/types.h"
#include "server/group/ports.h"

namespace lignum::server::testing {

class ManualPorts;

class ManualWorld {
 public:
  explicit ManualWorld(std::uint64_t seed = 1) : random_(seed) {}

  [[nodiscard]] std::unique_ptr<ManualPorts> make_ports();

  // Runs until nothing is ready. Timers do not ring.
  void run();
  // Moves time forward, ringing timers as they fall due.
  void advance(std::int64_t microseconds);

  // Where messages to other nodes go; lost without one.
  void on_send(std::function<void(net::PeerMessage)> send) { send_ = std::move(send); }
  // True when run() would do something.
  [[nodiscard]] bool busy() const {
    return !dead && (!tasks_.empty() || (!flushes_.empty() && !flushes_held_) || !others_.empty());
  }
  // When the next timer rings.
  [[nodiscard]] std::optional<std::int64_t> next_wake() const;

  void hold_flushes(bool held) { flushes_held_ = held; }
  [[nodiscard]] std::size_t flushes_waiting() const { return flushes_.size(); }

  Now now{.wall_us = 1'700'000'000'000'000, .monotonic_us = 1'000'000};
  std::vector<std::string> reports;
  bool dead = false;  // a write of live data failed
  std::string death;

 private:
  friend class ManualPorts;
  struct Job {
    const ManualPorts* owner = nullptr;
    Work work;
    WorkDone done;
  };
  void run_job(Job job);

  std::mt19937_64 random_;
  std::deque<Task> tasks_;
  std::vector<Job> flushes_;
  std::deque<Job> others_;
  std::vector<ManualPorts*> ports_;
  bool flushes_held_ = false;
  std::function<void(net::PeerMessage)> send_;
};

class ManualPorts final : public Ports {
 public:
  explicit ManualPorts(ManualWorld& world) : world_(world) { world_.ports_.push_back(this); }
  ~ManualPorts() override { std::erase(world_.ports_, this); }
  ManualPorts(const ManualPorts&) = delete;
  ManualPorts& operator=(const ManualPorts&) = delete;

  [[nodiscard]] Now now() const override { return world_.now; }
  void post(Task task) override { world_.tasks_.push_back(std::move(task)); }
  void run(Pool pool, Work work, WorkDone done) override {
    ManualWorld::Job job{.owner = this, .work = std::move(work), .done = std::move(done)};
    if (pool == Pool::kFlush) {
      world_.flushes_.push_back(std::move(job));
    } else {
      world_.others_.push_back(std::move(job));
    }
  }
  void wake_at(std::int64_t monotonic_us) override { wake_ = monotonic_us; }
  void on_wake(std::function<void()> callback) override { on_wake_ = std::move(callback); }
  void send(net::PeerMessage message) override {
    if (world_.send_) world_.send_(std::move(message));
  }
  void disk_failed(std::string text) override {
    world_.dead = true;
    world_.death = std::move(text);
  }
  void report(Severity /*severity*/, std::string text) override {
    world_.reports.push_back(std::move(text));
  }

 private:
  friend class ManualWorld;
  ManualWorld& world_;
  std::optional<std::int64_t> wake_;
  std::function<void()> on_wake_;
};

inline std::unique_ptr<ManualPorts> ManualWorld::make_ports() {
  return std::make_unique<ManualPorts>(*this);
}

inline std::optional<std::int64_t> ManualWorld::next_wake() const {
  std::optional<std::int64_t> next;
  for (const ManualPorts* each : ports_) {
    if (each->wake_) next = next ? std::min(*next, *each->wake_) : *each->wake_;
  }
  return next;
}

inline void ManualWorld::run_job(Job job) {
  Result<void> outcome = job.work();
  tasks_.push_back([done = std::move(job.done), outcome = std::move(outcome)]() mutable {
    done(std::move(outcome));
  });
}

inline void ManualWorld::run() {
  while (!dead) {
    if (!tasks_.empty()) {
      Task task = std::move(tasks_.front());
      tasks_.pop_front();
      task();
    } else if (!flushes_.empty() && !flushes_held_) {
      // Any replica's turn; each replica's flushes keep their order.
      const ManualPorts* const owner = flushes_[random_() % flushes_.size()].owner;
      const auto first = std::ranges::find(flushes_, owner, &Job::owner);
      Job job = std::move(*first);
      flushes_.erase(first);
      run_job(std::move(job));
    } else if (!others_.empty()) {
      Job job = std::move(others_.front());
      others_.pop_front();
      run_job(std::move(job));
    } else {
      return;
    }
  }
}

inline void ManualWorld::advance(std::int64_t microseconds) {
  const std::int64_t end = now.monotonic_us + microseconds;
  run();
  while (!dead) {
    // The earliest; of several at one time the first.
    ManualPorts* next = nullptr;
    std::int64_t until = end;
    for (ManualPorts* each : ports_) {
      const std::int64_t at = each->wake_.value_or(std::numeric_limits<std::int64_t>::max());
      if (at < until || (next == nullptr && at == end)) {
        next = each;
        until = at;
      }
    }
    until = std::max(until, now.monotonic_us);
    now.wall_us += until - now.monotonic_us;
    now.monotonic_us = until;
    if (next == nullptr) return;
    next->wake_.reset();
    next->on_wake_();
    run();
  }
}

}  // namespace lignum::server::testing
