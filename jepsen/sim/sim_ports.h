#pragma once

// What a replica of a simulated node gets for the world outside its lane.
//
// One for each group of one life of a node, and one for its boot; owned by the group host. Tasks
// and timers become events of the world's queue, disk work goes to the node's SimPools.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "net/peer_message.h"
#include "server/group/ports.h"

namespace lignum::jepsen {

class SimNode;

class SimPorts final : public server::Ports {
 public:
  // `line` numbers the ports of one life. The node outlives them.
  SimPorts(SimNode& node, std::uint32_t line);
  ~SimPorts() override;
  SimPorts(const SimPorts&) = delete;
  SimPorts& operator=(const SimPorts&) = delete;

  [[nodiscard]] server::Now now() const override;
  void post(server::Task task) override;
  void run(server::Pool pool, server::Work work, server::WorkDone done) override;
  void on_wake(std::function<void()> callback) override;
  void wake_at(std::int64_t monotonic_us) override;
  void send(net::PeerMessage message) override;
  void disk_failed(std::string text) override;
  void report(server::Severity severity, std::string text) override;

 private:
  // Shared with the events that ring it, which may come after the ports are gone.
  struct Timer {
    std::function<void()> callback;
    std::optional<std::int64_t> due;
    // An event that rings no later than `due` is on its way.
    bool armed = false;
    std::int64_t armed_for = 0;
  };
  static void ring(SimNode& node, const std::shared_ptr<Timer>& timer, std::int64_t armed_for);

  SimNode& node_;
  const std::uint32_t line_;
  const std::shared_ptr<Timer> timer_;
};

}  // namespace lignum::jepsen
