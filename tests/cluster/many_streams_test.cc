// A catalogue that does not fit into one message: listed completely, and found by patterns.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <utility>

#include "net/client.h"
#include "net/message.h"
#include "net/proto/client.pb.h"
#include "tests/cluster/node.h"
#include "tests/cluster/process.h"
#include "tests/cluster/raw_peer.h"

namespace lignum::cluster {
namespace {

using testing::HasSubstr;

constexpr int kStreams = 1100;

// Names as long as they may be; numbered so that their order is that of the numbers.
std::string name_of(int number) {
  return std::string(240, 'n') + "-" + std::to_string(10'000 + number);
}

class ManyStreams : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(node_.start()) << node_.errors();
    auto client = Client::connect({.endpoints = {node_.endpoint()}});
    ASSERT_TRUE(client) << client.error().describe();
    client_ = std::move(*client);
    make_streams();
  }

  // Many on their way at once share their flushes. Where there is no room for the moment, again.
  void make_streams() {
    RawPeer peer(node_.port());
    ASSERT_TRUE(peer.shake_hands());
    std::deque<int> left;
    for (int number = 0; number < kStreams; ++number) left.push_back(number);
    for (int round = 0; !left.empty(); ++round) {
      ASSERT_LT(round, 1000);
      const std::size_t count = std::min<std::size_t>(left.size(), 100);
      for (std::size_t i = 0; i < count; ++i) {
        wire::Request request;
        request.set_id(1 + static_cast<std::uint64_t>(left[i]));
        request.mutable_create_stream()->set_name(name_of(left[i]));
        request.mutable_create_stream()->set_shards(1);
        ASSERT_TRUE(peer.send(request));
      }
      for (std::size_t i = 0; i < count; ++i) {
        const auto response = peer.receive();
        ASSERT_TRUE(response.has_value());
        if (response->has_failure()) left.push_back(static_cast<int>(response->id() - 1));
      }
      left.erase(left.begin(), left.begin() + static_cast<std::ptrdiff_t>(count));
    }
  }

  Node node_;
  std::unique_ptr<Client> client_;
};

TEST_F(ManyStreams, AreListedAndReadByPattern) {
  // What one answer would have to hold, page after page.
  RawPeer peer(node_.port());
  ASSERT_TRUE(peer.shake_hands());
  std::size_t bytes = 0;
  int listed = 0;
  std::string last;
  for (bool more = true; more;) {
    wire::Request request;
    request.set_id(10 + static_cast<std::uint64_t>(listed));
    request.mutable_list_streams()->set_after(last);
    ASSERT_TRUE(peer.send(request));
    const auto response = peer.receive();
    ASSERT_TRUE(response && response->has_list_streams());
    bytes += response->list_streams().ByteSizeLong();
    for (const wire::StreamInfo& stream : response->list_streams().streams()) {
      EXPECT_EQ(stream.name(), name_of(listed++));
      last = stream.name();
    }
    more = response->list_streams().more();
  }
  EXPECT_EQ(listed, kStreams);
  EXPECT_GT(bytes, net::MessageLimits{}.header_bytes_max)
      << "without pages the node could not have answered";

  const auto streams = client_->list_streams();
  ASSERT_TRUE(streams) << streams.error().describe();
  EXPECT_EQ(streams->size(), static_cast<std::size_t>(kStreams));

  const RunResult ls = node_.logctl({"streams", "ls"});
  EXPECT_EQ(ls.exit_code, 0) << ls.err;
  for (const int number : {0, kStreams / 2, kStreams - 1}) {
    EXPECT_THAT(ls.out, HasSubstr(name_of(number)));
  }

  // By a pattern that all of them match, wherever the records are.
  for (const int number : {kStreams - 1, 0, kStreams / 2}) {
    const auto ack =
        client_->append_wait(name_of(number), {.value = to_bytes(std::to_string(number))});
    ASSERT_TRUE(ack) << ack.error().describe();
  }
  const RunResult read = node_.logctl({"read", "n*", "-o", "cat"});
  EXPECT_EQ(read.exit_code, 0) << read.err;
  EXPECT_EQ(read.out, "1099\n0\n550\n");
  const RunResult tail = node_.logctl({"tail", "n*-1*", "-n", "2", "-o", "cat"});
  EXPECT_EQ(tail.exit_code, 0) << tail.err;
  EXPECT_EQ(tail.out, "0\n550\n");
}

}  // namespace
}  // namespace lignum::cluster
