// Damage that a running logd meets, as its users see it: what is whole is served, what is not is
// named, and who appends is told at once. And a data directory that goes away under it.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>

#include "net/client.h"
#include "raft/error.h"
#include "tests/cluster/node.h"
#include "tests/cluster/process.h"

namespace lignum::cluster {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr int kLocalTrouble = 7;
constexpr int kUnhealthy = 10;
constexpr int kRecords = 300;

std::unique_ptr<Client> connect(const Node& node) {
  auto client = Client::connect({.endpoints = {node.endpoint()}});
  if (!client) {
    ADD_FAILURE() << client.error().describe();
    return nullptr;
  }
  return std::move(*client);
}

// A record's value: its number, then so much that a segment is filled.
std::string value_of(int number) { return fmt::format("{:05}/{}", number, std::string(2000, 'x')); }

// One shard, one record a batch, over more than one segment.
void fill(const Node& node) {
  const auto client = connect(node);
  ASSERT_NE(client, nullptr);
  ASSERT_TRUE(client->create_stream("app", {.shards = 1}));
  for (int i = 0; i < kRecords; ++i) {
    ASSERT_TRUE(client->append_wait("app", {.value = to_bytes(value_of(i))}));
  }
}

// Changes a byte of record `number` on the disk; which file it was.
fs::path hurt(const fs::path& data, int number) {
  for (const auto& file : fs::recursive_directory_iterator(data / "groups")) {
    if (file.path().extension() != ".seg") continue;
    std::string bytes = read_file(file.path());
    const std::size_t at = bytes.find(value_of(number).substr(0, 20));
    if (at == std::string::npos) continue;
    bytes.at(at + 10) = static_cast<char>(bytes.at(at + 10) ^ 4);
    write_file(file.path(), bytes);
    return file.path();
  }
  ADD_FAILURE() << "record " << number << " is nowhere";
  return {};
}

TEST(Damage, WhatIsWholeIsServedAndTheRestNamed) {
  Node node;
  ASSERT_TRUE(node.start()) << node.errors();
  ASSERT_NO_FATAL_FAILURE(fill(node));
  ASSERT_TRUE(node.terminate().has_value());
  const fs::path file = hurt(node.data(), 40);
  hurt(node.data(), 41);
  ASSERT_TRUE(node.start()) << node.errors();

  const auto whole = node.logctl({"read", "app/0", "-o", "cat"});
  EXPECT_EQ(whole.exit_code, kLocalTrouble);
  EXPECT_THAT(whole.out, AllOf(HasSubstr("00039/"), Not(HasSubstr("00040/"))));
  EXPECT_THAT(whole.err,
              AllOf(HasSubstr("offsets 40 to 41"), HasSubstr(file.string() + ": byte "),
                    HasSubstr("offset 42"), HasSubstr("--skip-gaps"), HasSubstr("--from")));
  const auto behind = node.logctl({"read", "app/0", "--from", "42", "-o", "cat"});
  EXPECT_EQ(behind.exit_code, 0) << behind.err;
  EXPECT_THAT(behind.out, AllOf(HasSubstr("00042/"), HasSubstr("00299/")));
  const auto over = node.logctl({"read", "app/0", "--skip-gaps", "-o", "cat"});
  EXPECT_EQ(over.exit_code, 0) << over.err;
  EXPECT_THAT(over.out, AllOf(HasSubstr("00039/"), Not(HasSubstr("00041/")), HasSubstr("00042/"),
                              HasSubstr("00299/")));
  EXPECT_THAT(over.err, HasSubstr("2 records of app/0 are unreadable (40 to 41): corrupt"));
  EXPECT_EQ(node.logctl({"stat"}).exit_code, kUnhealthy);

  const auto begun = std::chrono::steady_clock::now();
  const auto appended = node.logctl({"append", "app"}, "late\n");
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(10));
  EXPECT_EQ(appended.exit_code, kLocalTrouble);
  EXPECT_THAT(appended.err,
              AllOf(HasSubstr("is halted on node 1"), HasSubstr(file.string() + ": byte "),
                    HasSubstr("logctl verify")));
}

TEST(Damage, ADataDirectoryThatGoesAwayStopsTheNode) {
  Node node;
  ASSERT_TRUE(node.start()) << node.errors();
  ASSERT_NO_FATAL_FAILURE(fill(node));
  fs::remove_all(node.data());
  const auto ending = node.process().wait();
  ASSERT_TRUE(ending.has_value()) << "logd goes on without its files";
  EXPECT_EQ(ending->exit_code, kLocalTrouble);
  EXPECT_THAT(node.errors(), HasSubstr("removed"));
}

TEST(Damage, NothingIsAcknowledgedOnceTheFilesAreGone) {
  Node node;
  ASSERT_TRUE(node.start()) << node.errors();
  const auto client = connect(node);
  ASSERT_NE(client, nullptr);
  ASSERT_TRUE(client->create_stream("app", {.shards = 1}));
  ASSERT_TRUE(client->append_wait("app", {.value = to_bytes("before")}));
  fs::remove_all(node.data() / "groups");
  const auto late =
      client->append_expecting("app", ShardNumber(0), Offset(1), {{.value = to_bytes("late")}});
  EXPECT_FALSE(late) << "acknowledged, and gone with the process";
  const auto ending = node.process().wait();
  ASSERT_TRUE(ending.has_value());
  EXPECT_EQ(ending->exit_code, kLocalTrouble);
}

TEST(Damage, AMovedDataDirectoryStopsTheNodeToo) {
  Node node;
  ASSERT_TRUE(node.start()) << node.errors();
  fs::rename(node.data(), node.data().string() + ".moved");
  const auto ending = node.process().wait();
  ASSERT_TRUE(ending.has_value());
  EXPECT_EQ(ending->exit_code, kLocalTrouble);
  EXPECT_THAT(node.errors(), HasSubstr(node.data().string() + ": it was removed or moved away"));
}

}  // namespace
}  // namespace lignum::cluster
