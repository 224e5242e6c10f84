#pragma once

// The ports of a group in production: an Asio lane, thread pools and the system's clocks.
//
// One per group, made by App, living on the group's lane. Submitted work is counted, so that the
// lane's context does not run out of work while a completion is still to come.

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "server/group/ports.h"
#include "server/logging.h"
#include "server/work_pool.h"

namespace lignum::server {

// The pools of a node. Owned by App; outlive every LanePorts.
struct Pools {
  WorkPool* flush = nullptr;
  WorkPool* read = nullptr;
  WorkPool* background = nullptr;
  WorkPool* prepare = nullptr;
};

// Both clocks, read once.
[[nodiscard]] Now read_clocks();

class LanePorts final : public Ports {
 public:
  LanePorts(boost::asio::io_context& lane, const Pools& pools, Logging& logging);
  ~LanePorts() override;
  LanePorts(const LanePorts&) = delete;
  LanePorts& operator=(const LanePorts&) = delete;

  [[nodiscard]] Now now() const override;
  void post(Task task) override;
  void run(Pool pool, Work work, WorkDone done) override;
  void on_wake(std::function<void()> callback) override;
  void wake_at(std::int64_t monotonic_us) override;
  // There is no transport between nodes yet, and no node that has members beside itself.
  void send(net::PeerMessage message) override;
  void disk_failed(std::string text) override;
  void report(Severity severity, std::string text) override;

 private:
  [[nodiscard]] bool submit(Pool pool, WorkPool::Item& item);

  boost::asio::io_context& lane_;
  Pools pools_;
  WorkLine flushes_;
  Logging& logging_;
  boost::asio::steady_timer timer_;
  std::function<void()> on_wake_;
  // Tells a timer handler that was already queued when the timer was set anew.
  std::shared_ptr<std::uint64_t> generation_;
};

}  // namespace lignum::server
