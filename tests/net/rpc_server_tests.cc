// The RPC server over real sockets and threads: requests, replies from anywhere, caps, shutdown.
// Meant for ThreadSanitizer too.

#include "net/rpc_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "net/lanes.h"
#include "net/proto/client.pb.h"
#include "raft/error.h"
#include "raft/payload.h"
#include "tests/net/raw_client.h"
#include "tests/net/rpc_fixture.h"

namespace lignum::net {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

wire::Response empty_read() {
  wire::Response response;
  response.mutable_read();
  return response;
}

class RpcServerTest : public RpcTest {};

TEST_F(RpcServerTest, ServesRequests) {
  start();
  RawClient client = shaken();
  const auto reply =
      client.call(stat_request(2), Payload(std::vector<std::byte>(100, std::byte{1})));
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(reply->response.id(), 2U);
  EXPECT_EQ(reply->payload.size(), 100U);
  EXPECT_EQ(server_->counters().requests, 1U);
  EXPECT_EQ(server_->counters().connections_open, 1U);
  EXPECT_GT(server_->counters().bytes_received, 100U);
  EXPECT_TRUE(eventually([&] { return server_->counters().bytes_sent > 100; }));
}

// Without a file descriptor left, connections wait in the kernel until there is one again.
TEST_F(RpcServerTest, WithoutDescriptorsItSaysSoAndGoesOnWhenThereAreSome) {
  std::atomic<int> told = 0;
  options_.report = [&told](const std::string& text) {
    if (text.contains("Too many open files")) ++told;
  };
  start();
  const int client = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ASSERT_GE(client, 0);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  // Lower than any number that is free.
  const rlimit none{.rlim_cur = 1, .rlim_max = before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(server_->port());
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): the sockets API.
  const auto* const to = reinterpret_cast<const sockaddr*>(&address);
  const bool connected = ::connect(client, to, sizeof address) == 0;
  const bool said = eventually([&] { return told > 0; });
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_TRUE(connected);
  EXPECT_TRUE(said);
  EXPECT_TRUE(eventually([&] { return server_->counters().connections_accepted == 1; }));
  expect_healthy();
  // Once, not at every attempt.
  EXPECT_EQ(told, 1);
  ::close(client);
}

TEST_F(RpcServerTest, TheHandlerLearnsWhoAsks) {
  start();
  RawClient client = shaken();
  ASSERT_TRUE(client.send(parking_request(2)));
  auto parked = handler_.take();
  ASSERT_TRUE(parked.has_value());
  EXPECT_EQ(parked->context.client, "raw client");
  EXPECT_THAT(parked->context.peer, testing::StartsWith("127.0.0.1:"));
  EXPECT_FALSE(parked->context.closed->load());
  client.close();
  EXPECT_TRUE(eventually([&] { return parked->context.closed->load(); }));
  // Nobody is there to hear it; nothing happens.
  parked->reply(empty_read(), {});
}

TEST_F(RpcServerTest, PipelinedRequestsAreAllAnswered) {
  start();
  RawClient client = shaken();
  constexpr std::uint64_t kRequests = 3000;
  std::thread sender([&] {
    for (std::uint64_t id = 1; id <= kRequests; ++id) {
      EXPECT_TRUE(client.send(stat_request(id), Payload(std::vector<std::byte>(id % 300))));
    }
  });
  std::set<std::uint64_t> answered;
  for (std::uint64_t i = 0; i < kRequests; ++i) {
    const auto reply = client.receive();
    if (!reply) break;
    EXPECT_EQ(reply->payload.size(), reply->response.id() % 300);
    answered.insert(reply->response.id());
  }
  sender.join();
  EXPECT_EQ(answered.size(), kRequests);
}

TEST_F(RpcServerTest, LargePayloadsComeBackWhole) {
  start();
  RawClient client = shaken();
  std::vector<std::byte> bytes((std::size_t{16} << 20) - 200);
  for (std::size_t i = 0; i < bytes.size(); i += 7) bytes[i] = static_cast<std::byte>(i);
  const Payload payload(std::move(bytes));
  std::thread sender([&] { EXPECT_TRUE(client.send(stat_request(2), payload)); });
  const auto reply = client.receive();
  sender.join();
  ASSERT_TRUE(reply.has_value());
  EXPECT_TRUE(std::ranges::equal(reply->payload.bytes(), payload.bytes()));
}

// Sends far more than all bounds hold before it reads the first reply: nothing is dropped.
TEST_F(RpcServerTest, AtABoundTheServerStopsReadingAndLosesNothing) {
  options_.session.outstanding_max = 4;
  options_.session.output_bytes_max = std::size_t{1} << 20;
  start();
  RawClient client = shaken();
  constexpr std::uint64_t kRequests = 200;
  std::thread sender([&] {
    for (std::uint64_t id = 1; id <= kRequests; ++id) {
      EXPECT_TRUE(client.send(stat_request(id), Payload(std::vector<std::byte>(200'000))));
    }
  });
  // The server reads no further than its bounds and the kernel's buffers.
  ASSERT_TRUE(eventually([&] { return server_->counters().requests > 2; }));
  std::uint64_t answered = 0;
  while (answered < kRequests && client.receive()) ++answered;
  sender.join();
  EXPECT_EQ(answered, kRequests);
}

TEST_F(RpcServerTest, RepliesComeFromAnyThreadInAnyOrder) {
  start(3);
  constexpr std::uint64_t kRequests = 500;
  RawClient client = shaken();
  std::thread sender([&] {
    for (std::uint64_t id = 1; id <= kRequests; ++id) {
      EXPECT_TRUE(client.send(parking_request(id)));
    }
  });
  const auto answer_some = [&] {
    for (std::uint64_t i = 0; i < kRequests / 2; ++i) {
      auto parked = handler_.take();
      if (parked) parked->reply(empty_read(), {});
    }
  };
  std::thread one(answer_some);
  std::thread two(answer_some);
  std::set<std::uint64_t> answered;
  while (answered.size() < kRequests) {
    const auto reply = client.receive();
    if (!reply) break;
    EXPECT_TRUE(reply->response.has_read());
    answered.insert(reply->response.id());
  }
  for (std::thread* thread : {&sender, &one, &two}) thread->join();
  EXPECT_EQ(answered.size(), kRequests);
}

TEST_F(RpcServerTest, AReplyThatIsDroppedAnswersInternal) {
  start();
  RawClient client = shaken();
  ASSERT_TRUE(client.send(parking_request(5)));
  ASSERT_TRUE(handler_.take().has_value());
  const auto reply = client.receive();
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(reply->response.id(), 5U);
  EXPECT_EQ(reply->response.failure().code(), static_cast<std::uint32_t>(Errc::kInternal));
}

TEST_F(RpcServerTest, AReplyOutlivesConnectionServerAndLanes) {
  start();
  std::optional<TestHandler::Parked> parked;
  {
    RawClient client = shaken();
    ASSERT_TRUE(client.send(parking_request(5)));
    parked = handler_.take();
    ASSERT_TRUE(parked.has_value());
    server_.reset();
    lanes_.reset();
  }
  parked->reply(empty_read(), {});
}

TEST_F(RpcServerTest, OverTheCapANewConnectionIsClosedAtOnce) {
  options_.connections_max = 3;
  start();
  std::vector<RawClient> clients;
  for (int i = 0; i < 3; ++i) clients.push_back(shaken());
  EXPECT_TRUE(connect().wait_closed());
  EXPECT_EQ(server_->counters().connections_refused, 1U);
  clients.pop_back();
  EXPECT_TRUE(eventually([&] { return server_->counters().connections_open == 2; }));
  EXPECT_TRUE(eventually([&] { return connect().shake_hands(); }));
}

TEST_F(RpcServerTest, OneAddressCannotTakeAllConnections) {
  options_.connections_per_address_max = 2;
  start();
  const RawClient one = shaken();
  const RawClient two = shaken();
  EXPECT_TRUE(connect().wait_closed());
  EXPECT_EQ(server_->counters().connections_refused, 1U);
}

TEST_F(RpcServerTest, APortInUseIsNamed) {
  start();
  RpcServerOptions options;
  options.port = server_->port();
  RpcServer second(options, lanes_->contexts(), handler_);
  const Result<void> started = second.start();
  ASSERT_FALSE(started.has_value());
  EXPECT_EQ(started.error().code(), Errc::kUnavailable);
  EXPECT_THAT(started.error().message(),
              testing::HasSubstr("127.0.0.1:" + std::to_string(server_->port())));
  EXPECT_THAT(started.error().message(), testing::HasSubstr("in use"));
}

TEST_F(RpcServerTest, AnAddressThatIsNotOursIsNamed) {
  options_.host = "192.0.2.1";
  lanes_.emplace(LanesOptions{});
  RpcServer server(options_, lanes_->contexts(), handler_);
  const Result<void> started = server.start();
  ASSERT_FALSE(started.has_value());
  EXPECT_THAT(started.error().message(), testing::HasSubstr("192.0.2.1"));
}

TEST_F(RpcServerTest, DrainingAnswersWhatIsOutstandingAndThenCloses) {
  start();
  RawClient busy = shaken();
  RawClient idle = shaken();
  ASSERT_TRUE(busy.send(parking_request(5)));
  auto parked = handler_.take();
  ASSERT_TRUE(parked.has_value());
  server_->drain();
  EXPECT_TRUE(idle.wait_closed());
  EXPECT_FALSE(server_->wait_closed(milliseconds(1)));
  // A request that comes now is told why it is not served.
  ASSERT_TRUE(busy.send(stat_request(6)));
  auto reply = busy.receive();
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(reply->response.failure().code(), static_cast<std::uint32_t>(Errc::kShuttingDown));
  parked->reply(empty_read(), {});
  reply = busy.receive();
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(reply->response.id(), 5U);
  EXPECT_TRUE(busy.wait_closed());
  idle.close();
  busy.close();
  EXPECT_TRUE(server_->wait_closed(seconds(20)));
  EXPECT_FALSE(connect().shake_hands());
  // Nothing of the server keeps the lanes from running dry.
  lanes_->finish();
}

TEST_F(RpcServerTest, StopClosesEverythingNow) {
  start();
  RawClient client = shaken();
  ASSERT_TRUE(client.send(parking_request(5)));
  auto parked = handler_.take();
  ASSERT_TRUE(parked.has_value());
  server_->stop();
  EXPECT_TRUE(client.wait_closed());
  EXPECT_TRUE(server_->wait_closed(seconds(20)));
  EXPECT_TRUE(parked->context.closed->load());
  EXPECT_EQ(server_->counters().connections_open, 0U);
}

TEST_F(RpcServerTest, ConnectionsAreSpreadOverTheLanes) {
  start(2);
  std::set<std::size_t> lanes;
  std::vector<RawClient> clients;
  std::vector<TestHandler::Parked> parked;
  for (int i = 0; i < 4; ++i) {
    clients.push_back(shaken());
    ASSERT_TRUE(clients.back().send(parking_request(2)));
    auto one = handler_.take();
    ASSERT_TRUE(one.has_value());
    lanes.insert(one->context.lane);
    parked.push_back(std::move(*one));
  }
  EXPECT_EQ(lanes.size(), 2U);
}

}  // namespace
}  // namespace lignum::net
