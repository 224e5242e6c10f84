#pragma once

// A client core and a model cluster with a bad network between them, in virtual time, from a seed.

#include <cstdint>
#include <functional>
#include <map>
#include <random>
#include <utility>
#include <vector>

#include "net/call.h"
#include "net/client_core.h"
#include "net/moment.h"
#include "net/proto/client.pb.h"
#include "raft/payload.h"
#include "raft/types.h"
#include "tests/net/model_cluster.h"

namespace lignum::net {

// Chances per thousand, for each request.
struct SimFaults {
  int lose_connection = 0;  // it breaks while the request is on its way
  int refuse = 0;           // answered with an error that may pass; nothing done
  int unknown = 0;          // answered with kUnknownOutcome; done or not
  int evict = 0;            // the shard forgets all its producers
  int repeat_answer = 0;    // the answer comes twice
  int refuse_connect = 0;
  Moment delay_max = 5 * kMillisecond;
  // How late a request may arrive whose connection has broken.
  Moment limbo_max = 5 * kSecond;
};

class SimWorld {
 public:
  SimWorld(std::uint64_t seed, SimFaults faults);

  ModelCluster cluster;
  SimFaults faults;

  [[nodiscard]] Moment now() const { return now_; }
  void call(Call call) { core_.call(std::move(call), now_); }
  // Called after every event; makes calls as it likes and says when it must be called next.
  std::function<Moment()> client_turn = [] { return kMomentMax; };
  void at(Moment when, std::function<void()> what);
  // Requests that arrive nowhere: the node is silent, the connection lives.
  std::function<bool(const wire::Request&)> swallows = [](const wire::Request&) { return false; };
  // Parked reads look again.
  void cluster_changed();
  // Runs until `done` or until virtual time `limit`; false for the latter.
  bool run(const std::function<bool()>& done, Moment limit);
  std::uint64_t draw(std::uint64_t below) { return random_() % below; }
  bool chance(int per_thousand) { return draw(1000) < static_cast<std::uint64_t>(per_thousand); }

 private:
  struct Link {
    std::uint64_t generation = 0;
    bool alive = false;
    Moment last_arrival = 0;
  };
  struct Parked {
    ClientCore::ConnectionId connection;
    std::uint64_t generation;
    wire::Request request;
  };

  void pump();
  void carry_out(ClientCore::Effect effect);
  void arrive(ClientCore::ConnectionId connection, std::uint64_t generation,
              const wire::Request& request, const Payload& payload);
  void answer(ClientCore::ConnectionId connection, std::uint64_t generation,
              const ModelCluster::Answer& answer);
  void serve(ClientCore::ConnectionId connection, std::uint64_t generation,
             const wire::Request& request, const Payload& payload);
  // True where a fault has answered.
  bool disturb(ClientCore::ConnectionId connection, std::uint64_t generation,
               const wire::Request& request, const Payload& payload);
  // Until there is something to read, or the wait is over.
  void park(ClientCore::ConnectionId connection, std::uint64_t generation,
            const wire::Request& request);
  Moment delay() {
    return 1 + static_cast<Moment>(draw(static_cast<std::uint64_t>(faults.delay_max)));
  }

  std::mt19937_64 random_;
  Moment now_ = 1;
  ClientCore core_;
  Moment client_wakeup_ = 0;
  std::uint64_t next_event_ = 0;
  std::map<std::pair<Moment, std::uint64_t>, std::function<void()>> events_;
  std::map<ClientCore::ConnectionId, Link> links_;
  std::vector<Parked> parked_;
};

}  // namespace lignum::net
