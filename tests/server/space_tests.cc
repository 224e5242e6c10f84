// Space is given back: after trims, after deletions, and also when the node died in between.

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "raft/types.h"
#include "server/group/data_group.h"
#include "server/group/segment_store.h"
#include "tests/server/batches.h"
#include "tests/server/sim_node.h"

namespace lignum::server {
namespace {

using testing::append_request;
using testing::Cell;
using testing::create_request;
using testing::make_batch;
using testing::read_request;
using testing::SimNode;

constexpr std::size_t kSegment = std::size_t{64} << 10;

class SpaceTest : public ::testing::Test {
 protected:
  SpaceTest() {
    const SegmentStoreOptions options{.segment_bytes_min = kSegment, .segment_bytes_max = kSegment};
    cell.logs = {.make = make_segmented_log(options), .open = open_segmented_log(options)};
    cell.groups = 1;
  }
  void start() {
    node = std::make_unique<SimNode>(cell);
    ASSERT_TRUE(node->start()) << node->error;
  }
  std::uint64_t create(const std::string& name, std::int64_t retention_bytes = -1) {
    auto request = create_request(name);
    request.mutable_create_stream()->set_shards(1);
    if (retention_bytes > 0) request.mutable_create_stream()->set_retention_bytes(retention_bytes);
    return node->call(request)->response.create_stream().stream().id();
  }
  void fill(std::uint64_t stream) {
    for (int i = 0; i < 64; ++i) {
      const auto pending =
          node->send(append_request(stream, 0), make_batch(1, {}, std::string(8000, 'x')));
      node->world.advance(20'000);
      ASSERT_TRUE(*pending && (*pending)->response.has_append());
    }
  }
  std::uint64_t bytes() {
    std::uint64_t found = 0;
    const auto sent = node->host().router().on_group(
        GroupId(1), [&found](const DataGroup& group) { found = group.status().usage.bytes; });
    EXPECT_TRUE(sent);
    node->world.run();
    return found;
  }
  void remove(const std::string& name) {
    wire::Request request;
    request.mutable_delete_stream()->set_name(name);
    EXPECT_TRUE(node->call(request)->response.has_delete_stream());
  }

  Cell cell;
  std::unique_ptr<SimNode> node;
};

TEST_F(SpaceTest, OfTrimmedRecords) {
  start();
  const auto stream = create("app");
  fill(stream);
  const auto full = bytes();
  EXPECT_GE(full, 8 * kSegment);
  wire::Request trim;
  trim.mutable_trim()->set_stream(stream);
  trim.mutable_trim()->set_before_offset(60);
  EXPECT_EQ(node->call(trim)->response.trim().start_offset(), 60U);
  node->world.advance(30'000'000);
  EXPECT_LE(bytes(), 3 * kSegment);
  EXPECT_EQ(node->call(read_request(stream, 0, 60))->response.read().next_offset(), 64U);
}

TEST_F(SpaceTest, OfADeletedStreamAlsoAfterAKill) {
  start();
  const auto stream = create("app");
  fill(stream);
  remove("app");
  // The checkpoint holds the deletion, the space is not given back yet.
  EXPECT_TRUE(node->stop());
  node.reset();
  start();
  EXPECT_GE(bytes(), 8 * kSegment);
  node->world.advance(30'000'000);
  EXPECT_LE(bytes(), 3 * kSegment);
}

TEST_F(SpaceTest, ByRetentionOfBytes) {
  start();
  const auto stream = create("app", 100'000);
  fill(stream);
  node->world.advance(30'000'000);
  EXPECT_LE(bytes(), 5 * kSegment);
  const auto read = node->call(read_request(stream, 0, 63));
  EXPECT_EQ(read->response.read().batches_size(), 1);
  EXPECT_GT(read->response.read().start_offset(), 40U);
}

}  // namespace
}  // namespace lignum::server
