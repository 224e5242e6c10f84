#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "net/connection_census.h"
#include "net/memory_budget.h"
#include "net/rpc_connection.h"
#include "net/rpc_server.h"
#include "net/server_session.h"

namespace lignum::net {

// The connections of one server on one lane.
//
// Owned by RpcServer, and by what it has posted. One timer for all connections: each tick asks
// every session about its deadlines; with none left it does not tick. Everything but the
// constructor is called on the lane.
class RpcLane : public std::enable_shared_from_this<RpcLane> {
 public:
  // What all lanes of a server share; outlives them.
  struct Shared {
    Shared(const ServerSession::Options& options, RequestHandler& requests,
           ConnectionCensus::Caps caps, std::chrono::milliseconds between_ticks)
        : session(options),
          memory(options.memory_max),
          handler(requests),
          census(caps),
          tick(between_ticks) {}

    const ServerSession::Options session;
    MemoryBudget memory;
    RequestHandler& handler;
    ConnectionCensus census;
    RpcCounters counters;
    // Between ticks: a fraction of the shortest deadline.
    const std::chrono::milliseconds tick;
  };

  RpcLane(boost::asio::io_context& context, std::shared_ptr<Shared> shared)
      : context_(context), shared_(std::move(shared)), timer_(context) {}

  [[nodiscard]] boost::asio::io_context& context() { return context_; }

  // The census has admitted `address` and is told here when the connection is gone.
  void add(boost::asio::ip::tcp::socket socket, RequestContext context, std::string address);
  void drain();
  void close();

 private:
  struct Entry {
    std::shared_ptr<RpcConnection> connection;
    std::string address;
  };

  static boost::asio::awaitable<void> run_ticking(std::shared_ptr<RpcLane> self);
  void forget(std::uint64_t id);

  boost::asio::io_context& context_;
  const std::shared_ptr<Shared> shared_;
  boost::asio::steady_timer timer_;
  bool ticking_ = false;
  bool closed_ = false;
  bool draining_ = false;
  std::map<std::uint64_t, Entry> connections_;
};

}  // namespace lignum::net
