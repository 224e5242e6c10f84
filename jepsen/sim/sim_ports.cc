#include "jepsen/sim/sim_ports.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "jepsen/sim/sim_node.h"
#include "net/peer_message.h"
#include "raft/error.h"
#include "server/group/ports.h"

namespace lignum::jepsen {

SimPorts::SimPorts(SimNode& node, std::uint32_t line)
    : node_(node), line_(line), timer_(std::make_shared<Timer>()) {}

SimPorts::~SimPorts() { timer_->due.reset(); }

server::Now SimPorts::now() const { return node_.clocks(); }

void SimPorts::post(server::Task task) { node_.later(0, std::move(task)); }

void SimPorts::run(server::Pool pool, server::Work work, server::WorkDone done) {
  if (node_.pools().submit(pool, line_, work, done)) return;
  node_.later(0, [refused = std::move(done)]() mutable {
    refused(fail(Errc::kOverloaded, "too much work waits for the disk"));
  });
}

void SimPorts::on_wake(std::function<void()> callback) { timer_->callback = std::move(callback); }

void SimPorts::wake_at(std::int64_t monotonic_us) {
  timer_->due = monotonic_us;
  if (timer_->armed && timer_->armed_for <= monotonic_us) return;
  timer_->armed = true;
  timer_->armed_for = monotonic_us;
  node_.later(node_.delay_until(monotonic_us),
              [&node = node_, timer = timer_, monotonic_us] { ring(node, timer, monotonic_us); });
}

void SimPorts::ring(SimNode& node, const std::shared_ptr<Timer>& timer, std::int64_t armed_for) {
  // One that was overtaken by an earlier.
  if (!timer->armed || timer->armed_for != armed_for) return;
  timer->armed = false;
  const std::optional<std::int64_t> due = timer->due;
  if (!due) return;
  if (*due > node.clocks().monotonic_us) {
    timer->armed = true;
    timer->armed_for = *due;
    node.later(node.delay_until(*due), [&node, timer, at = *due] { ring(node, timer, at); });
    return;
  }
  timer->due.reset();
  timer->callback();
}

void SimPorts::send(net::PeerMessage message) { node_.send(message); }

void SimPorts::disk_failed(std::string text) { node_.disk_failed(std::move(text)); }

void SimPorts::report(server::Severity severity, std::string text) { node_.report(severity, text); }

}  // namespace lignum::jepsen
