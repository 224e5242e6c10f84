// A read never passes over a record in silence: either a level filter left it out, or it is damage.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "net/message.h"
#include "net/proto/client.pb.h"
#include "raft/error.h"
#include "raft/types.h"
#include "server/group/data_directory.h"
#include "server/group/group_host.h"
#include "storage/file.h"
#include "tests/server/batches.h"
#include "tests/server/memory_log.h"
#include "tests/server/sim_node.h"

namespace lignum::server {
namespace {

using testing::append_request;
using testing::code_of;
using testing::create_request;
using testing::make_batch;
using testing::MemoryDisk;
using testing::MemoryLog;
using testing::read_request;
using testing::SimNode;

class ReadGapTest : public ::testing::Test {
 protected:
  void SetUp() override {
    cell.groups = 1;
    cell.logs.make = [this](storage::Directory&, const MakeLogRequest& request) -> Result<void> {
      disks[request.group] = std::make_shared<MemoryDisk>();
      return {};
    };
    cell.logs.open = [this](storage::Directory&,
                            const OpenLogRequest& request) -> Result<OpenedLog> {
      auto opened = std::make_unique<MemoryLog>(disks.at(request.group));
      if (request.group == GroupId(1)) log = opened.get();
      return OpenedLog{.log = std::move(opened), .remarks = {}};
    };
    node = std::make_unique<SimNode>(cell);
    ASSERT_TRUE(node->start()) << node->error;
    auto request = create_request("app");
    request.mutable_create_stream()->set_shards(1);
    stream = node->call(request)->response.create_stream().stream().id();
    for (int i = 0; i < 3; ++i) {
      const auto answer =
          node->call(append_request(stream, 0), make_batch(2, {}, std::to_string(i)));
      ASSERT_TRUE(answer && answer->response.has_append());
    }
  }
  // The log loses the batch number `from_last` from its end (0: the last one).
  void lose(std::uint64_t from_last) { log->lost = Index(log->last().index.value() - from_last); }
  std::optional<Answer> read(std::uint64_t from, std::uint32_t levels = 0) {
    auto request = read_request(stream, 0, from);
    request.mutable_read()->set_level_mask(levels);
    return node->call(request);
  }

  testing::Cell cell;
  std::map<GroupId, std::shared_ptr<MemoryDisk>> disks;
  MemoryLog* log = nullptr;
  std::unique_ptr<SimNode> node;
  std::uint64_t stream = 0;
};

TEST_F(ReadGapTest, NothingFoundBelowTheWatermarkIsDamage) {
  lose(0);
  const auto answer = read(4);
  EXPECT_EQ(code_of(answer), Errc::kCorrupt);
  EXPECT_NE(answer->response.failure().message().find("offset 4"), std::string::npos);
}

TEST_F(ReadGapTest, ABatchThatIsPassedOverIsDamage) {
  lose(1);
  // What lies before it is served, and what lies behind it.
  EXPECT_EQ(read(0)->response.read().next_offset(), 2U);
  const auto answer = read(2);
  EXPECT_EQ(code_of(answer), Errc::kCorrupt);
  EXPECT_EQ(answer->response.failure().readable_offset(), 4U);
  EXPECT_THAT(answer->response.failure().message(), ::testing::HasSubstr("offsets 2 to 3"));
  EXPECT_EQ(read(4)->response.read().next_offset(), 6U);
  EXPECT_EQ(code_of(node->call(append_request(stream, 0), make_batch(1, {}, "x"))), Errc::kHalted);
}

TEST_F(ReadGapTest, TheFirstBatchThatIsPassedOverIsDamage) {
  lose(2);
  EXPECT_EQ(code_of(read(0)), Errc::kCorrupt);
}

// A read from the middle of a batch gets it whole: no gap.
TEST_F(ReadGapTest, AnOffsetInTheMiddleOfABatchIsFound) {
  const auto answer = read(3);
  ASSERT_TRUE(answer && answer->response.has_read());
  EXPECT_EQ(answer->response.read().batches_size(), 2);
  EXPECT_EQ(answer->response.read().next_offset(), 6U);
}

// The batches have no level: a filter leaves all of them out, which is no damage.
// However small the batches are: the header of an answer is bounded, too.
TEST_F(ReadGapTest, ManySmallBatchesTakeSeveralAnswers) {
  constexpr int kBatches = 6'000;
  for (int i = 0; i < kBatches; ++i) {
    const auto answer = node->call(append_request(stream, 0), make_batch(1, {}, "x"));
    ASSERT_TRUE(answer && answer->response.has_append());
  }
  std::uint64_t next = 0;
  int answers = 0;
  while (next < 6 + kBatches) {
    const auto answer = read(next);
    ASSERT_TRUE(answer && answer->response.has_read()) << "from " << next;
    EXPECT_LE(answer->response.ByteSizeLong(), net::MessageLimits{}.header_bytes_max);
    ASSERT_GT(answer->response.read().next_offset(), next);
    next = answer->response.read().next_offset();
    ++answers;
  }
  EXPECT_GE(answers, 2);
}

TEST_F(ReadGapTest, AFilterMayLeaveEverythingOut) {
  const auto answer = read(0, 1U << 17U);
  ASSERT_TRUE(answer && answer->response.has_read());
  EXPECT_EQ(answer->response.read().batches_size(), 0);
  EXPECT_EQ(answer->response.read().next_offset(), 6U);
}

}  // namespace
}  // namespace lignum::server
