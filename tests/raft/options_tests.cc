// Options are judged by the name of their field.

#include "raft/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "raft/error.h"

namespace lignum::raft {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

// The message of a refusal; empty where nothing is refused.
std::string refusal(const Options& options) {
  const Result<void> valid = validate(options);
  if (valid) return {};
  EXPECT_EQ(valid.error().code(), Errc::kInvalidArgument);
  return valid.error().message();
}

TEST(Options, TheDefaultsAreValid) {
  EXPECT_EQ(refusal({}), "");
  EXPECT_EQ(refusal({.pre_vote = false}), "");
  EXPECT_EQ(refusal({.check_quorum = false}), "");
}

TEST(Options, ARefusalNamesFieldAndBound) {
  EXPECT_EQ(refusal({.heartbeat_ticks = 0}), "heartbeat_ticks is 0; it must be at least 1");
  EXPECT_EQ(refusal({.uncommitted_bytes_max = 0}),
            "uncommitted_bytes_max is 0; it must be at least 1");
  EXPECT_THAT(refusal({.append_bytes_max = 0}), StartsWith("append_bytes_max is 0"));
  EXPECT_THAT(refusal({.inflight_messages_max = 0}), StartsWith("inflight_messages_max is 0"));
  EXPECT_THAT(refusal({.inflight_bytes_max = 0}), StartsWith("inflight_bytes_max is 0"));
  EXPECT_THAT(refusal({.reads_max = 0}), StartsWith("reads_max is 0"));
  EXPECT_EQ(refusal({.election_ticks = kTicksMax + 1}),
            "election_ticks is 1048577; it must be at most 1048576");
  EXPECT_THAT(refusal({.priority_delay_ticks = kTicksMax + 1}), StartsWith("priority_delay_ticks"));
}

TEST(Options, ALostHeartbeatIsNoElection) {
  const std::string hasty = refusal({.election_ticks = 4, .heartbeat_ticks = 2});
  EXPECT_THAT(hasty, StartsWith("election_ticks is 4"));
  EXPECT_THAT(hasty, HasSubstr("heartbeat_ticks (2)"));
  EXPECT_EQ(refusal({.election_ticks = 5, .heartbeat_ticks = 2}), "");
  // Twice this is 0 in 32 bits.
  EXPECT_NE(refusal({.election_ticks = 5, .heartbeat_ticks = Ticks{1} << 31}), "");
}

}  // namespace
}  // namespace lignum::raft
