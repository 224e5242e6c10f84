// Answers that are made of many parts fit into a message whatever there is: lists come in pages,
// and what is wrong with each of a thousand shards or groups is cut short.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "net/message.h"
#include "net/proto/client.pb.h"
#include "raft/error.h"
#include "raft/types.h"
#include "server/group/replica.h"
#include "server/service/call.h"
#include "server/service/node.h"
#include "tests/server/memory_node.h"
#include "tests/server/sim_node.h"

namespace lignum::server {
namespace {

using testing::create_request;
using ::testing::EndsWith;
using testing::SimNode;
using ::testing::StartsWith;

constexpr std::size_t kHeaderBytesMax = net::MessageLimits{}.header_bytes_max;

class Listing : public testing::NodeTest {
 protected:
  // The longest names there may be, so that few streams take much room.
  static std::string long_name(int number) {
    return std::string(244, 'n') + std::to_string(10'000 + number);
  }
  void make(const std::string& name, std::uint32_t shards) {
    wire::Request request = create_request(name);
    request.mutable_create_stream()->set_shards(shards);
    const auto answer = node->call(request);
    ASSERT_TRUE(answer && answer->response.has_create_stream());
    names.insert(name);
  }
  void make_many(int count) {
    for (int i = 0; i < count; ++i) make(long_name(i), 1);
  }

  // One page, checked for its size.
  wire::ListStreamsReply list(const std::string& after) {
    wire::Request request;
    request.mutable_list_streams()->set_after(after);
    const auto answer = node->call(request);
    EXPECT_LT(answer->response.ByteSizeLong(), kHeaderBytesMax * 3 / 4);
    return answer->response.list_streams();
  }
  wire::ResolveReply resolve(const wire::ResolveRequest& body) {
    wire::Request request;
    *request.mutable_resolve() = body;
    const auto answer = node->call(request);
    EXPECT_LT(answer->response.ByteSizeLong(), kHeaderBytesMax * 3 / 4);
    return answer->response.resolve();
  }

  std::set<std::string> names;
};

// Adds a page's names to `seen`, and its size to what all pages take.
template <class Reply>
std::size_t collect(const Reply& page, std::vector<std::string>& seen) {
  for (const wire::StreamInfo& stream : page.streams()) seen.push_back(stream.name());
  return page.ByteSizeLong();
}

TEST_F(Listing, ComesInPagesThatAMessageCanHold) {
  start();
  make_many(1100);
  std::vector<std::string> seen;
  std::size_t bytes = 0;
  for (bool more = true; more;) {
    const auto page = list(seen.empty() ? "" : seen.back());
    ASSERT_FALSE(page.streams().empty());
    bytes += collect(page, seen);
    more = page.more();
  }
  EXPECT_EQ(seen, std::vector<std::string>(names.begin(), names.end()));
  EXPECT_GT(bytes, kHeaderBytesMax) << "in one answer it would have broken the connection";
  EXPECT_FALSE(list(seen.back()).more());
  EXPECT_TRUE(list(seen.back()).streams().empty());
}

TEST_F(Listing, ResolvesAllInPages) {
  start();
  make_many(1100);
  std::vector<std::string> seen;
  std::size_t bytes = 0;
  wire::ResolveRequest request;
  for (bool more = true; more;) {
    const auto page = resolve(request);
    ASSERT_FALSE(page.streams().empty());
    EXPECT_EQ(page.names_left(), 0U);
    bytes += collect(page, seen);
    request.set_after(seen.back());
    more = page.more();
  }
  EXPECT_EQ(seen, std::vector<std::string>(names.begin(), names.end()));
  EXPECT_GT(bytes, kHeaderBytesMax);
}

TEST_F(Listing, ResolvesNamesAsFarAsTheyFit) {
  start();
  make_many(1000);
  wire::ResolveRequest request;
  for (const std::string& name : names) {
    request.add_names(name);
    request.add_names("no-" + name.substr(200));
  }
  std::vector<std::string> seen;
  std::size_t bytes = 0;
  int rounds = 0;
  while (request.names_size() > 0 && rounds < 100) {
    const auto page = resolve(request);
    ASSERT_LT(page.names_left(), static_cast<std::uint32_t>(request.names_size()));
    bytes += collect(page, seen);
    const int done = request.names_size() - static_cast<int>(page.names_left());
    request.mutable_names()->DeleteSubrange(0, done);
    ++rounds;
  }
  EXPECT_EQ(seen, std::vector<std::string>(names.begin(), names.end()));
  EXPECT_GT(bytes, kHeaderBytesMax);
  EXPECT_GT(rounds, 1);
}

TEST_F(Listing, LargeStreamsAndAChangingCatalogueAreListedOnceEach) {
  start();
  for (int i = 0; i < 60; ++i) make("wide-" + std::to_string(i), 1024);
  std::vector<std::string> seen;
  std::size_t bytes = 0;
  int round = 0;
  for (bool more = true; more; ++round) {
    // Before and behind where the list has come to.
    make("a-" + std::to_string(round), 1);
    make("zz-" + std::to_string(round), 1);
    const auto page = list(seen.empty() ? "" : seen.back());
    ASSERT_FALSE(page.streams().empty());
    bytes += collect(page, seen);
    more = page.more();
  }
  EXPECT_GT(bytes, kHeaderBytesMax);
  EXPECT_TRUE(std::ranges::is_sorted(seen));
  EXPECT_EQ(std::ranges::adjacent_find(seen), seen.end()) << "a stream is listed twice";
  EXPECT_EQ(std::ranges::count_if(seen, [](const auto& name) { return name.starts_with("wide"); }),
            60);
}

// All shards of the widest stream, each with something long that is wrong with it.
TEST_F(Listing, ADescriptionFitsWhateverIsWrong) {
  start();
  make("wide", 1024);
  wire::Request request;
  request.mutable_describe_stream()->set_name("wide");
  const auto sound = node->call(request);
  ASSERT_EQ(sound->response.describe_stream().shards_size(), 1024);
  EXPECT_LT(sound->response.ByteSizeLong(), kHeaderBytesMax / 2);
  node.reset();
  damaged = {GroupId(1), GroupId(2)};
  damage = std::string(3000, 'd');
  start();
  const auto broken = node->call(request);
  ASSERT_EQ(broken->response.describe_stream().shards_size(), 1024);
  for (const wire::ShardStatus& shard : broken->response.describe_stream().shards()) {
    EXPECT_THAT(shard.unavailable().message(), StartsWith("group "));
    EXPECT_THAT(shard.unavailable().message(), EndsWith("d..."));
  }
  EXPECT_LT(broken->response.ByteSizeLong(), kHeaderBytesMax * 3 / 4);
}

TEST_F(Listing, TheStateOfANodeFitsWhateverIsWrong) {
  cell.groups = 1024;
  damage = std::string(3000, 'd');
  for (std::uint32_t group = 1; group <= cell.groups; ++group) damaged.insert(GroupId(group));
  node = std::make_unique<SimNode>(cell, 1, std::string(20'000, 'p'));
  ASSERT_TRUE(node->start()) << node->error;
  wire::Request request;
  request.mutable_stat();
  const auto answer = node->call(request);
  ASSERT_EQ(answer->response.stat().groups_size(), 1025);
  EXPECT_THAT(answer->response.stat().groups(1024).damage(), EndsWith("d..."));
  EXPECT_THAT(answer->response.stat().data_directory(), EndsWith("p..."));
  EXPECT_LT(answer->response.ByteSizeLong(), kHeaderBytesMax * 3 / 4);
}

TEST(StateOfAGroup, DamageThatIsCutLeavesNoRoomForTrouble) {
  ReplicaStatus status;
  status.damage = std::string(200, 'd');
  status.trouble = std::string(300'000, 't');
  for (const std::size_t room : std::array<std::size_t, 8>{0, 1, 2, 3, 96, 197, 198, 199}) {
    wire::GroupStatus group;
    encode_group(status, room, group);
    EXPECT_EQ(group.damage(), std::string(room, 'd') + "...");
    EXPECT_EQ(group.trouble(), "...") << room;
  }
  wire::GroupStatus group;
  encode_group(status, 210, group);
  EXPECT_EQ(group.damage(), status.damage);
  EXPECT_EQ(group.trouble(), std::string(10, 't') + "...");
}

TEST(FailureText, IsCutBetweenCharacters) {
  EXPECT_EQ(cut_text("short", 5), "short");
  EXPECT_EQ(cut_text("longer", 5), "longe...");
  // An a-umlaut takes the third and the fourth byte, a euro sign the next three.
  EXPECT_EQ(cut_text("ab\xC3\xA4\xE2\x82\xAC", 3), "ab...");
  EXPECT_EQ(cut_text("ab\xC3\xA4\xE2\x82\xAC", 4), "ab\xC3\xA4...");
  EXPECT_EQ(cut_text("ab\xC3\xA4\xE2\x82\xAC", 6), "ab\xC3\xA4...");
  EXPECT_EQ(cut_text("ab\xC3\xA4\xE2\x82\xAC", 7), "ab\xC3\xA4\xE2\x82\xAC");
  EXPECT_EQ(failure(Error(Errc::kInternal, std::string(300'000, 'x'))).response.failure().message(),
            std::string(kFailureTextMax, 'x') + "...");
}

}  // namespace
}  // namespace lignum::server
