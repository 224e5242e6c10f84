// When checkpoints cannot be written, log piles up to a bound and no further: then appends are
// refused, what gives space back is not, and all goes on as soon as a checkpoint succeeds.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "jepsen/sim/sim_disk.h"
#include "net/proto/client.pb.h"
#include "raft/error.h"
#include "server/group/replica.h"
#include "server/group/segment_store.h"
#include "storage/memory_state_store.h"
#include "tests/server/batches.h"
#include "tests/server/sim_node.h"

namespace lignum::server {
namespace {

using testing::append_request;
using testing::Cell;
using testing::code_of;
using testing::create_request;
using ::testing::HasSubstr;
using testing::make_batch;
using testing::read_request;
using testing::SimNode;

constexpr std::uint32_t kRecords = 8;
constexpr std::size_t kRecordBytes = std::size_t{900} << 10;
constexpr std::size_t kBatch = kRecords * kRecordBytes;

class BacklogTest : public ::testing::Test {
 protected:
  void SetUp() override {
    cell.logs = {.make = make_segmented_log({}), .open = open_segmented_log({})};
    cell.groups = 1;
    start();
    auto request = create_request("app");
    request.mutable_create_stream()->set_shards(1);
    stream = node->call(request)->response.create_stream().stream().id();
  }
  void start() {
    node = std::make_unique<SimNode>(cell);
    ASSERT_TRUE(node->start()) << node->error;
  }
  void break_checkpoints(Errc error) {
    cell.disk->fail(
        {.error = error, .span = jepsen::FaultSpan::kUntilCleared, .path_part = "images/1/"});
  }
  std::optional<Answer> append() {
    const auto pending = node->send(append_request(stream, 0),
                                    make_batch(kRecords, {}, std::string(kRecordBytes, 'x')));
    // A segment may have to be prepared first.
    for (int i = 0; i < 100 && !*pending; ++i) node->world.advance(1'000);
    return *pending;
  }
  // Appends until it is refused; returns how much was taken.
  std::size_t fill(std::optional<Answer>& refusal) {
    for (std::size_t taken = 0;; taken += kBatch) {
      auto answer = append();
      if (!answer || !answer->response.has_append() || taken > 3 * Replica::kCheckpointBacklogMax) {
        refusal = answer;
        return taken;
      }
    }
  }

  Cell cell;
  std::unique_ptr<SimNode> node;
  std::uint64_t stream = 0;
};

TEST_F(BacklogTest, IsBoundedAndGoesByItself) {
  break_checkpoints(Errc::kIo);
  std::optional<Answer> refusal;
  const std::size_t taken = fill(refusal);
  EXPECT_GE(taken, Replica::kCheckpointBacklogMax - kBatch);
  EXPECT_LE(taken, Replica::kCheckpointBacklogMax + kBatch);
  ASSERT_EQ(code_of(refusal), Errc::kUnavailable);
  EXPECT_THAT(refusal->response.failure().message(), HasSubstr("wait for a checkpoint"));
  EXPECT_EQ(code_of(append()), Errc::kUnavailable);

  const auto read = node->call(read_request(stream, 0, 0));
  EXPECT_TRUE(read && read->response.has_read());
  wire::Request trim;
  trim.mutable_trim()->set_stream(stream);
  trim.mutable_trim()->set_before_offset(kRecords);
  const auto trimmed = node->call(trim);
  EXPECT_TRUE(trimmed && trimmed->response.has_trim());

  // Without anybody asking.
  cell.disk->clear_faults();
  node->world.advance(2 * Replica::kCheckpointRetryUs);
  const auto answer = append();
  EXPECT_TRUE(answer && answer->response.has_append());
}

TEST_F(BacklogTest, SaysThatTheDiskIsFullWhereThatIsTheReason) {
  break_checkpoints(Errc::kNoSpace);
  std::optional<Answer> refusal;
  fill(refusal);
  EXPECT_EQ(code_of(refusal), Errc::kNoSpace);
}

// It is found again in the log at the next start.
TEST_F(BacklogTest, HoldsOverAKill) {
  break_checkpoints(Errc::kIo);
  std::optional<Answer> refusal;
  fill(refusal);
  node.reset();
  // The store got its part of each checkpoint; without it everything is replayed.
  *cell.store = storage::MemoryStateStore();
  start();
  EXPECT_EQ(code_of(append()), Errc::kUnavailable);
  cell.disk->clear_faults();
  node->world.advance(2 * Replica::kCheckpointRetryUs);
  const auto answer = append();
  EXPECT_TRUE(answer && answer->response.has_append());
}

// A slow checkpoint is waited for, and nothing is refused.
TEST_F(BacklogTest, WithWorkingCheckpointsNothingIsRefused) {
  for (std::size_t taken = 0; taken < 3 * Replica::kCheckpointBacklogMax; taken += kBatch) {
    const auto answer = append();
    ASSERT_TRUE(answer && answer->response.has_append());
  }
}

}  // namespace
}  // namespace lignum::server
