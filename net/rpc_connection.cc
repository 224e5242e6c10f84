#include "net/rpc_connection.h"

#include <array>
#include <atomic>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/error_code.hpp>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <utility>

#include "net/memory_budget.h"
#include "net/moment.h"
#include "net/reply_box.h"
#include "net/rpc_server.h"
#include "net/server_session.h"
#include "raft/check.h"
#include "raft/payload.h"

namespace lignum::net {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

namespace {

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);

// How a loop ends. Nothing in it throws but for want of memory, and then the process ends.
void end_loop(const std::exception_ptr& thrown) { CHECK(thrown == nullptr); }

}  // namespace

RpcConnection::RpcConnection(tcp::socket socket, RequestContext context,
                             const ServerSession::Options& session, MemoryBudget& memory,
                             RequestHandler& handler, RpcCounters& counters,
                             std::move_only_function<void()> on_closed)
    : socket_(std::move(socket)),
      context_(std::move(context)),
      closed_(std::make_shared<std::atomic<bool>>(false)),
      session_(session, memory),
      handler_(handler),
      counters_(counters),
      on_closed_(std::move(on_closed)) {
  context_.closed = closed_;
}

RpcConnection::~RpcConnection() {
  closed_->store(true);
  if (replies_) replies_->close();
}

void RpcConnection::start() {
  replies_ = std::make_shared<ReplyBox>([this] {
    // Under the box's lock, and the destructor closes the box: so this object still stands.
    asio::post(socket_.get_executor(), [weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->pump();
    });
  });
  error_code ignored;
  socket_.set_option(tcp::no_delay(true), ignored);
  // A peer that vanished without a word is found by the kernel's probes.
  socket_.set_option(asio::socket_base::keep_alive(true), ignored);
  error_code error;
  socket_.non_blocking(true, error);
  if (error) {
    close();
    return;
  }
  resume_reading();
}

void RpcConnection::drain() {
  session_.drain();
  pump();
}

void RpcConnection::close() {
  if (closed_->exchange(true)) return;
  error_code ignored;
  socket_.close(ignored);
  if (replies_) replies_->close();
  if (session_.broken()) counters_.connections_broken.fetch_add(1, std::memory_order_relaxed);
  on_closed_();
}

void RpcConnection::on_tick(Moment now) {
  if (closed()) return;
  if (lingering_) {
    if (!linger_end_) linger_end_ = now + kLingerDeadline;
    if (now >= *linger_end_) close();
    return;
  }
  if (session_.on_tick(now)) {
    counters_.connections_stalled.fetch_add(1, std::memory_order_relaxed);
    close();
    return;
  }
  // Idle for a whole tick: the pending read, which owns the buffer, is called off.
  if (!std::exchange(active_, false) && session_.holds_buffer() && reading_) {
    error_code ignored;
    socket_.cancel(ignored);
  }
}

void RpcConnection::resume_reading() {
  if (reading_ || closed() || !(lingering_ || session_.wants_read())) return;
  reading_ = true;
  asio::co_spawn(socket_.get_executor(), run_reading(shared_from_this()), end_loop);
}

asio::awaitable<void> RpcConnection::run_reading(std::shared_ptr<RpcConnection> self) {
  tcp::socket& socket = self->socket_;
  while (!self->closed() && !self->lingering_ && self->session_.wants_read()) {
    if (!self->session_.holds_buffer()) {
      // An idle connection owns no buffer: it takes one when there is something to read.
      const auto [error] = co_await socket.async_wait(tcp::socket::wait_read, kAwait);
      if (error) {
        if (error != asio::error::operation_aborted) self->close();
        continue;
      }
    }
    const std::span<std::byte> room = self->session_.prepare();
    const auto [error, bytes] =
        co_await socket.async_read_some(asio::buffer(room.data(), room.size()), kAwait);
    self->on_read(error, bytes);
  }
  std::array<std::byte, 1024> rubbish{};
  while (!self->closed() && self->lingering_) {
    const auto [error, bytes] =
        co_await socket.async_read_some(asio::buffer(rubbish.data(), rubbish.size()), kAwait);
    if (error && error != asio::error::operation_aborted) self->close();
  }
  self->reading_ = false;
}

void RpcConnection::on_read(const error_code& error, std::size_t bytes) {
  if (closed()) return;
  if (error == asio::error::operation_aborted) {
    session_.release_idle();
    return;
  }
  if (error) {
    close();
    return;
  }
  if (lingering_) return;
  active_ = true;
  counters_.bytes_received.fetch_add(bytes, std::memory_order_relaxed);
  session_.commit(bytes);
  pump();
}

void RpcConnection::pump() {
  if (closed()) return;
  // Handlers that answer at once need not wake the lane.
  replies_->hold();
  while (auto incoming = session_.next_request()) dispatch(std::move(*incoming));
  collect_replies();
  flush();
  resume_reading();
}

void RpcConnection::dispatch(ServerSession::Incoming incoming) {
  counters_.requests.fetch_add(1, std::memory_order_relaxed);
  if (context_.client.empty()) context_.client = session_.client_name();
  const std::uint64_t id = incoming.request.id();
  handler_.handle(context_, std::move(incoming.request), std::move(incoming.payload),
                  PendingReply(replies_, id));
}

void RpcConnection::collect_replies() {
  for (ReplyBox::Answer& answer : replies_->collect()) {
    session_.reply(answer.id, std::move(answer.response), std::move(answer.payload));
  }
}

void RpcConnection::flush() {
  if (writing_ || lingering_) return;
  while (write_some()) {
  }
  if (closed()) return;
  if (session_.finished()) {
    linger();
  } else if (session_.output_bytes() > 0) {
    writing_ = true;
    asio::co_spawn(socket_.get_executor(), run_writing(shared_from_this()), end_loop);
  }
}

bool RpcConnection::write_some() {
  std::array<Bytes, kGatherMax> pieces;
  const std::size_t count = session_.output(pieces);
  if (count == 0) return false;
  gathered_.clear();
  for (const Bytes& piece : std::span(pieces).first(count)) {
    gathered_.emplace_back(piece.data(), piece.size());
  }
  error_code error;
  const std::size_t bytes = socket_.write_some(gathered_, error);
  if (error == asio::error::would_block) return false;
  if (error) {
    close();
    return false;
  }
  counters_.bytes_sent.fetch_add(bytes, std::memory_order_relaxed);
  session_.sent(bytes);
  return true;
}

asio::awaitable<void> RpcConnection::run_writing(std::shared_ptr<RpcConnection> self) {
  const auto [error] = co_await self->socket_.async_wait(tcp::socket::wait_write, kAwait);
  self->writing_ = false;
  if (error && error != asio::error::operation_aborted) self->close();
  self->pump();
}

void RpcConnection::linger() {
  lingering_ = true;
  // What is still unanswered will never be: the peer was told that it is over.
  replies_->close();
  error_code ignored;
  socket_.shutdown(tcp::socket::shutdown_send, ignored);
  resume_reading();
}

}  // namespace lignum::net
