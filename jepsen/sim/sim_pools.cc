#include "jepsen/sim/sim_pools.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>

#include <fmt/format.h>
#include "jepsen/sim/event_queue.h"
#include "jepsen/sim/trace.h"
#include "jepsen/sim/world.h"
#include "raft/error.h"
#include "server/group/ports.h"

namespace lignum::jepsen {

using server::Pool;

SimPools::SimPools(World& world, std::uint32_t node, Host host, const DiskPace& pace)
    : world_(world),
      node_(node),
      host_(std::move(host)),
      pace_(pace),
      random_(world.stream(fmt::format("disk {} {}", node, world.queue.steps()))) {
  constexpr std::size_t kReaders = 2;
  others_[0] = {.pool = Pool::kRead, .width = kReaders, .jobs = {}};
  others_[1] = {.pool = Pool::kBackground, .jobs = {}};
  others_[2] = {.pool = Pool::kPrepare, .jobs = {}};
}

bool SimPools::submit(Pool pool, std::uint32_t line, server::Work& work, server::WorkDone& done) {
  if (pool == Pool::kFlush) {
    Queue& queue = flushes_[line];
    queue.jobs.push_back({.work = std::move(work), .done = std::move(done)});
    pump(queue);
    return true;
  }
  Queue& queue = others_.at(static_cast<std::size_t>(pool) - 1);
  if (queue.jobs.size() >= kWaitingMax) return false;
  if (pool != Pool::kPrepare && draw_chance(random_, pace_.refuse_rate)) {
    ++world_.faults["disk work refused"];
    return false;
  }
  queue.jobs.push_back({.work = std::move(work), .done = std::move(done)});
  pump(queue);
  return true;
}

void SimPools::pump(Queue& queue) {
  while (!queue.jobs.empty() && queue.running < queue.width && !queue.failed) {
    if (queue.pool == Pool::kFlush && flushing_ >= pace_.flush_workers) return;
    start(queue);
  }
}

void SimPools::start(Queue& queue) {
  Job job = std::move(queue.jobs.front());
  queue.jobs.pop_front();
  ++queue.running;
  if (queue.pool == Pool::kFlush) ++flushing_;
  host_.later(draw_time(),
              [this, &queue, moved = std::move(job)]() mutable { run(queue, std::move(moved)); });
}

void SimPools::run(Queue& queue, Job job) {
  Result<void> outcome = job.work();
  job.work = nullptr;
  --queue.running;
  world_.note(TraceKind::kDisk, node_, static_cast<std::uint64_t>(queue.pool),
              outcome ? 0 : static_cast<std::uint64_t>(outcome.error().code()));
  if (queue.pool == Pool::kFlush) {
    --flushing_;
    if (!outcome) {
      queue.failed = true;
      host_.disk_failed(outcome.error().describe());
      return;
    }
  }
  queue.last_news = std::max(queue.last_news, world_.now() + draw_time());
  host_.later(queue.last_news - world_.now(),
              [done = std::move(job.done), result = std::move(outcome)]() mutable {
                done(std::move(result));
              });
  pump(queue);
  if (queue.pool == Pool::kFlush) {
    // A worker is free: whose turn it is was decided by who asked first in the order of lines.
    for (auto& [line, waiting] : flushes_) pump(waiting);
  }
}

Moment SimPools::draw_time() {
  Moment time = draw_between(random_, pace_.least, pace_.most);
  if (draw_chance(random_, pace_.stall_rate)) {
    ++world_.faults["disk stalled"];
    time += draw_between(random_, 0, pace_.stall);
  }
  return time;
}

}  // namespace lignum::jepsen
