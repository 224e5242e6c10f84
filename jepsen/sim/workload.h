#pragma once

// What the clients of a simulated run do, and what they saw of it.
//
// Several users, each with a client process of its own that may be killed and begun anew: pipelined
// appends of an idempotent producer, conditional appends, linearizable reads, tails, trims. All of
// it goes into one History. Owned by a Run.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "jepsen/check/history.h"
#include "jepsen/sim/sim_client.h"
#include "jepsen/sim/sim_network.h"
#include "jepsen/sim/world.h"
#include "net/moment.h"
#include "raft/types.h"

namespace lignum::jepsen {

// How often of a hundred operations; the rest are appends.
struct WorkloadMix {
  std::uint32_t conditional = 5;
  std::uint32_t read = 15;
  std::uint32_t trim = 0;
};

struct WorkloadPlan {
  // Disks fail to be read, or are damaged: tails may have to go over it.
  bool unreadable = false;
  std::uint32_t users = 3;
  std::uint32_t streams = 1;
  std::uint32_t shards = 2;
  // Between two operations of one user.
  Moment pause_least = 2 * net::kMillisecond;
  Moment pause_most = 60 * net::kMillisecond;
  // Appends of one user without an outcome.
  std::uint32_t in_flight_max = 16;
  std::uint32_t burst_max = 4;
  std::size_t value_bytes_max = 400;
  WorkloadMix mix;
  // Users that follow a tail over all streams.
  std::uint32_t tails = 1;
  // Of a user's client process, per million operations.
  std::uint32_t kill_rate = 0;
  net::ProducerSettings producer;
};

struct WorkloadCounts {
  // Answered requests that appended: one batch is one, however many records it holds.
  std::uint64_t acked = 0;
  std::uint64_t records = 0;
  std::uint64_t unknown = 0;
  std::uint64_t failed = 0;
  std::uint64_t mismatches = 0;
  std::uint64_t reads = 0;
  std::uint64_t tailed = 0;
  std::uint64_t killed = 0;
};

// A stream as the users know it.
struct WorkloadStream {
  std::string name;
  StreamId id;
  std::uint32_t shards = 0;
};

class User;

class Workload {
 public:
  // Hosts nodes .. nodes + users - 1 of the network belong to the users.
  Workload(World& world, SimNetwork& network, HostNumber nodes, const WorkloadPlan& plan);
  ~Workload();
  Workload(const Workload&) = delete;
  Workload& operator=(const Workload&) = delete;

  // Makes the streams, however long it takes; then the users begin.
  void begin();
  [[nodiscard]] bool running() const { return running_; }
  // No new operations.
  void quiet();
  // Every shard takes one append of every user; `done` runs when all are acknowledged.
  void probe(std::function<void()> done);
  // Every append has its outcome.
  [[nodiscard]] bool idle() const;
  // What has no outcome yet counts as unknown from here on. Nothing runs after it.
  void finish();
  // Of a user, for the faults.
  void kill_client(std::uint32_t user);

  [[nodiscard]] History& history() { return history_; }
  [[nodiscard]] const WorkloadCounts& counts() const { return counts_; }
  [[nodiscard]] const std::vector<WorkloadStream>& streams() const { return streams_; }
  [[nodiscard]] std::uint32_t users() const { return plan_.users; }

 private:
  friend class User;
  void create(std::size_t stream);
  [[nodiscard]] std::uint32_t new_client() { return next_client_++; }
  [[nodiscard]] std::vector<std::string> endpoints() const;

  World& world_;
  SimNetwork& network_;
  const HostNumber nodes_;
  const WorkloadPlan plan_;
  History history_;
  WorkloadCounts counts_;
  std::vector<WorkloadStream> streams_;
  std::vector<std::unique_ptr<User>> users_;
  std::uint32_t next_client_ = 1;
  bool running_ = false;
};

}  // namespace lignum::jepsen
