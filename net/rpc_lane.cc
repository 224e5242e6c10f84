#include "net/rpc_lane.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <cstdint>
#include <exception>
#include <memory>
#include <string>
#include <utility>

#include "net/moment.h"
#include "net/rpc_connection.h"
#include "net/rpc_server.h"
#include "raft/check.h"

namespace lignum::net {

namespace asio = boost::asio;

namespace {

Moment read_clock() {
  return std::chrono::duration_cast<std::chrono::microseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

}  // namespace

void RpcLane::add(asio::ip::tcp::socket socket, RequestContext context, std::string address) {
  if (closed_) {
    shared_->census.leave(address);
    return;
  }
  const std::uint64_t id = context.connection;
  // Posted, because a connection may close in the midst of a walk over all of them.
  auto forget = [weak = weak_from_this(), id] {
    const auto self = weak.lock();
    if (!self) return;
    asio::post(self->context_, [self, id] { self->forget(id); });
  };
  auto connection = std::make_shared<RpcConnection>(
      std::move(socket), std::move(context), shared_->session, shared_->memory, shared_->handler,
      shared_->counters, std::move(forget));
  connections_.emplace(id, Entry{.connection = connection, .address = std::move(address)});
  shared_->counters.connections_open.fetch_add(1);
  connection->start();
  connection->on_tick(read_clock());
  if (draining_) connection->drain();
  if (!std::exchange(ticking_, true)) {
    asio::co_spawn(context_, run_ticking(shared_from_this()),
                   [](const std::exception_ptr& thrown) { CHECK(thrown == nullptr); });
  }
}

void RpcLane::forget(std::uint64_t id) {
  const auto found = connections_.find(id);
  CHECK(found != connections_.end());
  const std::string address = std::move(found->second.address);
  connections_.erase(found);
  shared_->counters.connections_open.fetch_sub(1);
  if (connections_.empty()) timer_.cancel();
  // Last: whoever waits for it may then stop the lanes.
  shared_->census.leave(address);
}

void RpcLane::drain() {
  draining_ = true;
  for (const auto& [id, entry] : connections_) entry.connection->drain();
}

void RpcLane::close() {
  closed_ = true;
  for (const auto& [id, entry] : connections_) entry.connection->close();
}

asio::awaitable<void> RpcLane::run_ticking(std::shared_ptr<RpcLane> self) {
  while (!self->connections_.empty()) {
    self->timer_.expires_after(self->shared_->tick);
    co_await self->timer_.async_wait(asio::as_tuple(asio::use_awaitable));
    const Moment now = read_clock();
    for (const auto& [id, entry] : self->connections_) entry.connection->on_tick(now);
  }
  self->ticking_ = false;
}

}  // namespace lignum::net
