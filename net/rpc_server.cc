#include "net/rpc_server.h"

#include <fmt/format.h>
#include <google/protobuf/stubs/logging.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/errc.hpp>
#include <boost/system/error_code.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "net/connection_census.h"
#include "net/moment.h"
#include "net/rpc_lane.h"
#include "net/server_session.h"
#include "raft/check.h"
#include "raft/error.h"

namespace lignum::net {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

namespace {

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
// How long accepting pauses where the process has no file descriptor left.
constexpr std::chrono::milliseconds kAcceptPause{100};
// Deadlines are noticed this much late at most.
constexpr Moment kTickMax = 1 * kSecond;

std::chrono::milliseconds tick_of(const ServerSession::Options& session) {
  const Moment shortest = std::min(session.handshake_deadline, session.stall_deadline);
  return std::chrono::milliseconds(std::clamp<Moment>(shortest / 4, kMillisecond, kTickMax) /
                                   kMillisecond);
}

// For who started a node that cannot listen.
std::string_view next_step(const error_code& error) {
  if (error == asio::error::address_in_use) {
    return "; stop what serves there, or choose another with --listen";
  }
  if (error == boost::system::errc::address_not_available) {
    return "; choose an address of this machine with --listen";
  }
  return "";
}

}  // namespace

// Outlives its RpcServer for as long as something that it started still runs.
class RpcServer::Impl : public std::enable_shared_from_this<RpcServer::Impl> {
 public:
  Impl(RpcServerOptions options, const std::vector<asio::io_context*>& lanes,
       RequestHandler& handler)
      : host_(std::move(options.host)),
        port_(options.port),
        shared_(std::make_shared<RpcLane::Shared>(
            options.session, handler,
            ConnectionCensus::Caps{
                .connections_max = options.connections_max,
                .connections_per_address_max = options.connections_per_address_max},
            tick_of(options.session))),
        report_(std::move(options.report)),
        acceptor_(*lanes.front()),
        pause_(*lanes.front()) {
    // Otherwise whoever sends rubbish writes to our standard error.
    google::protobuf::SetLogHandler(nullptr);
    for (asio::io_context* lane : lanes) {
      lanes_.push_back(std::make_shared<RpcLane>(*lane, shared_));
    }
  }

  Result<void> start() {
    TRY(listen());
    asio::co_spawn(acceptor_.get_executor(), run_accepting(shared_from_this()),
                   [](const std::exception_ptr& thrown) { CHECK(thrown == nullptr); });
    return {};
  }

  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] const RpcCounters& counters() const { return shared_->counters; }

  void drain() {
    stop_accepting();
    for_each_lane([](RpcLane& lane) { lane.drain(); });
  }

  void stop() {
    stop_accepting();
    for_each_lane([](RpcLane& lane) { lane.close(); });
  }

  bool wait_closed(std::chrono::milliseconds deadline) {
    return shared_->census.wait_empty(deadline);
  }

 private:
  Result<void> listen() {
    const auto refuse = [this](const error_code& error) {
      return fail(Errc::kUnavailable, fmt::format("cannot listen on {}:{}: {}{}", host_, port_,
                                                  error.message(), next_step(error)));
    };
    error_code error;
    tcp::resolver resolver(acceptor_.get_executor());
    const auto found =
        resolver.resolve(host_, std::to_string(port_), tcp::resolver::passive, error);
    if (error) return refuse(error);
    const tcp::endpoint endpoint = found.begin()->endpoint();
    acceptor_.open(endpoint.protocol(), error);
    if (error) return refuse(error);
    // A restarted node takes its port at once, in spite of old connections in TIME_WAIT.
    acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
    if (error) return refuse(error);
    acceptor_.bind(endpoint, error);
    if (error) return refuse(error);
    acceptor_.listen(tcp::acceptor::max_listen_connections, error);
    if (error) return refuse(error);
    port_ = acceptor_.local_endpoint(error).port();
    return {};
  }

  static asio::awaitable<void> run_accepting(std::shared_ptr<Impl> self) {
    std::size_t next = 0;
    while (!self->stopped_.load()) {
      const std::shared_ptr<RpcLane> lane = self->lanes_[next++ % self->lanes_.size()];
      auto [error, socket] = co_await self->acceptor_.async_accept(lane->context(), kAwait);
      if (self->stopped_.load()) break;
      if (!error) {
        self->admit(std::move(socket), lane);
      } else if (error != asio::error::connection_aborted) {
        // Out of descriptors or memory: the listening socket would be ready again at once.
        self->tell_not_accepting(error);
        self->pause_.expires_after(kAcceptPause);
        co_await self->pause_.async_wait(kAwait);
      }
    }
  }

  void tell_not_accepting(const error_code& error) {
    const auto now = std::chrono::steady_clock::now();
    if (told_at_ && now - *told_at_ < kAcceptReportEvery) return;
    told_at_ = now;
    report_(fmt::format("cannot accept connections, trying again every {} ms: {}",
                        kAcceptPause.count(), error.message()));
  }

  void admit(tcp::socket socket, const std::shared_ptr<RpcLane>& lane) {
    error_code error;
    const tcp::endpoint peer = socket.remote_endpoint(error);
    if (error) return;
    std::string address = peer.address().to_string();
    if (!shared_->census.admit(address)) {
      shared_->counters.connections_refused.fetch_add(1);
      return;
    }
    shared_->counters.connections_accepted.fetch_add(1);
    const auto number = static_cast<std::size_t>(std::ranges::find(lanes_, lane) - lanes_.begin());
    RequestContext context{.connection = ++last_connection_,
                           .peer = fmt::format("{}:{}", address, peer.port()),
                           .client = {},
                           .lane = number,
                           .closed = {}};
    asio::post(lane->context(), [lane, moved = std::move(socket), about = std::move(context),
                                 from = std::move(address)]() mutable {
      lane->add(std::move(moved), std::move(about), std::move(from));
    });
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
  void for_each_lane(Use use) {
    // By way of the acceptor's lane: after the connections that it admitted before it stopped.
    asio::post(acceptor_.get_executor(), [self = shared_from_this(), use] {
      for (const auto& lane : self->lanes_) {
        asio::post(lane->context(), [lane, use] { use(*lane); });
      }
    });
  }

  const std::string host_;
  std::uint16_t port_;
  const std::shared_ptr<RpcLane::Shared> shared_;
  std::vector<std::shared_ptr<RpcLane>> lanes_;
  const std::function<void(const std::string&)> report_;
  // On the first lane, as what follows.
  tcp::acceptor acceptor_;
  asio::steady_timer pause_;
  std::uint64_t last_connection_ = 0;
  std::optional<std::chrono::steady_clock::time_point> told_at_;
  std::atomic<bool> stopped_{false};
};

RpcServer::RpcServer(RpcServerOptions options, const std::vector<asio::io_context*>& lanes,
                     RequestHandler& handler)
    : impl_(std::make_shared<Impl>(std::move(options), lanes, handler)) {}

// NOLINTNEXTLINE(bugprone-exception-escape): only for want of memory, which ends the process.
RpcServer::~RpcServer() { impl_->stop(); }

Result<void> RpcServer::start() { return impl_->start(); }
std::uint16_t RpcServer::port() const { return impl_->port(); }
void RpcServer::drain() { impl_->drain(); }
void RpcServer::stop() { impl_->stop(); }
bool RpcServer::wait_closed(std::chrono::milliseconds deadline) {
  return impl_->wait_closed(deadline);
}
const RpcCounters& RpcServer::counters() const { return impl_->counters(); }

}  // namespace lignum::net
