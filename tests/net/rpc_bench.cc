// What the transport costs: round trips and pipelined small requests through the RPC server and a
// raw client, beside a bare loop of blocking sockets that moves the same bytes. By hand only:
//
//     rpc_bench [seconds for each figure]
//
// Only ratios of one run count: the machine's own speed moves.

#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <ratio>
#include <span>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "net/lanes.h"
#include "net/message.h"
#include "net/proto/client.pb.h"
#include "net/rpc_server.h"
#include "raft/check.h"
#include "raft/payload.h"
#include "tests/net/raw_client.h"

namespace lignum::net {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kPayloadBytes = 100;
constexpr std::size_t kPipeline = 256;
constexpr std::array<std::size_t, 2> kSpins = {0, 50};

class Echo final : public RequestHandler {
 public:
  void handle(const RequestContext& /*context*/, wire::Request /*request*/, Payload payload,
              Reply reply) override {
    wire::Response response;
    response.mutable_stat();
    std::vector<Payload> slices;
    slices.push_back(std::move(payload));
    reply(std::move(response), std::move(slices));
  }
};

// Receives and sends back what came: no framing, no checksums, no event loop.
class BareEcho {
 public:
  BareEcho() : listener_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    CHECK(bind(listener_, reinterpret_cast<sockaddr*>(&address), size) == 0);
    CHECK(listen(listener_, 1) == 0);
    CHECK(getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) == 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { run(); });
  }
  ~BareEcho() {
    thread_.join();
    ::close(listener_);
  }
  BareEcho(const BareEcho&) = delete;
  BareEcho& operator=(const BareEcho&) = delete;
  [[nodiscard]] std::uint16_t port() const { return port_; }

 private:
  void run() const {
    const int socket = accept(listener_, nullptr, nullptr);
    const int yes = 1;
    setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
    std::vector<std::byte> buffer(MessageReader::kChunkBytes);
    for (ssize_t n = 0; (n = recv(socket, buffer.data(), buffer.size(), 0)) > 0;) {
      if (send(socket, buffer.data(), static_cast<std::size_t>(n), MSG_NOSIGNAL) != n) break;
    }
    ::close(socket);
  }

  int listener_;
  std::uint16_t port_ = 0;
  std::thread thread_;
};

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + (static_cast<double>(t.tv_usec) / 1e6);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

std::vector<std::byte> request_bytes(std::uint64_t id) {
  const Payload payload{std::vector<std::byte>(kPayloadBytes)};
  std::vector<std::byte> bytes = encode_message(stat_request(id), std::span(&payload, 1));
  bytes.insert(bytes.end(), payload.bytes().begin(), payload.bytes().end());
  return bytes;
}

// One at a time.
void ping_pong(std::string_view name, RawClient& client, Clock::duration time) {
  const std::vector<std::byte> request = request_bytes(2);
  std::vector<double> micros;
  const auto end = Clock::now() + time;
  for (auto now = Clock::now(); now < end;) {
    const auto start = now;
    CHECK(client.send(Bytes(request)));
    CHECK(client.receive().has_value());
    now = Clock::now();
    micros.push_back(std::chrono::duration<double, std::micro>(now - start).count());
  }
  std::ranges::sort(micros);
  const auto at = [&](double part) {
    return micros[static_cast<std::size_t>(part * static_cast<double>(micros.size() - 1))];
  };
  fmt::print("{:<24} round trip us: p50 {:6.1f}  p99 {:6.1f}  p99.9 {:6.1f}\n", name, at(0.5),
             at(0.99), at(0.999));
}

// kPipeline requests in flight, sent in one piece and read without parsing on the client's side, so
// that the client costs the same for both servers.
void pipelined(std::string_view name, RawClient& client, Clock::duration time) {
  std::vector<std::byte> burst;
  for (std::uint64_t id = 1; id <= kPipeline; ++id) {
    const std::vector<std::byte> one = request_bytes(id);
    burst.insert(burst.end(), one.begin(), one.end());
  }
  std::uint64_t count = 0;
  const double cpu = cpu_seconds();
  const auto start = Clock::now();
  while (Clock::now() - start < time) {
    CHECK(client.send(Bytes(burst)));
    for (std::size_t i = 0; i < kPipeline; ++i) CHECK(client.receive().has_value());
    count += kPipeline;
  }
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  fmt::print("{:<24} pipelined: {:8.0f} k/s, {:5.2f} CPU us each (both ends)\n", name,
             static_cast<double>(count) / seconds / 1e3,
             (cpu_seconds() - cpu) * 1e6 / static_cast<double>(count));
}

void run_rpc(std::size_t spin, Clock::duration time) {
  Echo echo;
  Lanes lanes(LanesOptions{.count = 1, .spin = std::chrono::microseconds(spin)});
  RpcServerOptions options;
  options.port = 0;
  RpcServer server(options, lanes.contexts(), echo);
  CHECK(server.start().has_value());
  {
    RawClient client(server.port());
    CHECK(client.shake_hands());
    const auto name = fmt::format("rpc, spin {} us", spin);
    ping_pong(name, client, time);
    pipelined(name, client, time);
  }
  server.stop();
  CHECK(server.wait_closed(std::chrono::seconds(5)));
  lanes.stop();
}

void run_bare(Clock::duration time) {
  BareEcho echo;
  RawClient client(echo.port());
  ping_pong("bare sockets", client, time);
  pipelined("bare sockets", client, time);
}

}  // namespace
}  // namespace lignum::net

int main(int argc, char** argv) {
  const std::chrono::seconds time(argc > 1 ? std::atoi(argv[1]) : 2);
  for (int round = 0; round < 3; ++round) {
    lignum::net::run_bare(time);
    for (const std::size_t spin : lignum::net::kSpins) lignum::net::run_rpc(spin, time);
  }
  return 0;
}
