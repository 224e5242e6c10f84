#include "jepsen/sim/sim_network.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "jepsen/sim/link.h"
#include "jepsen/sim/world.h"
#include "net/client.h"
#include "net/moment.h"

namespace lignum::jepsen {
namespace {

struct Listener final : StreamUser {
  void on_stream_opened(StreamNumber stream) override { opened.push_back(stream); }
  void on_stream_bytes(StreamNumber /*stream*/, std::vector<std::byte> bytes) override {
    for (const std::byte each : bytes) text += static_cast<char>(each);
  }
  void on_stream_closed(StreamNumber stream) override { closed.push_back(stream); }
  void on_message(std::vector<std::byte> bytes) override { messages.push_back(std::move(bytes)); }

  std::vector<StreamNumber> opened;
  std::vector<StreamNumber> closed;
  std::string text;
  std::vector<std::vector<std::byte>> messages;
};

class NetworkTest : public ::testing::Test {
 protected:
  NetworkTest() {
    network.join(0, server);
    network.join(1, client);
  }
  void run(Moment span) {
    const Moment until = world.now() + span;
    world.queue.at(until, [] {});
    while (world.now() < until && world.queue.step()) {
    }
  }
  StreamNumber connect() {
    const StreamNumber stream = network.connect(1, 0);
    run(net::kSecond);
    return stream;
  }

  World world{1, nullptr};
  SimNetwork network{world, 2};
  Listener server;
  Listener client;
};

TEST_F(NetworkTest, AStreamKeepsItsOrderThroughDelaysAndLosses) {
  network.link(1, 0).weather = {.delay_least = 1, .delay_most = 50'000, .loss_rate = 300'000};
  const StreamNumber stream = connect();
  std::string sent;
  for (int i = 0; i < 500; ++i) {
    const std::string piece = std::to_string(i) + ",";
    sent += piece;
    network.send(1, stream, to_bytes(piece));
  }
  run(100 * net::kSecond);
  EXPECT_EQ(server.text, sent);
}

TEST_F(NetworkTest, ABlockedLinkHoldsBytesBackAndAtLastBreaksTheStream) {
  const StreamNumber stream = connect();
  network.link(1, 0).cut = true;
  network.send(1, stream, to_bytes("late"));
  run(5 * net::kSecond);
  EXPECT_EQ(server.text, "");
  network.heal();
  run(net::kSecond);
  EXPECT_EQ(server.text, "late");
  network.link(1, 0).cut = true;
  network.send(1, stream, to_bytes("never"));
  run(30 * net::kSecond);
  EXPECT_EQ(server.text, "late");
  EXPECT_THAT(client.closed, ::testing::ElementsAre(stream));
  EXPECT_THAT(server.closed, ::testing::ElementsAre(stream));
}

TEST_F(NetworkTest, AMachineThatDiesIsSilentUntilItIsUpAgain) {
  const StreamNumber stream = connect();
  network.die(0, Death::kSilent);
  network.send(1, stream, to_bytes("anybody there"));
  run(net::kSecond);
  EXPECT_THAT(client.closed, ::testing::IsEmpty());
  network.join(0, server);
  network.send(1, stream, to_bytes("and now"));
  run(net::kSecond);
  EXPECT_THAT(client.closed, ::testing::ElementsAre(stream));
  EXPECT_EQ(server.text, "");
}

TEST_F(NetworkTest, AProcessThatDiesIsHeardOfAndRefusesConnections) {
  const StreamNumber stream = connect();
  network.die(0, Death::kReset);
  run(net::kSecond);
  EXPECT_THAT(client.closed, ::testing::ElementsAre(stream));
  const StreamNumber refused = network.connect(1, 0);
  run(net::kSecond);
  EXPECT_THAT(client.closed, ::testing::ElementsAre(stream, refused));
}

TEST_F(NetworkTest, MessagesAreLostDoubledAndOvertakeOneAnother) {
  network.link(1, 0).weather = {.delay_least = 1,
                                .delay_most = 10'000,
                                .loss_rate = 200'000,
                                .duplicate_rate = 200'000,
                                .reorder_rate = 100'000};
  for (int i = 0; i < 1000; ++i)
    network.send_message(1, 0, {std::byte(i % 256), std::byte(i / 256)});
  run(net::kSecond);
  EXPECT_NEAR(static_cast<double>(server.messages.size()), 960, 100);
  EXPECT_FALSE(std::ranges::is_sorted(server.messages, {}, [](const auto& message) {
    return std::to_integer<int>(message[0]) + 256 * std::to_integer<int>(message[1]);
  }));
}

TEST_F(NetworkTest, WhatIsSeldomSentComesAgainAsOftenAsTheRest) {
  network.link(1, 0).weather.replay_rate = 100'000;
  network.send_message(1, 0, {std::byte{7}}, 1);
  for (int i = 0; i < 1000; ++i) network.send_message(1, 0, {std::byte{8}}, 2);
  run(net::kSecond);
  const auto seldom = std::ranges::count(server.messages, std::vector{std::byte{7}});
  EXPECT_NEAR(static_cast<double>(seldom), 51, 25);
  EXPECT_NEAR(static_cast<double>(server.messages.size()), 1101, 40);
}

TEST_F(NetworkTest, CorruptionTurnsOneBitAndCutsLoseMessages) {
  network.link(1, 0).weather.corrupt_rate = 1'000'000;
  network.send_message(1, 0, std::vector<std::byte>(64));
  run(net::kSecond);
  ASSERT_EQ(server.messages.size(), 1U);
  int turned = 0;
  for (const std::byte each : server.messages[0]) {
    turned += std::popcount(std::to_integer<std::uint8_t>(each));
  }
  EXPECT_EQ(turned, 1);
  network.link(1, 0).cut = true;
  network.send_message(1, 0, {});
  run(net::kSecond);
  EXPECT_EQ(server.messages.size(), 1U);
}

}  // namespace
}  // namespace lignum::jepsen
