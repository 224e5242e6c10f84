#pragma once

#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/system/error_code.hpp>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "net/moment.h"
#include "net/reply_box.h"
#include "net/rpc_server.h"
#include "net/server_session.h"

namespace lignum::net {

// One accepted socket and its ServerSession.
//
// Made by an RpcLane and living on that lane; kept alive by its own pending operations too. All
// methods are called on the lane. Two coroutines at most: run_reading while the session wants to
// read, run_writing while the socket takes no more; replies are written at once, all that came in
// one turn of the lane with one system call. Deadlines are the session's: the lane ticks, and a
// closed socket ends every wait.
//
// The end: whoever was told why it is closed, or that the node drains, gets a FIN first and has
// kLingerDeadline to take what was said; a plain close() would throw that away by a reset.
class RpcConnection : public std::enable_shared_from_this<RpcConnection> {
 public:
  static constexpr Moment kLingerDeadline = 1 * kSecond;

  // `on_closed` is called once, on the lane, in the midst of other work: it only takes note.
  RpcConnection(boost::asio::ip::tcp::socket socket, RequestContext context,
                const ServerSession::Options& session, MemoryBudget& memory,
                RequestHandler& handler, RpcCounters& counters,
                std::move_only_function<void()> on_closed);
  ~RpcConnection();
  RpcConnection(const RpcConnection&) = delete;
  RpcConnection& operator=(const RpcConnection&) = delete;

  void start();
  void drain();
  void close();
  // Deadlines, and memory of idle connections.
  void on_tick(Moment now);
  [[nodiscard]] bool closed() const { return closed_->load(std::memory_order_relaxed); }

 private:
  static constexpr std::size_t kGatherMax = 64;

  // The loops keep the connection alive.
  static boost::asio::awaitable<void> run_reading(std::shared_ptr<RpcConnection> self);
  static boost::asio::awaitable<void> run_writing(std::shared_ptr<RpcConnection> self);

  void resume_reading();
  void on_read(const boost::system::error_code& error, std::size_t bytes);
  // Hands complete requests to the handler and sends what is there to send.
  void pump();
  void dispatch(ServerSession::Incoming incoming);
  void collect_replies();
  void flush();
  // False where the socket takes no more, or is closed.
  [[nodiscard]] bool write_some();
  void linger();

  boost::asio::ip::tcp::socket socket_;
  RequestContext context_;
  std::shared_ptr<std::atomic<bool>> closed_;
  ServerSession session_;
  RequestHandler& handler_;
  RpcCounters& counters_;
  std::move_only_function<void()> on_closed_;
  std::shared_ptr<ReplyBox> replies_;
  std::vector<boost::asio::const_buffer> gathered_;
  bool reading_ = false;
  bool writing_ = false;
  // Everything was said; what the peer still sends is thrown away.
  bool lingering_ = false;
  std::optional<Moment> linger_end_;
  // Something came since the last tick.
  bool active_ = false;
};

}  // namespace lignum::net
