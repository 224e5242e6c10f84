// The client over real sockets and threads, against the RPC server with a model behind it. Meant
// for ThreadSanitizer too; waits on conditions, never sleeps.

#include "net/client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <future>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "net/proto/client.pb.h"
#include "net/rpc_server.h"
#include "raft/error.h"
#include "raft/mutex.h"
#include "raft/payload.h"
#include "raft/types.h"
#include "storage/level.h"
#include "tests/net/model_cluster.h"

namespace lignum {
namespace {

using net::ModelCluster;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// A node: the model behind a lock, reads at the watermark parked until something is appended.
class ModelNode final : public net::RequestHandler {
 public:
  explicit ModelNode(std::uint16_t port = 0) : work_(boost::asio::make_work_guard(io_)) {
    net::RpcServerOptions options;
    options.port = port;
    options.session.hello.set_protocol_version(1);
    server_ = std::make_unique<net::RpcServer>(std::move(options), std::vector{&io_}, *this);
    const auto started = server_->start();
    EXPECT_TRUE(started.has_value());
    thread_ = std::thread([this] { io_.run(); });
  }
  ~ModelNode() override {
    {
      const MutexLock lock(mutex_);
      parked_.clear();
    }
    server_->stop();
    work_.reset();
    thread_.join();
  }
  ModelNode(const ModelNode&) = delete;
  ModelNode& operator=(const ModelNode&) = delete;

  void handle(const net::RequestContext& /*context*/, wire::Request request, Payload payload,
              net::Reply reply) override {
    const MutexLock lock(mutex_);
    cluster_.set_wall(wall_ += 10);
    if (request.has_append() && refusals_ > 0) {
      --refusals_;
      reply(ModelCluster::failure(request, Errc::kNotLeader).response, {});
      return;
    }
    answer(
        {.request = std::move(request), .payload = std::move(payload), .reply = std::move(reply)});
    std::vector<Parked> again = std::exchange(parked_, {});
    for (Parked& parked : again) {
      answer(std::move(parked));
    }
  }

  template <class F>
  auto with(F use) {
    const MutexLock lock(mutex_);
    return use(cluster_);
  }
  void refuse_appends(int count) {
    const MutexLock lock(mutex_);
    refusals_ = count;
  }
  [[nodiscard]] std::string address() const {
    return "127.0.0.1:" + std::to_string(server_->port());
  }
  [[nodiscard]] std::uint16_t port() const { return server_->port(); }

 private:
  struct Parked {
    wire::Request request;
    Payload payload;
    net::Reply reply;
  };

  void answer(Parked parked) REQUIRES(mutex_) {
    if (parked.request.has_stat()) {
      wire::Response response;
      response.mutable_stat()->set_version("model");
      parked.reply(std::move(response), {});
      return;
    }
    auto answer = cluster_.handle(parked.request, parked.payload.bytes());
    if (answer) {
      parked.reply(std::move(answer->response), {answer->payload});
    } else {
      parked_.push_back(std::move(parked));
    }
  }

  boost::asio::io_context io_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  Mutex mutex_;
  ModelCluster cluster_ GUARDED_BY(mutex_);
  std::vector<Parked> parked_ GUARDED_BY(mutex_);
  int refusals_ GUARDED_BY(mutex_) = 0;
  TimeUs wall_ GUARDED_BY(mutex_) = 1'000'000;
  std::unique_ptr<net::RpcServer> server_;
  std::thread thread_;
};

std::unique_ptr<Client> connect(const ModelNode& node, ClientOptions options = {}) {
  options.endpoints = {node.address()};
  auto client = Client::connect(std::move(options));
  EXPECT_TRUE(client.has_value()) << client.error().describe();
  return std::move(*client);
}

Record record(const std::string& value, const std::string& key = "") {
  Record made{.value = to_bytes(value)};
  if (!key.empty()) {
    made.key = to_bytes(key);
  }
  return made;
}

std::string text(Bytes bytes) {
  std::string value;
  for (const std::byte byte : bytes) {
    value += static_cast<char>(byte);
  }
  return value;
}

TEST(ClientTest, NobodyListens) {
  ClientOptions options;
  options.endpoints = {"127.0.0.1:1", "nonsense"};
  options.connect_timeout = seconds(5);
  const auto client = Client::connect(options);
  ASSERT_FALSE(client);
  EXPECT_EQ(client.error().code(), Errc::kUnavailable);
  EXPECT_THAT(client.error().message(), HasSubstr("127.0.0.1:1"));
  EXPECT_THAT(client.error().message(), HasSubstr("nonsense"));
}

TEST(ClientTest, AppendsAndReadsBack) {
  ModelNode node;
  node.with([](ModelCluster& cluster) { return cluster.create("app", 2, 2); });
  const auto client = connect(node);
  Record first = record("hello", "k");
  first.level = Level::kError;
  first.fields = {{.name = "user", .value = "ann"}};
  first.time = 42;
  const auto ack = client->append_wait("app", first);
  ASSERT_TRUE(ack) << ack.error().describe();
  EXPECT_EQ(ack->offset, Offset(0));
  TailOptions options;
  options.streams = {"app"};
  options.start.kind = TailStart::Kind::kEarliest;
  auto tail = client->tail(options);
  ASSERT_TRUE(tail) << tail.error().describe();
  auto item = (*tail)->next(seconds(10));
  ASSERT_TRUE(item && std::holds_alternative<ReadRecord>(*item));
  const auto& read = std::get<ReadRecord>(*item);
  EXPECT_EQ(text(read.value), "hello");
  EXPECT_EQ(text(*read.key), "k");
  EXPECT_EQ(read.level, Level::kError);
  EXPECT_EQ(read.event_time, 42);
  EXPECT_EQ(read.append_time, ack->append_time);
  ASSERT_EQ(read.fields.size(), 1U);
  EXPECT_EQ(read.fields[0].name, "user");
  EXPECT_EQ(read.fields[0].value, "ann");
  item = (*tail)->next(seconds(10));
  ASSERT_TRUE(item && std::holds_alternative<Tail::End>(*item));
}

TEST(ClientTest, UnknownStreamIsNotFound) {
  const ModelNode node;
  const auto client = connect(node);
  const auto ack = client->append_wait("nothing", record("x"));
  ASSERT_FALSE(ack);
  EXPECT_EQ(ack.error().code(), Errc::kNotFound);
  const auto tail = client->tail({.streams = {"nothing"}});
  ASSERT_FALSE(tail);
  EXPECT_EQ(tail.error().code(), Errc::kNotFound);
}

// Appends "KEY:0" to "KEY:COUNT-1", one in 500 of them waiting for its outcome.
void append_numbers(Client& client, const std::string& key, int count, std::atomic<int>& good) {
  for (int i = 0; i < count; ++i) {
    const std::string value = key + ":" + std::to_string(i);
    if (i % 500 == 0) {
      EXPECT_TRUE(client.append_wait("app", record(value, key)));
      ++good;
      continue;
    }
    const auto done = [&good](const Result<AppendAck>& ack) { good += ack ? 1 : 0; };
    while (!client.append("app", record(value, key), done)) {
      std::this_thread::yield();
    }
  }
}

// On a command line it could not be told from a flag.
TEST(ClientTest, NoStreamIsMadeWithADashInFront) {
  ModelNode node;
  const auto client = connect(node);
  for (const char* const name : {"-", "-x", "--yes"}) {
    const auto made = client->create_stream(name, {});
    ASSERT_FALSE(made) << name;
    EXPECT_EQ(made.error().code(), Errc::kInvalidArgument);
    EXPECT_THAT(made.error().message(), HasSubstr("'-'"));
  }
}

TEST(ClientTest, ManyThreadsAppendEachRecordOnceAndInOrder) {
  constexpr int kThreads = 4;
  constexpr int kRecords = 2000;
  ModelNode node;
  const StreamId stream =
      node.with([](ModelCluster& cluster) { return cluster.create("app", 3, 2); });
  const auto client = connect(node, {.batch_bytes = 2000, .buffer_bytes_max = 1 << 20});
  node.refuse_appends(10);
  std::atomic<int> good = 0;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back(
        [&, thread] { append_numbers(*client, "key" + std::to_string(thread), kRecords, good); });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  client->flush();
  EXPECT_EQ(good, kThreads * kRecords);
  std::vector<std::vector<int>> seen(kThreads);
  for (std::uint32_t shard = 0; shard < 3; ++shard) {
    for (const std::string& value :
         node.with([&](ModelCluster& cluster) { return cluster.values(stream, shard); })) {
      seen.at(static_cast<std::size_t>(value.at(3) - '0'))
          .push_back(std::stoi(value.substr(value.find(':') + 1)));
    }
  }
  for (const auto& numbers : seen) {
    ASSERT_EQ(numbers.size(), static_cast<std::size_t>(kRecords));
    EXPECT_TRUE(std::ranges::is_sorted(numbers));
  }
}

TEST(ClientTest, ListenersHearOfWholeBatches) {
  class Listener final : public AppendListener {
   public:
    void on_appended(std::span<const std::uint64_t> tags, const Result<AppendAck>& first) override {
      const MutexLock lock(mutex);
      for (std::size_t i = 0; i < tags.size(); ++i) {
        ASSERT_TRUE(first);
        offsets.at(tags[i]) = first->offset + i;
      }
    }
    Mutex mutex;
    std::vector<std::optional<Offset>> offsets = std::vector<std::optional<Offset>>(100);
  };
  ModelNode node;
  const StreamId stream =
      node.with([](ModelCluster& cluster) { return cluster.create("app", 1, 1); });
  const auto client = connect(node);
  Listener listener;
  for (std::uint64_t tag = 0; tag < 100; ++tag) {
    const std::vector<std::byte> value = to_bytes(std::to_string(tag));
    ASSERT_TRUE(client->append_view("app", {.value = value}, listener, tag));
  }
  client->flush();
  const auto values = node.with([&](ModelCluster& cluster) { return cluster.values(stream, 0); });
  const MutexLock lock(listener.mutex);
  for (std::size_t tag = 0; tag < 100; ++tag) {
    ASSERT_TRUE(listener.offsets.at(tag));
    EXPECT_EQ(values.at(listener.offsets.at(tag)->value()), std::to_string(tag));
  }
}

// With nothing else on its way, so that what the first half appends travels meanwhile.
TEST(ClientTest, LargeOutcomesAreToldInTwoHalves) {
  constexpr std::uint64_t kRecords = 1024;
  class Listener final : public AppendListener {
   public:
    void on_appended(std::span<const std::uint64_t> tags, const Result<AppendAck>& first) override {
      ASSERT_TRUE(first);
      const MutexLock lock(mutex);
      calls.push_back(tags.size());
      for (std::size_t i = 0; i < tags.size(); ++i) {
        ASSERT_EQ(offsets.size(), tags[i]);
        offsets.push_back(first->offset + i);
      }
      if (calls.size() > 2) return;
      for (const std::uint64_t tag : tags) {
        ASSERT_TRUE(client->append_view("app", {.value = value}, *this, kRecords + tag));
      }
    }
    Client* client = nullptr;
    std::vector<std::byte> value = std::vector<std::byte>(100);
    Mutex mutex;
    std::vector<std::size_t> calls;
    std::vector<Offset> offsets;
  };
  ModelNode node;
  node.with([](ModelCluster& cluster) { return cluster.create("app", 1, 1); });
  // One batch: it leaves with the flush.
  const auto client = connect(node, {.linger = std::chrono::hours(1)});
  Listener listener;
  listener.client = client.get();
  for (std::uint64_t tag = 0; tag < kRecords; ++tag) {
    ASSERT_TRUE(client->append_view("app", {.value = listener.value}, listener, tag));
  }
  client->flush();
  const MutexLock lock(listener.mutex);
  ASSERT_THAT(listener.calls, ::testing::SizeIs(::testing::Ge(3U)));
  EXPECT_EQ(listener.calls[0], kRecords / 2);
  EXPECT_EQ(listener.calls[1], kRecords / 2);
  ASSERT_EQ(listener.offsets.size(), 2 * kRecords);
  for (std::uint64_t i = 0; i < 2 * kRecords; ++i) EXPECT_EQ(listener.offsets[i], Offset(i));
}

// There is no half of one.
TEST(ClientTest, ALargeRecordIsToldOnce) {
  ModelNode node;
  node.with([](ModelCluster& cluster) { return cluster.create("app", 1, 1); });
  const auto client = connect(node);
  for (int i = 0; i < 3; ++i) {
    const auto ack = client->append_wait("app", record(std::string(1'000'000, 'x')));
    ASSERT_TRUE(ack) << ack.error().describe();
    EXPECT_EQ(ack->offset, Offset(static_cast<std::uint64_t>(i)));
  }
}

TEST(ClientTest, CallbacksMayAppend) {
  ModelNode node;
  node.with([](ModelCluster& cluster) { return cluster.create("app", 1, 1); });
  const auto client = connect(node);
  std::promise<void> finished;
  int left = 200;
  Client::AppendCallback again = [&](const Result<AppendAck>& ack) {
    ASSERT_TRUE(ack);
    if (--left == 0) {
      finished.set_value();
    } else {
      ASSERT_TRUE(client->append("app", record("x"), again));
    }
  };
  ASSERT_TRUE(client->append("app", record("x"), again));
  finished.get_future().get();
}

TEST(ClientTest, FullBufferBlocksAppendWait) {
  ModelNode node;
  node.with([](ModelCluster& cluster) { return cluster.create("app", 1, 1); });
  const auto client = connect(node, {.buffer_bytes_max = 200});
  std::vector<std::thread> threads;
  threads.reserve(4);
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int j = 0; j < 50; ++j) {
        EXPECT_TRUE(client->append_wait("app", record(std::string(100, 'x'))));
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  const auto large = client->append_wait("app", record(std::string(300, 'x')));
  ASSERT_FALSE(large);
  EXPECT_EQ(large.error().code(), Errc::kTooLarge);
}

TEST(ClientTest, ConditionalAppends) {
  ModelNode node;
  node.with([](ModelCluster& cluster) { return cluster.create("app", 2, 2); });
  const auto client = connect(node);
  const auto first =
      client->append_expecting("app", ShardNumber(1), Offset(0), {record("a"), record("b")});
  ASSERT_TRUE(first) << first.error().describe();
  const auto stale = client->append_expecting("app", ShardNumber(1), Offset(0), {record("c")});
  ASSERT_FALSE(stale);
  EXPECT_EQ(stale.error().code(), Errc::kOffsetMismatch);
  EXPECT_TRUE(client->append_expecting("app", ShardNumber(1), Offset(2), {record("c")}));
  EXPECT_EQ(
      client->append_expecting("app", ShardNumber(7), Offset(2), {record("c")}).error().code(),
      Errc::kNotFound);
}

TEST(ClientTest, TailFollowsWhatAnotherThreadAppends) {
  ModelNode node;
  node.with([](ModelCluster& cluster) { return cluster.create("app", 3, 3); });
  const auto writer = connect(node);
  const auto reader = connect(node);
  TailOptions options;
  options.streams = {"app"};
  options.start.kind = TailStart::Kind::kEarliest;
  options.follow = true;
  auto tail = reader->tail(options);
  ASSERT_TRUE(tail);
  std::thread appender([&] {
    for (int i = 0; i < 300; ++i) {
      EXPECT_TRUE(writer->append_wait("app", record(std::to_string(i), std::to_string(i % 7))));
    }
  });
  // One appender that waits for each: the merged order is its own.
  for (int i = 0; i < 300; ++i) {
    auto item = (*tail)->next(seconds(20));
    ASSERT_TRUE(item) << item.error().describe();
    ASSERT_TRUE(std::holds_alternative<ReadRecord>(*item)) << i;
    EXPECT_EQ(text(std::get<ReadRecord>(*item).value), std::to_string(i));
  }
  appender.join();
  const auto idle = (*tail)->next(milliseconds(1));
  ASSERT_TRUE(idle);
  EXPECT_TRUE(std::holds_alternative<Tail::Idle>(*idle));
  (*tail)->stop();
  const auto end = (*tail)->next(seconds(10));
  ASSERT_TRUE(end);
  EXPECT_TRUE(std::holds_alternative<Tail::End>(*end));
}

TEST(ClientTest, GoesOnWhenTheNodeComesBack) {
  auto node = std::make_unique<ModelNode>();
  node->with([](ModelCluster& cluster) { return cluster.create("app", 1, 1); });
  const auto client = connect(*node);
  ASSERT_TRUE(client->append_wait("app", record("a")));
  const std::uint16_t port = node->port();
  node.reset();
  auto later =
      std::async(std::launch::async, [&] { return client->append_wait("app", record("b")); });
  node = std::make_unique<ModelNode>(port);
  // The new node knows neither stream nor producer: the old stream is gone for the client.
  const auto lost = later.get();
  ASSERT_FALSE(lost);
  EXPECT_TRUE(lost.error().code() == Errc::kNotFound || lost.error().outcome_unknown())
      << lost.error().describe();
  node->with([](ModelCluster& cluster) {
    cluster.create("other", 1, 1);
    return cluster.create("app", 1, 1);
  });
  const auto ack = client->append_wait("app", record("c"));
  ASSERT_TRUE(ack) << ack.error().describe();
  EXPECT_EQ(ack->offset, Offset(0));
}

TEST(ClientTest, EndOfTheClientEndsItsTailsAndAppends) {
  ModelNode node;
  node.with([](ModelCluster& cluster) { return cluster.create("app", 1, 1); });
  auto client = connect(node);
  TailOptions options;
  options.streams = {"app"};
  options.follow = true;
  auto tail = client->tail(options);
  ASSERT_TRUE(tail);
  node.refuse_appends(1'000'000);
  std::atomic<int> ended = 0;
  ASSERT_TRUE(client->append("app", record("x"), [&](const Result<AppendAck>& ack) {
    EXPECT_FALSE(ack);
    ++ended;
  }));
  client.reset();
  EXPECT_EQ(ended, 1);
  const auto item = (*tail)->next(seconds(10));
  ASSERT_FALSE(item);
  EXPECT_EQ(item.error().code(), Errc::kCancelled);
}

TEST(ClientTest, WrongOptionsAreRefused) {
  EXPECT_EQ(Client::connect({.endpoints = {}}).error().code(), Errc::kInvalidArgument);
  EXPECT_EQ(Client::connect({.compression = "brotli"}).error().code(), Errc::kInvalidArgument);
}

TEST(ClientTest, Stat) {
  const ModelNode node;
  const auto client = connect(node);
  const auto stat = client->stat();
  ASSERT_TRUE(stat);
  EXPECT_EQ(stat->version, "model");
}

}  // namespace
}  // namespace lignum
