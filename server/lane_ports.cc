#include "server/lane_ports.h"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/system/error_code.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "net/peer_message.h"
#include "raft/check.h"
#include "raft/error.h"
#include "server/group/ports.h"
#include "server/logging.h"
#include "server/work_pool.h"

namespace lignum::server {

Now read_clocks() {
  using std::chrono::duration_cast;
  using std::chrono::microseconds;
  return {
      .wall_us =
          duration_cast<microseconds>(std::chrono::system_clock::now().time_since_epoch()).count(),
      .monotonic_us =
          duration_cast<microseconds>(std::chrono::steady_clock::now().time_since_epoch()).count()};
}

LanePorts::LanePorts(boost::asio::io_context& lane, const Pools& pools, Logging& logging)
    : lane_(lane),
      pools_(pools),
      flushes_(*pools.flush),
      logging_(logging),
      timer_(lane),
      generation_(std::make_shared<std::uint64_t>(0)) {}

LanePorts::~LanePorts() { ++*generation_; }

Now LanePorts::now() const { return read_clocks(); }

void LanePorts::post(Task task) { boost::asio::post(lane_, std::move(task)); }

bool LanePorts::submit(Pool pool, WorkPool::Item& item) {
  switch (pool) {
    case Pool::kFlush:
      return flushes_.submit(item);
    case Pool::kRead:
      return pools_.read->submit(item);
    case Pool::kBackground:
      return pools_.background->submit(item);
    case Pool::kPrepare:
      return pools_.prepare->submit(item);
  }
  return false;
}

void LanePorts::run(Pool pool, Work work, WorkDone done) {
  // Shared between the two ways on: run by a thread, or refused here.
  auto completion = std::make_shared<WorkDone>(std::move(done));
  auto guard = boost::asio::make_work_guard(lane_);
  WorkPool::Item item = [this, work = std::move(work), completion, guard = std::move(guard),
                         pool]() mutable {
    Result<void> outcome = work();
    work = nullptr;
    // On this thread already, so that nothing at all happens after a failed sync.
    if (!outcome && pool == Pool::kFlush) disk_failed(outcome.error().describe());
    boost::asio::post(lane_,
                      [completion = std::move(completion), outcome = std::move(outcome)]() mutable {
                        (*completion)(std::move(outcome));
                      });
  };
  if (submit(pool, item)) return;
  CHECK(pool != Pool::kFlush);
  boost::asio::post(lane_, [completion] {
    (*completion)(fail(Errc::kOverloaded, "too much work waits for the disk"));
  });
}

void LanePorts::on_wake(std::function<void()> callback) { on_wake_ = std::move(callback); }

void LanePorts::wake_at(std::int64_t monotonic_us) {
  const std::uint64_t generation = ++*generation_;
  timer_.expires_at(std::chrono::steady_clock::time_point(std::chrono::microseconds(monotonic_us)));
  timer_.async_wait(
      [this, current = generation_, generation](const boost::system::error_code& error) {
        // Set anew or destroyed since; the object is not touched then.
        if (error || *current != generation) return;
        on_wake_();
      });
}

void LanePorts::send(net::PeerMessage /*message*/) {}

void LanePorts::disk_failed(std::string text) {
  logging_.write(Severity::kError, text);
  stop_for_failed_disk(text);
}

void LanePorts::report(Severity severity, std::string text) { logging_.write(severity, text); }

}  // namespace lignum::server
