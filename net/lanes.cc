#include "net/lanes.h"

#include <fmt/format.h>
#include <pthread.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/system/error_code.hpp>
#include <chrono>
#include <cstddef>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "raft/check.h"

namespace lignum::net {

namespace asio = boost::asio;

struct Lanes::Lane {
  // One thread runs it: Asio then keeps handlers off its shared queue.
  asio::io_context io{1};
  asio::executor_work_guard<asio::io_context::executor_type> work = asio::make_work_guard(io);
  std::thread thread;

  void run(std::chrono::microseconds spin) {
    if (spin.count() == 0) {
      io.run();
      return;
    }
    while (!io.stopped()) {
      auto dry_since = std::chrono::steady_clock::now();
      while (std::chrono::steady_clock::now() - dry_since < spin && !io.stopped()) {
        if (io.poll() > 0) dry_since = std::chrono::steady_clock::now();
      }
      io.run_one();
    }
  }
};

Lanes::Lanes(const LanesOptions& options) {
  CHECK(options.count > 0);
  for (std::size_t i = 0; i < options.count; ++i) {
    Lane& lane = *lanes_.emplace_back(std::make_unique<Lane>());
    lane.thread = std::thread([&lane, spin = options.spin] { lane.run(spin); });
    // For `top -H` and `perf`; a name that is not taken costs nothing.
    pthread_setname_np(lane.thread.native_handle(), fmt::format("lane-{}", i).c_str());
  }
}

Lanes::~Lanes() { stop(); }

std::size_t Lanes::count() const { return lanes_.size(); }

void Lanes::post(std::size_t lane, Task task) { asio::post(context(lane), std::move(task)); }

void Lanes::post_after(std::size_t lane, std::chrono::microseconds delay, Task task) {
  auto timer = std::make_unique<asio::steady_timer>(context(lane), delay);
  asio::steady_timer& waiting = *timer;
  waiting.async_wait([timer = std::move(timer),
                      task = std::move(task)](const boost::system::error_code& error) mutable {
    if (!error) task();
  });
}

asio::io_context& Lanes::context(std::size_t lane) {
  CHECK(lane < lanes_.size());
  return lanes_[lane]->io;
}

std::vector<asio::io_context*> Lanes::contexts() {
  std::vector<asio::io_context*> all;
  all.reserve(lanes_.size());
  for (const auto& lane : lanes_) all.push_back(&lane->io);
  return all;
}

void Lanes::finish() {
  for (const auto& lane : lanes_) lane->work.reset();
  join();
}

void Lanes::stop() {
  for (const auto& lane : lanes_) lane->io.stop();
  join();
}

void Lanes::join() {
  for (const auto& lane : lanes_) {
    if (lane->thread.joinable()) lane->thread.join();
  }
}

}  // namespace lignum::net
