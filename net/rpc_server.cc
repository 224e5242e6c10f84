#include "net/rpc_server.h"

#include <fmt/format.h>

#include <atomic>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/system/error_code.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "net/rpc_connection.h"
#include "raft/check.h"
#include "raft/error.h"
#include "raft/mutex.h"

namespace lignum::net {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

namespace {

// How long accepting pauses where the process has no file descriptor left.
constexpr std::chrono::milliseconds kAcceptPause{100};

}  // namespace

class RpcServer::Impl : public std::enable_shared_from_this<RpcServer::Impl> {
 public:
  Impl(RpcServerOptions options, std::vector<asio::io_context*> lanes, RequestHandler& handler)
      : options_(std::move(options)),
        lanes_(std::move(lanes)),
        handler_(handler),
        acceptor_(*lanes_.front()),
        pause_(*lanes_.front()) {}

  Result<void> start() {
    TRY(listen());
    accept();
    return {};
  }

  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] const RpcCounters& counters() const { return counters_; }

  void drain() {
    stop_accepting();
    for_each([](RpcConnection& connection) { connection.drain(); });
  }

  void stop() {
    stop_accepting();
    for_each([](RpcConnection& connection) { connection.close(); });
  }

 private:
  struct Entry {
    std::weak_ptr<RpcConnection> connection;
    std::size_t lane = 0;
    std::string address;
  };

  Result<void> listen() {
    const auto refuse = [this](const error_code& error) {
      return fail(Errc::kUnavailable, fmt::format("cannot listen on {}:{}: {}", options_.host,
                                                  options_.port, error.message()));
    };
    error_code error;
    tcp::resolver resolver(*lanes_.front());
    const auto found = resolver.resolve(options_.host, std::to_string(options_.port),
                                        tcp::resolver::passive, error);
    if (error) return refuse(error);
    const tcp::endpoint endpoint = found.begin()->endpoint();
    acceptor_.open(endpoint.protocol(), error);
    if (error) return refuse(error);
    acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
    acceptor_.bind(endpoint, error);
    if (error) return refuse(error);
    acceptor_.listen(tcp::acceptor::max_listen_connections, error);
    if (error) return refuse(error);
    port_ = acceptor_.local_endpoint(error).port();
    return {};
  }

  void accept() {
    const std::size_t lane = next_lane_++ % lanes_.size();
    acceptor_.async_accept(*lanes_[lane], [self = shared_from_this(), lane](const error_code& error,
                                                                            tcp::socket socket) {
      self->on_accepted(error, std::move(socket), lane);
    });
  }

  void on_accepted(const error_code& error, tcp::socket socket, std::size_t lane) {
    if (stopped_.load() || error == asio::error::operation_aborted) return;
    if (error) {
      // Out of descriptors or memory: the listening socket would be ready again at once.
      pause_.expires_after(kAcceptPause);
      pause_.async_wait([self = shared_from_this()](const error_code& cancelled) {
        if (!cancelled && !self->stopped_.load()) self->accept();
      });
      return;
    }
    admit(std::move(socket), lane);
    accept();
  }

  void admit(tcp::socket socket, std::size_t lane) {
    error_code error;
    const tcp::endpoint peer = socket.remote_endpoint(error);
    if (error) return;
    const std::string address = peer.address().to_string();
    std::shared_ptr<RpcConnection> connection;
    {
      const MutexLock lock(mutex_);
      if (connections_.size() >= options_.connections_max ||
          per_address_[address] >= options_.connections_per_address_max) {
        if (per_address_[address] == 0) per_address_.erase(address);
        counters_.connections_refused.fetch_add(1);
        return;
      }
      ++per_address_[address];
      const std::uint64_t id = ++last_connection_;
      connection = std::make_shared<RpcConnection>(
          std::move(socket),
          RequestContext{.connection = id,
                         .peer = fmt::format("{}:{}", address, peer.port()),
                         .lane = lane,
                         .closed = {}},
          options_.session, handler_, counters_,
          [self = shared_from_this(), id] { self->forget(id); });
      connections_.emplace(id, Entry{.connection = connection, .lane = lane, .address = address});
    }
    counters_.connections_accepted.fetch_add(1);
    counters_.connections_open.fetch_add(1);
    asio::post(*lanes_[lane], [connection, deadline = options_.handshake_deadline] {
      connection->start(deadline);
    });
  }

  void forget(std::uint64_t id) {
    const MutexLock lock(mutex_);
    const auto found = connections_.find(id);
    CHECK(found != connections_.end());
    const auto count = per_address_.find(found->second.address);
    if (--count->second == 0) per_address_.erase(count);
    connections_.erase(found);
    counters_.connections_open.fetch_sub(1);
  }

  void stop_accepting() {
    if (stopped_.exchange(true)) return;
    asio::post(acceptor_.get_executor(), [self = shared_from_this()] {
      error_code ignored;
      self->acceptor_.close(ignored);
      self->pause_.cancel();
    });
  }

  template <class Use>
  void for_each(Use use) {
    const MutexLock lock(mutex_);
    for (const auto& [id, entry] : connections_) {
      asio::post(*lanes_[entry.lane], [weak = entry.connection, use] {
        if (const auto connection = weak.lock()) use(*connection);
      });
    }
  }

  const RpcServerOptions options_;
  const std::vector<asio::io_context*> lanes_;
  RequestHandler& handler_;
  tcp::acceptor acceptor_;
  asio::steady_timer pause_;
  std::uint16_t port_ = 0;
  std::size_t next_lane_ = 0;
  std::atomic<bool> stopped_{false};
  RpcCounters counters_;
  Mutex mutex_;
  std::uint64_t last_connection_ GUARDED_BY(mutex_) = 0;
  std::map<std::uint64_t, Entry> connections_ GUARDED_BY(mutex_);
  std::map<std::string, std::size_t> per_address_ GUARDED_BY(mutex_);
};

RpcServer::RpcServer(RpcServerOptions options, std::vector<asio::io_context*> lanes,
                     RequestHandler& handler)
    : impl_(std::make_shared<Impl>(std::move(options), std::move(lanes), handler)) {}

RpcServer::~RpcServer() { impl_->stop(); }

Result<void> RpcServer::start() { return impl_->start(); }
std::uint16_t RpcServer::port() const { return impl_->port(); }
void RpcServer::drain() { impl_->drain(); }
void RpcServer::stop() { impl_->stop(); }
const RpcCounters& RpcServer::counters() const { return impl_->counters(); }

}  // namespace lignum::net
