#pragma once

// The threads of a simulated node that wait for its disk: work runs later, in any order they allow.
//
// Owned by one life of a SimNode. The promises are those of server/group/ports.h: work for kFlush
// of one line (the ports of one group) runs one piece at a time, in order, and none after one that
// failed; lines go side by side on a few workers; the background and the preparing thread take
// their work in order, the readers do not. Every piece takes a while before and after it touches
// the disk, so a crash may fall before it, into it (SimDisk::crash_at) or between it and its news.

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <string>

#include "jepsen/sim/world.h"
#include "raft/error.h"
#include "raft/random.h"
#include "server/group/ports.h"

namespace lignum::jepsen {

// How long disk work takes.
struct DiskPace {
  Moment least = 20;
  Moment most = 300;
  // Now and then a piece takes up to `stall` more. Per million.
  std::uint32_t stall_rate = 0;
  Moment stall = 200'000;
  std::uint32_t flush_workers = 8;
  // Pieces refused although there is room: kRead and kBackground may be. Per million.
  std::uint32_t refuse_rate = 0;
};

class SimPools {
 public:
  // Pieces that wait for one pool; beyond it they are refused, flushes never.
  static constexpr std::size_t kWaitingMax = 1024;

  // What a pool needs of the node it works for.
  struct Host {
    // Runs an action on the node after a while, unless it has died by then.
    std::function<void(Moment delay, EventQueue::Action action)> later;
    // A write of live data failed.
    std::function<void(std::string what)> disk_failed;
  };

  SimPools(World& world, std::uint32_t node, Host host, const DiskPace& pace);

  // False where it was refused; then neither was touched.
  [[nodiscard]] bool submit(server::Pool pool, std::uint32_t line, server::Work& work,
                            server::WorkDone& done);
  void set_pace(const DiskPace& pace) { pace_ = pace; }

 private:
  struct Job {
    server::Work work;
    server::WorkDone done;
  };
  struct Queue {
    server::Pool pool = server::Pool::kFlush;
    std::size_t width = 1;
    std::size_t running = 0;
    bool failed = false;
    // News keep the order of the work.
    Moment last_news = 0;
    std::deque<Job> jobs;
  };

  void pump(Queue& queue);
  void start(Queue& queue);
  void run(Queue& queue, Job job);
  [[nodiscard]] Moment draw_time();

  World& world_;
  const std::uint32_t node_;
  const Host host_;
  DiskPace pace_;
  Random random_;
  std::map<std::uint32_t, Queue> flushes_;
  std::size_t flushing_ = 0;
  std::array<Queue, 3> others_;  // kRead, kBackground, kPrepare
};

}  // namespace lignum::jepsen
