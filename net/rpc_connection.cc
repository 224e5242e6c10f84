#include "net/rpc_connection.h"

#include <atomic>
#include <boost/asio/buffer.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <boost/system/error_code.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "net/proto/client.pb.h"
#include "net/rpc_server.h"
#include "net/server_session.h"
#include "raft/error.h"
#include "raft/payload.h"

namespace lignum::net {

namespace asio = boost::asio;
using boost::system::error_code;

// What stands behind a Reply: answers on the lane, exactly once, also when dropped.
class RpcConnection::PendingReply {
 public:
  PendingReply(std::shared_ptr<RpcConnection> connection, std::uint64_t id)
      : connection_(std::move(connection)), id_(id) {}
  PendingReply(PendingReply&&) noexcept = default;
  PendingReply& operator=(PendingReply&&) = delete;
  PendingReply(const PendingReply&) = delete;
  PendingReply& operator=(const PendingReply&) = delete;
  ~PendingReply() {
    if (!connection_) return;
    wire::Response response;
    response.mutable_failure()->set_code(static_cast<std::uint32_t>(Errc::kInternal));
    response.mutable_failure()->set_message("the request was dropped without an answer");
    send(std::move(response), {});
  }

  void operator()(wire::Response response, std::vector<Payload> payload) {
    send(std::move(response), std::move(payload));
  }

 private:
  void send(wire::Response response, std::vector<Payload> payload) {
    auto connection = std::move(connection_);
    RpcConnection& target = *connection;
    // Never inline: a handler that answers at once would otherwise recurse for each request.
    asio::post(target.socket_.get_executor(),
               [keep = std::move(connection), id = id_, answer = std::move(response),
                slices = std::move(payload)]() mutable {
                 keep->answer(id, std::move(answer), std::move(slices));
               });
  }

  std::shared_ptr<RpcConnection> connection_;
  std::uint64_t id_;
};

RpcConnection::RpcConnection(asio::ip::tcp::socket socket, RequestContext context,
                             const ServerSession::Options& session, RequestHandler& handler,
                             RpcCounters& counters, std::function<void()> on_closed)
    : socket_(std::move(socket)),
      handshake_timer_(socket_.get_executor()),
      context_(std::move(context)),
      closed_(std::make_shared<std::atomic<bool>>(false)),
      session_(session),
      handler_(handler),
      counters_(counters),
      on_closed_(std::move(on_closed)) {
  context_.closed = closed_;
}

void RpcConnection::start(std::chrono::milliseconds handshake_deadline) {
  error_code ignored;
  socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
  handshake_timer_.expires_after(handshake_deadline);
  handshake_timer_.async_wait([self = shared_from_this()](const error_code& error) {
    if (!error && !self->session_.handshaken()) self->close();
  });
  read();
}

void RpcConnection::drain() {
  session_.drain();
  pump();
}

void RpcConnection::close() {
  if (closed_->exchange(true)) return;
  error_code ignored;
  handshake_timer_.cancel();
  socket_.close(ignored);
  if (session_.broken()) counters_.connections_broken.fetch_add(1, std::memory_order_relaxed);
  on_closed_();
}

void RpcConnection::read() {
  if (reading_ || closed_->load() || !session_.wants_read()) return;
  reading_ = true;
  const auto room = session_.prepare();
  socket_.async_read_some(asio::buffer(room.data(), room.size()),
                          [self = shared_from_this()](const error_code& error, std::size_t bytes) {
                            self->on_read(error, bytes);
                          });
}

void RpcConnection::on_read(const error_code& error, std::size_t bytes) {
  reading_ = false;
  if (error) {
    close();
    return;
  }
  session_.commit(bytes);
  pump();
}

void RpcConnection::pump() {
  if (pumping_ || closed_->load()) return;
  pumping_ = true;
  while (auto incoming = session_.next_request()) dispatch(std::move(*incoming));
  pumping_ = false;
  if (session_.handshaken()) handshake_timer_.cancel();
  write();
  read();
}

void RpcConnection::dispatch(ServerSession::Incoming incoming) {
  counters_.requests.fetch_add(1, std::memory_order_relaxed);
  const std::uint64_t id = incoming.request.id();
  handler_.handle(context_, std::move(incoming.request), std::move(incoming.payload),
                  PendingReply(shared_from_this(), id));
}

void RpcConnection::answer(std::uint64_t id, wire::Response response,
                           std::vector<Payload> payload) {
  if (closed_->load()) return;
  session_.reply(id, std::move(response), std::move(payload));
  // What else is answered in this turn of the lane shares the write.
  if (writing_) return;
  writing_ = true;
  asio::post(socket_.get_executor(), [self = shared_from_this()] {
    self->writing_ = false;
    self->pump();
  });
}

void RpcConnection::write() {
  if (writing_ || closed_->load()) return;
  const std::vector<Bytes> pieces = session_.output();
  if (pieces.empty()) {
    if (session_.finished()) close();
    return;
  }
  writing_ = true;
  std::vector<asio::const_buffer> buffers;
  buffers.reserve(pieces.size());
  for (const Bytes& piece : pieces) buffers.emplace_back(piece.data(), piece.size());
  asio::async_write(socket_, buffers,
                    [self = shared_from_this(), count = pieces.size()](
                        const error_code& error, std::size_t) { self->on_written(error, count); });
}

void RpcConnection::on_written(const error_code& error, std::size_t pieces) {
  writing_ = false;
  if (error) {
    close();
    return;
  }
  session_.sent(pieces);
  pump();
}

}  // namespace lignum::net
