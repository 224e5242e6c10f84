// A node whose log is damaged while it serves, whose next segment cannot be made, and whose files
// are taken away: what is whole is served, nothing is acknowledged that would be lost, and whoever
// asks is told.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "jepsen/sim/sim_disk.h"
#include "net/proto/client.pb.h"
#include "raft/error.h"
#include "raft/payload.h"
#include "raft/types.h"
#include "server/group/data_group.h"
#include "server/group/halted.h"
#include "server/group/replica.h"
#include "server/group/segment_store.h"
#include "server/service/call.h"
#include "storage/memory_state_store.h"
#include "tests/server/batches.h"
#include "tests/server/sim_node.h"

namespace lignum::server {
namespace {

using jepsen::DiskOp;
using jepsen::FaultSpan;
using ::testing::AllOf;
using testing::append_request;
using testing::Cell;
using testing::code_of;
using testing::create_request;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::make_batch;
using testing::Pending;
using testing::read_request;
using testing::SimNode;

constexpr std::size_t kSegment = std::size_t{128} << 10;
constexpr std::uint64_t kNoLimit = std::uint64_t{1} << 40;

class DamageTest : public ::testing::Test {
 protected:
  DamageTest() {
    const SegmentStoreOptions options{.segment_bytes_min = kSegment, .segment_bytes_max = kSegment};
    cell.logs = {.make = make_segmented_log(options), .open = open_segmented_log(options)};
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
  // Reads come from the disk afterwards.
  void restart() {
    ASSERT_TRUE(node->stop());
    node.reset();
    start();
  }
  static std::string text_of(int number) { return fmt::format("{:09000}/", number); }
  std::optional<Answer> append(int number) {
    const Pending pending =
        node->send(append_request(stream, 0), make_batch(1, {}, text_of(number)));
    // A segment may have to be prepared first.
    for (int i = 0; i < 40 && !*pending && !node->world.dead; ++i) node->world.advance(10'000);
    return *pending;
  }
  void fill(int count) {
    for (int i = 0; i < count; ++i) {
      const auto answer = append(i);
      ASSERT_TRUE(answer && answer->response.has_append()) << i;
    }
  }
  std::optional<Answer> read(std::uint64_t from) {
    auto request = read_request(stream, 0, from);
    request.mutable_read()->set_bytes_max(4 << 20);
    return node->call(request);
  }
  void hurt(int number) {
    const std::string text = text_of(number);
    for (const auto& file : cell.disk->files()) {
      const std::vector<std::byte> bytes = cell.disk->contents(file.path);
      const auto found = std::ranges::search(bytes, std::as_bytes(std::span(text)));
      if (found.empty()) continue;
      cell.disk->flip(file.path, static_cast<std::uint64_t>(found.begin() - bytes.begin()), 1);
      return;
    }
    FAIL() << "batch " << number << " is nowhere";
  }
  struct State {
    ReplicaStatus status;
    bool disk_full = false;
  };
  State state() {
    State found;
    const auto sent = node->host().router().on_group(GroupId(1), [&found](const DataGroup& group) {
      found = {.status = group.status(), .disk_full = group.disk_full()};
    });
    EXPECT_TRUE(sent);
    node->world.run();
    return found;
  }
  std::vector<std::string> reports_of(const std::string& what) {
    std::vector<std::string> found;
    for (const std::string& each : node->world.reports) {
      if (each.contains(what)) found.push_back(each);
    }
    return found;
  }

  Cell cell;
  std::unique_ptr<SimNode> node;
  std::uint64_t stream = 0;
};

TEST_F(DamageTest, AReadEndsBeforeItAndOneThatBeginsThereIsRefused) {
  fill(20);
  restart();
  hurt(3);
  hurt(4);
  const auto before = read(0);
  ASSERT_TRUE(before && before->response.has_read());
  EXPECT_EQ(before->response.read().batches_size(), 3);
  EXPECT_EQ(before->response.read().next_offset(), 3U);
  for (const std::uint64_t from : {3U, 4U}) {
    const auto at = read(from);
    ASSERT_EQ(code_of(at), Errc::kCorrupt);
    EXPECT_EQ(at->response.failure().readable_offset(), 5U);
    EXPECT_THAT(at->response.failure().message(),
                AllOf(HasSubstr(fmt::format("offsets {} to 4", from)), HasSubstr(".seg: byte ")));
  }
  const auto behind = read(5);
  ASSERT_TRUE(behind && behind->response.has_read());
  EXPECT_EQ(behind->response.read().next_offset(), 20U);
}

// Known damage, though its reader got what it asked for.
TEST_F(DamageTest, TheGroupIsHaltedByTheReadThatMeetsItAndSaysWhatToDo) {
  fill(20);
  restart();
  hurt(3);
  EXPECT_TRUE(append(20)->response.has_append());
  ASSERT_TRUE(read(0)->response.has_read());
  EXPECT_THAT(state().status.damage, HasSubstr(".seg: byte "));
  const auto refused = append(21);
  ASSERT_EQ(code_of(refused), Errc::kHalted);
  EXPECT_THAT(refused->response.failure().message(),
              AllOf(HasSubstr("group 1 is halted on node 1"), HasSubstr(".seg: byte "),
                    HasSubstr("offsets 3 to 3"), HasSubstr("logctl verify")));
  // The time of a group that takes nothing more stands still: nobody waits for it.
  auto close = read_request(stream, 0, 21);
  close.mutable_read()->set_wait_ms(1000);
  close.mutable_read()->set_close_us(node->world.now.wall_us + 400'000);
  EXPECT_EQ(code_of(node->call(close)), Errc::kHalted);
  // Everything else goes on.
  EXPECT_EQ(read(4)->response.read().next_offset(), 21U);
}

TEST_F(DamageTest, AGroupThatIsDamagedAtTheStartSaysTheSame) {
  fill(20);
  ASSERT_TRUE(node->stop());
  node.reset();
  cell.disk->erase("groups/1/manifest");
  start();
  const auto refused = append(20);
  ASSERT_EQ(code_of(refused), Errc::kHalted);
  EXPECT_THAT(
      refused->response.failure().message(),
      AllOf(HasSubstr("group 1 is halted on node 1"), HasSubstr("manifest"), HasSubstr("verify")));
}

TEST(HaltedReplica, OfSeveralAnotherOneMayTakeItsPlace) {
  const HaltedReplica halted{.node = NodeId(2), .group = GroupId(3), .damage = "x", .alone = false};
  EXPECT_EQ(halted_error(halted).code(), Errc::kNotLeader);
  EXPECT_TRUE(halted_error(halted).may_retry());
}

TEST_F(DamageTest, ASegmentThatCannotBeMadeIsToldBeforeItIsNeededAndHeals) {
  cell.disk->fail({.op = DiskOp::kCreate,
                   .error = Errc::kIo,
                   .span = FaultSpan::kUntilCleared,
                   .path_part = "groups/1/"});
  int taken = 0;
  std::string trouble;
  std::optional<Answer> answer;
  for (; taken < 20; ++taken) {
    answer = append(taken);
    if (!answer || !answer->response.has_append()) break;
    if (trouble.empty()) trouble = state().status.trouble;
  }
  // Known while appends still went on.
  EXPECT_THAT(trouble, HasSubstr("injected fault"));
  ASSERT_EQ(code_of(answer), Errc::kUnavailable);
  EXPECT_THAT(answer->response.failure().message(),
              AllOf(HasSubstr("groups/1/"), HasSubstr("injected fault")));
  node->world.advance(20'000'000);
  EXPECT_EQ(code_of(append(taken)), Errc::kUnavailable);
  // Once a minute.
  const auto told = reports_of("cannot be prepared");
  ASSERT_EQ(told.size(), 1U);
  EXPECT_THAT(told.front(), AllOf(HasSubstr("groups/1/"), HasSubstr("injected fault")));
  EXPECT_FALSE(state().disk_full);
  ASSERT_FALSE(node->world.dead) << node->world.death;
  cell.disk->clear_faults();
  // Without an append that asks for it.
  node->world.advance(3'000'000);
  EXPECT_THAT(state().status.trouble, IsEmpty());
  EXPECT_EQ(reports_of("can be prepared again").size(), 1U);
  EXPECT_TRUE(append(taken)->response.has_append());
}

TEST_F(DamageTest, AFullDiskSaysHowMuchIsMissingAndIsNotCalledFullForLonger) {
  cell.disk->set_capacity(cell.disk->used_bytes());
  std::optional<Answer> answer;
  for (int i = 0; i < 20; ++i) {
    answer = append(i);
    if (!answer || !answer->response.has_append()) break;
  }
  ASSERT_EQ(code_of(answer), Errc::kNoSpace);
  EXPECT_THAT(answer->response.failure().message(),
              AllOf(HasSubstr("groups/1"), HasSubstr("bytes are free"),
                    HasSubstr("takes 131072 and must leave 16777216")));
  EXPECT_TRUE(state().disk_full);
  EXPECT_THAT(state().status.trouble, HasSubstr("no-space"));
  cell.disk->set_capacity(kNoLimit);
  node->world.advance(3'000'000);
  EXPECT_FALSE(state().disk_full);
  EXPECT_THAT(state().status.trouble, IsEmpty());
  EXPECT_TRUE(append(100)->response.has_append());
}

TEST_F(DamageTest, NothingIsAcknowledgedInFilesThatWereTakenAway) {
  for (const char* const gone : {"groups", "groups/1", "groups/1/0000000000000001.seg"}) {
    SCOPED_TRACE(gone);
    fill(1);
    cell.disk->erase(gone);
    const auto answer = append(1);
    EXPECT_FALSE(answer && answer->response.has_append());
    EXPECT_TRUE(node->world.dead);
    EXPECT_THAT(node->world.death, HasSubstr("removed"));
    cell.disk = std::make_shared<jepsen::SimDisk>();
    cell.store = std::make_shared<storage::MemoryStateStore>();
    node.reset();
    start();
    auto request = create_request("app");
    request.mutable_create_stream()->set_shards(1);
    stream = node->call(request)->response.create_stream().stream().id();
  }
}

}  // namespace
}  // namespace lignum::server
