#pragma once

// One accepted socket and its ServerSession. Lives on one lane; kept alive by its own pending
// operations and by the replies that still owe it an answer.

#include <atomic>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/system/error_code.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "net/proto/client.pb.h"
#include "net/rpc_server.h"
#include "net/server_session.h"
#include "raft/payload.h"

namespace lignum::net {

class RpcConnection : public std::enable_shared_from_this<RpcConnection> {
 public:
  // `on_closed` is called once, on the lane, when the socket is closed.
  RpcConnection(boost::asio::ip::tcp::socket socket, RequestContext context,
                const ServerSession::Options& session, RequestHandler& handler,
                RpcCounters& counters, std::function<void()> on_closed);

  // All on the lane.
  void start(std::chrono::milliseconds handshake_deadline);
  void drain();
  void close();

 private:
  class PendingReply;

  void read();
  void on_read(const boost::system::error_code& error, std::size_t bytes);
  // Hands complete requests to the handler, then reads on unless a bound is reached.
  void pump();
  void dispatch(ServerSession::Incoming incoming);
  void answer(std::uint64_t id, wire::Response response, std::vector<Payload> payload);
  void write();
  void on_written(const boost::system::error_code& error, std::size_t pieces);

  boost::asio::ip::tcp::socket socket_;
  boost::asio::steady_timer handshake_timer_;
  RequestContext context_;
  std::shared_ptr<std::atomic<bool>> closed_;
  ServerSession session_;
  RequestHandler& handler_;
  RpcCounters& counters_;
  std::function<void()> on_closed_;
  bool reading_ = false;
  bool writing_ = false;
  bool pumping_ = false;
};

}  // namespace lignum::net
