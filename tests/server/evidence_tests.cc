// A log that ends below what a checkpoint or an image has applied is damaged, not torn: its group
// is halted, and not a byte of it is changed.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "raft/error.h"
#include "raft/payload.h"
#include "server/group/segment_store.h"
#include "storage/byte_order.h"
#include "storage/frame_format.h"
#include "storage/memory_state_store.h"
#include "tests/server/batches.h"
#include "tests/server/sim_node.h"

namespace lignum::server {
namespace {

using testing::append_request;
using testing::Cell;
using testing::code_of;
using ::testing::Contains;
using testing::create_request;
using ::testing::HasSubstr;
using testing::make_batch;
using testing::read_request;
using testing::SimNode;

const std::string kActive = "groups/1/0000000000000001.seg";

class EvidenceTest : public ::testing::Test {
 protected:
  void SetUp() override {
    cell.logs = {.make = make_segmented_log({}), .open = open_segmented_log({})};
    cell.groups = 1;
    SimNode node(cell);
    ASSERT_TRUE(node.start()) << node.error;
    auto request = create_request("app");
    request.mutable_create_stream()->set_shards(1);
    stream = node.call(request)->response.create_stream().stream().id();
    for (int i = 0; i < 5; ++i) {
      const auto pending =
          node.send(append_request(stream, 0), make_batch(1, {}, std::string(500, 'x')));
      node.world.advance(1'000);
      ASSERT_TRUE(*pending && (*pending)->response.has_append());
    }
    // Stops with a checkpoint and an image of everything.
    ASSERT_TRUE(node.stop());
  }

  // Spoils the last entry and forgets what was written after it, as a power cut may.
  void tear_the_last_entry() {
    std::vector<std::byte> bytes = cell.disk->contents(kActive);
    std::vector<std::size_t> entries;
    for (std::size_t at = storage::kFramesStart; at + storage::kEnvelopeBytes <= bytes.size();
         at += storage::kFrameAlignment) {
      const bool frame = load_le<std::uint32_t>(bytes, at) == storage::kFrameMagic;
      if (frame && bytes[at + 8] == static_cast<std::byte>(storage::FrameKind::kEntry)) {
        entries.push_back(at);
      }
    }
    ASSERT_GE(entries.size(), 5U);
    torn_at = entries.back();
    std::fill(bytes.begin() + static_cast<std::ptrdiff_t>(torn_at) + 100, bytes.end(),
              std::byte{0});
    cell.disk->put(kActive, bytes);
  }

  // The node serves, group 1 is halted for `reason`, and its log is as it was.
  void expect_halted(const std::string& reason) {
    const auto before = cell.disk->contents(kActive);
    SimNode node(cell);
    ASSERT_TRUE(node.start()) << node.error;
    EXPECT_EQ(node.report.halted, 1U);
    EXPECT_THAT(node.world.reports, Contains(HasSubstr(reason)));
    EXPECT_THAT(node.world.reports,
                Contains(HasSubstr(kActive + ": byte " + std::to_string(torn_at))));
    EXPECT_EQ(code_of(node.call(read_request(stream, 0, 0))), Errc::kHalted);
    ASSERT_TRUE(node.stop());
    EXPECT_EQ(cell.disk->contents(kActive), before);
  }

  Cell cell;
  std::uint64_t stream = 0;
  std::size_t torn_at = 0;
};

TEST_F(EvidenceTest, ACheckpointAboveTheEndOfTheLogHaltsTheGroup) {
  tear_the_last_entry();
  expect_halted("the checkpoint proves that entry");
}

TEST_F(EvidenceTest, SoDoesAnImageWithoutACheckpoint) {
  *cell.store = storage::MemoryStateStore();
  tear_the_last_entry();
  expect_halted("the image");
}

// The same bytes without a witness are a torn write.
TEST_F(EvidenceTest, WithoutEitherTheTailIsCutAndTold) {
  *cell.store = storage::MemoryStateStore();
  for (const auto& file : cell.disk->files()) {
    if (file.path.starts_with("images/1/")) cell.disk->put(file.path, {});
  }
  tear_the_last_entry();
  SimNode node(cell);
  ASSERT_TRUE(node.start()) << node.error;
  EXPECT_EQ(node.report.halted, 0U);
  EXPECT_THAT(node.world.reports,
              Contains(HasSubstr(kActive + " byte " + std::to_string(torn_at))));
}

}  // namespace
}  // namespace lignum::server
