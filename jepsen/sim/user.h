#pragma once

// One user of a simulated cluster: draws operations, has its client carry them out, and writes down
// what came of each.
//
// Owned by a Workload. A user whose client is killed goes on with a new one, under a new number in
// the history: what the old one had in flight is unknown for ever.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "jepsen/check/history.h"
#include "jepsen/sim/sim_client.h"
#include "jepsen/sim/sim_network.h"
#include "jepsen/sim/workload.h"
#include "jepsen/sim/world.h"
#include "net/call.h"
#include "net/client.h"
#include "raft/error.h"
#include "raft/random.h"
#include "raft/types.h"

namespace lignum::jepsen {

class User {
 public:
  // The workload outlives it. `host` is its place in the network.
  User(Workload& workload, HostNumber host, std::uint32_t number);
  ~User();
  User(const User&) = delete;
  User& operator=(const User&) = delete;

  // Operations from now on, until quiet().
  void begin();
  void quiet() { running_ = false; }
  void kill_client();
  // One append to every shard, again and again until it is acknowledged; `acked` runs for each.
  void probe(const std::function<void()>& acked);
  [[nodiscard]] bool idle() const { return open_.empty(); }
  // What is still open ends as unknown, in the history.
  void finish();
  [[nodiscard]] SimClient& client() { return *client_; }

 private:
  // An append without an outcome.
  struct Open {
    ShardKey shard;
    Append append;
  };
  using OpenId = std::uint64_t;
  struct Place {
    const WorkloadStream* stream;
    ShardNumber shard;
    [[nodiscard]] ShardKey key() const { return {.stream = stream->id, .shard = shard}; }
  };
  struct Following {
    std::uint32_t number = 0;
    // Where each shard's tail is.
    std::map<ShardKey, Offset> next;
  };

  void start_client();
  void plan_next();
  void act();
  void append();
  void append_expecting();
  void read();
  // The offset at a time.
  void ask_for_time();
  // Everything there is of some levels, by a tail of its own.
  void scan_levels();
  void on_scanned(SimTail& tail, std::uint32_t mask);
  // A request that no node may take.
  void append_broken();
  void append_oversized();
  void trim();
  void trim_to(Place place, Offset before);
  void follow();
  void on_tail_news(SimTail& tail);
  void take_tailed(Following& following, const ReadRecord& record, std::vector<Value>& values);
  void take_gap(Following& following, const Gap& gap);
  void probe_shard(Place place, const std::function<void()>& acked);

  [[nodiscard]] Place draw_place();
  [[nodiscard]] Record draw_record(Place place, Value value);
  OpenId open(Place place, Append append);
  void close(OpenId id, const Result<AppendAck>& outcome);
  // `read` says what was asked; its end is set where it was to be linearizable.
  void on_read(Place place, Read read, const net::CallResult& result);

  Workload& workload_;
  World& world_;
  const HostNumber host_;
  const std::uint32_t number_;
  Random random_;
  std::unique_ptr<SimClient> client_;
  // Of the present client: in the history, and its next sequence number.
  std::uint32_t client_number_ = 0;
  std::uint64_t sequence_ = 0;
  bool running_ = false;
  OpenId next_open_ = 1;
  std::map<OpenId, Open> open_;
  // As far as this user knows.
  std::map<ShardKey, Offset> ends_;
  std::map<ShardKey, Offset> starts_;
  std::optional<Following> following_;
  bool scanning_ = false;
};

}  // namespace lignum::jepsen
