#pragma once

// Accepts connections and carries requests to a handler: the Asio shell around ServerSession.
//
// Owned by App. Connections are spread over the lanes it is given and live on one lane for life.
// start(), drain() and stop() are called by one thread; the handler is called on lanes. Limits
// come before memory: connections in all and for each address, and the bounds and deadlines of
// ServerSession.

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "net/proto/client.pb.h"
#include "net/server_session.h"
#include "raft/error.h"
#include "raft/payload.h"

namespace boost::asio {
class io_context;  // NOLINT(readability-identifier-naming): Asio's
}

namespace lignum::net {

struct RpcServerOptions {
  std::string host = "127.0.0.1";
  std::uint16_t port = 7400;  // 0: any free one
  ServerSession::Options session;
  std::size_t connections_max = 10'000;
  std::size_t connections_per_address_max = 5'000;
  // News for the operator: that no connection can be accepted, and why. Called on the first lane,
  // at first and then every kAcceptReportEvery while it lasts.
  std::function<void(const std::string&)> report = [](const std::string&) {};
};

// What the handler may know about where a request came from. Cheap to copy; outlives the
// connection.
struct RequestContext {
  std::uint64_t connection = 0;
  std::string peer;
  // What the client called itself in its hello.
  std::string client;
  std::size_t lane = 0;
  // Turns true when the connection is gone: whoever still works for it may give up.
  std::shared_ptr<const std::atomic<bool>> closed;
};

// Answers one request; called once, from any thread. A Reply that is destroyed uncalled answers
// kInternal, so that no client waits for ever.
using Reply = std::move_only_function<void(wire::Response, std::vector<Payload>)>;

class RequestHandler {
 public:
  virtual ~RequestHandler() = default;
  // On the connection's lane; must not block or throw.
  virtual void handle(const RequestContext& context, wire::Request request, Payload payload,
                      Reply reply) = 0;
};

struct RpcCounters {
  std::atomic<std::uint64_t> connections_open{0};
  std::atomic<std::uint64_t> connections_accepted{0};
  std::atomic<std::uint64_t> connections_refused{0};  // over a cap
  std::atomic<std::uint64_t> connections_broken{0};   // broke the protocol
  std::atomic<std::uint64_t> connections_stalled{0};  // missed the handshake or stall deadline
  std::atomic<std::uint64_t> requests{0};
  std::atomic<std::uint64_t> bytes_received{0};
  std::atomic<std::uint64_t> bytes_sent{0};
};

class RpcServer {
 public:
  static constexpr std::chrono::seconds kAcceptReportEvery{10};

  // `lanes` (Lanes::contexts()) is not empty; lanes and handler outlive the server and its
  // connections. Replies may outlive all of them.
  RpcServer(RpcServerOptions options, const std::vector<boost::asio::io_context*>& lanes,
            RequestHandler& handler);
  ~RpcServer();
  RpcServer(const RpcServer&) = delete;
  RpcServer& operator=(const RpcServer&) = delete;

  // Binds and listens. kUnavailable names the address and what is wrong with it.
  Result<void> start();
  // The port that is listened on; after start().
  [[nodiscard]] std::uint16_t port() const;

  // Accepts no more connections; requests that still come are answered kShuttingDown, outstanding
  // ones as ever, and a connection that has none left is closed. Returns at once.
  void drain();
  // Closes everything now; returns at once. The lanes must still run for the sockets to close.
  void stop();
  // Waits until the last connection is closed, after drain() or stop(). False when the deadline
  // passed first. Not from a lane.
  [[nodiscard]] bool wait_closed(std::chrono::milliseconds deadline);

  [[nodiscard]] const RpcCounters& counters() const;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace lignum::net
