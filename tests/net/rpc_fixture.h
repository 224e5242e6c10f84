#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "net/lanes.h"
#include "net/proto/client.pb.h"
#include "net/rpc_server.h"
#include "raft/mutex.h"
#include "raft/payload.h"
#include "tests/net/raw_client.h"

namespace lignum::net {

// Answers `stat` at once with the payload it got; keeps every other request until the test asks
// for it.
class TestHandler final : public RequestHandler {
 public:
  struct Parked {
    RequestContext context;
    wire::Request request;
    Reply reply;
  };

  void handle(const RequestContext& context, wire::Request request, Payload payload,
              Reply reply) override {
    if (request.has_stat()) {
      wire::Response response;
      response.mutable_stat()->set_connections(7);
      reply(std::move(response), {std::move(payload)});
      return;
    }
    const MutexLock lock(mutex_);
    parked_.push_back(
        {.context = context, .request = std::move(request), .reply = std::move(reply)});
    changed_.notify_all();
  }

  // Waits until one is there.
  std::optional<Parked> take() {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    const MutexLock lock(mutex_);
    while (parked_.empty()) {
      if (!changed_.wait_until(mutex_, end)) return std::nullopt;
    }
    std::optional<Parked> one(std::move(parked_.front()));
    parked_.pop_front();
    return one;
  }

 private:
  Mutex mutex_;
  ConditionVariable changed_;
  std::deque<Parked> parked_ GUARDED_BY(mutex_);
};

// True as soon as the condition is; false when it has not become so in 20 s.
template <class Condition>
[[nodiscard]] bool eventually(Condition condition) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::yield();
  }
  return true;
}

class RpcTest : public testing::Test {
 protected:
  RpcTest() { options_.port = 0; }
  ~RpcTest() override {
    server_.reset();
    if (lanes_) lanes_->stop();
  }

  void start(std::size_t lanes = 2) {
    lanes_.emplace(LanesOptions{.count = lanes});
    server_.emplace(options_, lanes_->contexts(), handler_);
    const Result<void> started = server_->start();
    ASSERT_TRUE(started.has_value()) << started.error().describe();
  }

  [[nodiscard]] RawClient connect() const { return RawClient(server_->port()); }
  [[nodiscard]] RawClient shaken() const {
    RawClient client = connect();
    EXPECT_TRUE(client.shake_hands());
    return client;
  }
  // A client that behaves is served.
  void expect_healthy() const {
    RawClient client = shaken();
    const auto reply = client.call(stat_request(2));
    ASSERT_TRUE(reply.has_value());
    EXPECT_EQ(reply->response.stat().connections(), 7U);
  }
  // Another kind of request, which the handler keeps.
  static wire::Request parking_request(std::uint64_t id) {
    wire::Request request;
    request.set_id(id);
    request.mutable_read();
    return request;
  }

  RpcServerOptions options_;
  TestHandler handler_;
  std::optional<Lanes> lanes_;
  std::optional<RpcServer> server_;
};

}  // namespace lignum::net
