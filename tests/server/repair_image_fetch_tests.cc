// Whose state is believed by a replica that makes its log anew.

#include "server/group/repair_image_fetch.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "net/peer_message.h"
#include "net/repair_messages.h"
#include "raft/error.h"
#include "raft/payload.h"
#include "raft/types.h"
#include "server/group/ports.h"
#include "storage/file.h"
#include "storage/log_mark.h"
#include "tests/server/manual_world.h"

namespace lignum::server {
namespace {

constexpr ReplicaId kSelf{.node = NodeId(1), .incarnation = NodeIncarnation(1)};
constexpr ReplicaId kFirst{.node = NodeId(2), .incarnation = NodeIncarnation(2)};
constexpr ReplicaId kSecond{.node = NodeId(3), .incarnation = NodeIncarnation(3)};

class RepairImageFetchTest : public ::testing::Test {
 protected:
  RepairImageFetchTest() {
    world.on_send([this](const net::PeerMessage& message) {
      asked.push_back(std::get<net::RepairImageRequest>(message.body));
    });
    fetch.begin({kFirst, kSecond}, Index(10));
  }
  [[nodiscard]] net::RepairImage answer(std::uint64_t recovery, Index index) const {
    return {.from = asked.back().to,
            .to = kSelf,
            .number = asked.back().number,
            .recovery = recovery,
            .image = {.term = Term(1), .index = index},
            .image_bytes = 9,
            .bytes = Payload(std::vector<std::byte>(4))};
  }

  testing::ManualWorld world;
  std::unique_ptr<Ports> ports = world.make_ports();
  std::vector<net::RepairImageRequest> asked;
  int taken = 0;
  int ended = 0;
  std::function<void(const Result<void>&)> worked;
  std::optional<Errc> failure;
  RepairImageFetch fetch{
      {.group = GroupId(1),
       .incarnation = GroupIncarnation(7),
       .self = kSelf,
       .recovery = 5,
       .ports = *ports,
       .directory = []() -> Result<std::shared_ptr<storage::Directory>> {
         return fail(Errc::kIo, "not looked at");
       },
       .run =
           [this](const Work&, std::function<void(const Result<void>&)> then) {
             ++taken;
             worked = std::move(then);
           },
       .done = [this](const std::optional<storage::LogMark>& mark) { ended += mark ? 0 : 1; },
       .failed = [this](const Error& error) { failure = error.code(); }}};
};

// It may have gone on with what was given up when the group was recovered without it.
TEST_F(RepairImageFetchTest, WhoHasNotHeardOfTheNewestRecoveryIsNotBelieved) {
  ASSERT_EQ(asked.size(), 1U);
  EXPECT_EQ(asked.back().to, kFirst);
  fetch.receive(answer(4, Index(20)));
  EXPECT_EQ(taken, 0);
  ASSERT_EQ(asked.size(), 2U);
  EXPECT_EQ(asked.back().to, kSecond);
  fetch.receive(answer(5, Index(20)));
  EXPECT_EQ(taken, 1);
}

TEST_F(RepairImageFetchTest, AStateThatIsTooOldIsNotTakenAndNobodyElseMeansNone) {
  fetch.receive(answer(5, Index(9)));
  fetch.receive(answer(5, Index(9)));
  EXPECT_EQ(taken, 0);
  EXPECT_EQ(ended, 1);
  EXPECT_FALSE(fetch.under_way());
}

// Another member's copy would find no more room, and none of them is to blame.
TEST_F(RepairImageFetchTest, ADiskThatIsFullEndsItAtOnce) {
  fetch.receive(answer(5, Index(20)));
  ASSERT_EQ(taken, 1);
  worked(fail(Errc::kNoSpace, "the disk is full"));
  EXPECT_EQ(failure, Errc::kNoSpace);
  EXPECT_EQ(ended, 0);
  EXPECT_EQ(asked.size(), 1U);
  EXPECT_FALSE(fetch.under_way());
}

TEST_F(RepairImageFetchTest, AnImageThatIsBrokenIsAskedOfTheNextMember) {
  fetch.receive(answer(5, Index(20)));
  worked(fail(Errc::kCorrupt, "it is not the image that was asked for"));
  EXPECT_EQ(failure, std::nullopt);
  ASSERT_EQ(asked.size(), 2U);
  EXPECT_EQ(asked.back().to, kSecond);
}

// Opening an image may take longer than one question is waited for.
TEST_F(RepairImageFetchTest, ALateAnswerIsTaken) {
  const net::RepairImage late = answer(5, Index(20));
  for (std::uint32_t i = 0; i < RepairImageFetch::kAnswerTicks; ++i) fetch.tick();
  ASSERT_EQ(asked.size(), 2U);
  EXPECT_EQ(asked.back().to, kFirst);
  fetch.receive(late);
  EXPECT_EQ(taken, 1);
}

}  // namespace
}  // namespace lignum::server
