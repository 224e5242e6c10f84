#pragma once

// The connections of a simulated node: the real session of each, between the network and the
// services.
//
// Does what net/rpc_connection.h does with sockets: bytes in, requests to dispatch(), replies and
// bytes out, deadlines. Owned by one life of a SimNode and called from its events.

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "jepsen/sim/sim_network.h"
#include "jepsen/sim/world.h"
#include "net/memory_budget.h"
#include "net/server_session.h"
#include "raft/payload.h"
#include "server/service/call.h"
#include "server/service/dispatch.h"
#include "storage/identity_file.h"

namespace lignum::jepsen {

class SimNode;

struct SimServerOptions {
  storage::NodeIdentity identity;
  std::size_t outstanding_max = 4096;
};

class SimServer {
 public:
  static constexpr Moment kTick = 1'000'000;

  // All references outlive the server.
  SimServer(SimNode& node, SimNetwork& network, const server::ServiceContext& services,
            const SimServerOptions& options);
  ~SimServer();
  SimServer(const SimServer&) = delete;
  SimServer& operator=(const SimServer&) = delete;

  void open(StreamNumber stream);
  void receive(StreamNumber stream, Bytes bytes);
  void close(StreamNumber stream);
  // What is open is still answered; no new requests.
  void drain();

 private:
  struct Reply {
    std::uint64_t id = 0;
    server::Answer answer;
  };
  struct Connection {
    Connection(const net::ServerSession::Options& options, net::MemoryBudget& budget)
        : session(options, budget) {}
    net::ServerSession session;
    // Bytes that came while the session did not want any.
    std::vector<std::byte> unread;
    std::vector<Reply> replies;
    bool pumping = false;
    bool pump_posted = false;
  };
  using ConnectionPtr = std::shared_ptr<Connection>;

  void dispatch(StreamNumber stream, const ConnectionPtr& connection,
                net::ServerSession::Incoming incoming);
  void feed(Connection& connection) const;
  void pump(StreamNumber stream);
  void flush(StreamNumber stream, Connection& connection);
  void tick();

  SimNode& node_;
  SimNetwork& network_;
  const server::ServiceContext& services_;
  net::ServerSession::Options options_;
  net::MemoryBudget memory_;
  std::map<StreamNumber, ConnectionPtr> connections_;
};

}  // namespace lignum::jepsen
