#pragma once

// What a replica needs from the world outside its lane: time, threads, a timer, other replicas, a
// place for news.
//
// The driver above is deterministic: same calls, same answers, same behaviour. In production
// server/lane_ports.h stands behind these with Asio and thread pools; in tests and simulations a
// queue of events that is run by hand does. A replica owns none of it and is called back on its
// own lane only.

#include <cstdint>
#include <functional>
#include <string>

#include "net/peer_message.h"
#include "raft/error.h"
#include "raft/types.h"

namespace lignum::server {

// One reading of both clocks. The wall clock stamps and retains; the monotonic one waits.
struct Now {
  TimeUs wall_us = 0;
  std::int64_t monotonic_us = 0;
};

// Runs on a lane, once.
using Task = std::move_only_function<void()>;
// Runs once on a thread of a pool; touches no state of a lane.
using Work = std::move_only_function<Result<void>()>;
// Runs once on the lane that submitted the work.
using WorkDone = std::move_only_function<void(Result<void>)>;

// Which threads run a piece of work.
enum class Pool : std::uint8_t {
  kFlush,       // writes and syncs of live data; wide, so that groups flush side by side
  kRead,        // cold reads; never waits behind a flush
  kBackground,  // checkpoints, images, cleaning: one thread, in the order of submission
  kPrepare,     // segments that are filled with zeros for later: appends may wait for it
};

enum class Severity : std::uint8_t { kDebug, kInfo, kWarn, kError };

// Methods are called from the lane of the replica that holds the ports, except where they say so.
class Ports {
 public:
  virtual ~Ports() = default;

  // From any thread.
  [[nodiscard]] virtual Now now() const = 0;

  // Runs `task` on this lane after the current one has returned; tasks keep their order. Used to
  // gather everything that already waits on the lane before a flush leaves, and to come to the
  // lane from elsewhere. From any thread.
  virtual void post(Task task) = 0;

  // Runs `work` on a pool and then `done` on this lane. Work for kFlush runs, and is done, in the
  // order of submission through these ports, one piece at a time, and none after one that failed
  // (see disk_failed). kRead and kBackground may be refused when their bounded queue is full: then
  // `done` is posted with kOverloaded and `work` never ran. kFlush is never refused.
  virtual void run(Pool pool, Work work, WorkDone done) = 0;

  // Says what the timer calls. Set once, by the replica, before the first wake_at.
  virtual void on_wake(std::function<void()> callback) = 0;
  // Asks for one call of the above at or soon after `monotonic_us`. A later call replaces an
  // earlier one; the timer is one-shot.
  virtual void wake_at(std::int64_t monotonic_us) = 0;

  // Sends to another node: on its way at once, or lost. Never blocks, never fails, may overlap
  // itself; what arrives may be doubled, late and out of order, but is what was sent. Bounded: when
  // too much waits for a node, messages to it are lost.
  virtual void send(net::PeerMessage message) = 0;

  // A write or sync of live data failed. In production this does not return: the process stops
  // (docs/operating/disk-failure.md). A simulation kills the node.
  virtual void disk_failed(std::string text) = 0;

  // News for the operator, already phrased. Never blocks for long; never fails.
  virtual void report(Severity severity, std::string text) = 0;
};

}  // namespace lignum::server
