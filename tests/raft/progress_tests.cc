// What a leader believes of a follower, rule by rule. progress_random_tests.cc has the long lives.

#include "raft/progress.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <optional>

#include "raft/inflights.h"
#include "raft/types.h"

namespace lignum::raft {
namespace {

constexpr Inflights::Limits kWindow{.messages_max = 3, .bytes_max = 1000};
constexpr Index kNoBase{0};

Progress begin_at(std::uint64_t next) { return Progress(1, Index(next), kWindow); }

// In kReplicate with match() = `match`.
Progress replicating_from(std::uint64_t match) {
  Progress progress = begin_at(match + 1);
  progress.on_sent(0, 0, Index(0));
  EXPECT_TRUE(progress.on_accepted(Index(match), kNoBase));
  EXPECT_EQ(progress.state(), ProgressState::kReplicate);
  return progress;
}

TEST(Progress, ProbesOneAtATime) {
  Progress progress = begin_at(9);
  EXPECT_EQ(progress.state(), ProgressState::kProbe);
  EXPECT_FALSE(progress.paused());
  progress.on_sent(4, 100, Index(3));
  EXPECT_TRUE(progress.paused());
  EXPECT_EQ(progress.next(), Index(9));
  EXPECT_EQ(progress.inflights().count(), 0U);
  progress.on_heartbeat_answered();
  EXPECT_FALSE(progress.paused());
  // An empty one asks just as well.
  progress.on_sent(0, 0, Index(3));
  EXPECT_TRUE(progress.paused());
}

TEST(Progress, AnAcceptedProbeOpensTheWindow) {
  Progress progress = begin_at(9);
  progress.on_sent(4, 100, Index(3));
  EXPECT_TRUE(progress.on_accepted(Index(12), kNoBase));
  EXPECT_EQ(progress.state(), ProgressState::kReplicate);
  EXPECT_EQ(progress.match(), Index(12));
  EXPECT_EQ(progress.next(), Index(13));
  EXPECT_FALSE(progress.paused());
}

TEST(Progress, AnEmptyLogAcceptsAProbeToo) {
  Progress progress = begin_at(1);
  progress.on_sent(0, 0, Index(0));
  EXPECT_TRUE(progress.on_accepted(Index(0), kNoBase));
  EXPECT_EQ(progress.state(), ProgressState::kReplicate);
  EXPECT_FALSE(progress.on_accepted(Index(0), kNoBase));
}

TEST(Progress, MessagesArePipelinedWithinTheWindow) {
  Progress progress = replicating_from(10);
  for (int i = 0; i < 3; ++i) {
    EXPECT_FALSE(progress.paused());
    progress.on_sent(2, 10, Index(10));
  }
  EXPECT_EQ(progress.next(), Index(17));
  EXPECT_EQ(progress.match(), Index(10));
  EXPECT_TRUE(progress.paused());
  EXPECT_TRUE(progress.on_accepted(Index(14), kNoBase));
  EXPECT_EQ(progress.inflights().count(), 1U);
  EXPECT_FALSE(progress.paused());
  // An acknowledgement of what is in flight does not lower next().
  EXPECT_EQ(progress.next(), Index(17));
}

TEST(Progress, TheWindowCountsBytes) {
  Progress progress = replicating_from(10);
  progress.on_sent(1, 999, Index(10));
  EXPECT_FALSE(progress.paused());
  progress.on_sent(1, 1, Index(10));
  EXPECT_TRUE(progress.paused());
}

TEST(Progress, EmptyMessagesTakeNoPlaceInTheWindow) {
  Progress progress = replicating_from(10);
  for (int i = 0; i < 9; ++i) progress.on_sent(0, 0, Index(10));
  EXPECT_EQ(progress.inflights().count(), 0U);
  EXPECT_EQ(progress.next(), Index(11));
}

// Everything in flight was lost: nothing but a message that is let through can tell.
TEST(Progress, AnAnsweredHeartbeatLetsOneEmptyMessageThroughAFullWindow) {
  Progress progress = replicating_from(10);
  for (int i = 0; i < 3; ++i) progress.on_sent(1, 10, Index(10));
  ASSERT_TRUE(progress.paused());
  progress.on_heartbeat_answered();
  EXPECT_FALSE(progress.paused());
  EXPECT_TRUE(progress.inflights().full());
  progress.on_sent(0, 0, Index(10));
  EXPECT_TRUE(progress.paused());
  EXPECT_EQ(progress.next(), Index(14));
  // Its rejection says that the window is empty.
  EXPECT_TRUE(progress.on_rejected(Index(13), Index(10)));
  EXPECT_EQ(progress.state(), ProgressState::kProbe);
  EXPECT_EQ(progress.next(), Index(11));
  EXPECT_EQ(progress.inflights().count(), 0U);
  EXPECT_FALSE(progress.paused());
}

TEST(Progress, AnAnswerThatFreesNothingLeavesTheWindowClosed) {
  Progress progress = replicating_from(10);
  for (int i = 0; i < 3; ++i) progress.on_sent(4, 10, Index(10));
  EXPECT_TRUE(progress.on_accepted(Index(12), kNoBase));
  EXPECT_TRUE(progress.paused());
  EXPECT_FALSE(progress.on_accepted(Index(12), kNoBase));
  EXPECT_TRUE(progress.paused());
}

TEST(Progress, MatchNeverShrinks) {
  Progress progress = replicating_from(10);
  EXPECT_FALSE(progress.on_accepted(Index(9), kNoBase));
  EXPECT_EQ(progress.match(), Index(10));
  progress.on_unreachable();
  EXPECT_EQ(progress.match(), Index(10));
  EXPECT_FALSE(progress.on_accepted(Index(9), kNoBase));
  EXPECT_EQ(progress.state(), ProgressState::kProbe);
}

TEST(Progress, ARejectionCountsOnlyForTheProbeThatIsOut) {
  Progress progress = begin_at(20);
  progress.on_sent(1, 10, Index(0));
  for (const std::uint64_t previous : {18U, 20U, 5U, 0U}) {
    EXPECT_FALSE(progress.on_rejected(Index(previous), Index(2))) << previous;
    EXPECT_TRUE(progress.paused());
    EXPECT_EQ(progress.next(), Index(20));
  }
  EXPECT_TRUE(progress.on_rejected(Index(19), Index(12)));
  EXPECT_EQ(progress.next(), Index(13));
  EXPECT_FALSE(progress.paused());
  progress.on_sent(1, 10, Index(0));
  EXPECT_FALSE(progress.on_rejected(Index(19), Index(12))) << "the same answer again";
  EXPECT_EQ(progress.next(), Index(13));
  EXPECT_TRUE(progress.paused());
}

TEST(Progress, ARejectionAtOrBelowMatchIsLate) {
  Progress progress = replicating_from(10);
  progress.on_sent(5, 10, Index(10));
  EXPECT_FALSE(progress.on_rejected(Index(10), Index(3)));
  EXPECT_FALSE(progress.on_rejected(Index(4), Index(3)));
  EXPECT_EQ(progress.state(), ProgressState::kReplicate);
  EXPECT_EQ(progress.next(), Index(16));
  // Also of a probe: what was acknowledged is there.
  progress.on_unreachable();
  ASSERT_EQ(progress.next(), Index(11));
  EXPECT_FALSE(progress.on_rejected(Index(10), Index(3)));
  EXPECT_EQ(progress.next(), Index(11));
}

TEST(Progress, ARejectionOfWhatWasNotSentSinceIsLate) {
  Progress progress = replicating_from(10);
  progress.on_sent(5, 10, Index(10));
  EXPECT_FALSE(progress.on_rejected(Index(16), Index(12)));
  EXPECT_EQ(progress.state(), ProgressState::kReplicate);
  EXPECT_TRUE(progress.on_rejected(Index(15), Index(12)));
  EXPECT_EQ(progress.state(), ProgressState::kProbe);
  EXPECT_EQ(progress.next(), Index(13));
}

TEST(Progress, AHintIsKeptBetweenMatchAndTheRejectedEntry) {
  Progress low = replicating_from(10);
  low.on_sent(9, 10, Index(10));
  EXPECT_TRUE(low.on_rejected(Index(19), Index(2)));
  EXPECT_EQ(low.next(), Index(11));
  // A probe goes down by one at least, or it would never end.
  Progress high = begin_at(20);
  high.on_sent(0, 0, Index(0));
  EXPECT_TRUE(high.on_rejected(Index(19), Index(50)));
  EXPECT_EQ(high.next(), Index(19));
}

TEST(Progress, ASnapshotIsFollowedByAProbeBehindIt) {
  Progress progress = begin_at(5);
  progress.become_snapshot();
  EXPECT_TRUE(progress.paused());
  progress.on_heartbeat_answered();
  EXPECT_TRUE(progress.paused());
  EXPECT_FALSE(progress.on_rejected(Index(4), Index(1)));
  progress.on_snapshot_sent(progress.transfer(), Index(40));
  EXPECT_EQ(progress.state(), ProgressState::kProbe);
  EXPECT_EQ(progress.next(), Index(41));
  EXPECT_EQ(progress.match(), Index(0));
  EXPECT_TRUE(progress.paused()) << "the answer to the snapshot comes first";
  EXPECT_TRUE(progress.on_accepted(Index(40), Index(30)));
  EXPECT_EQ(progress.state(), ProgressState::kReplicate);
  EXPECT_EQ(progress.next(), Index(41));
}

// next() may stand again where an old probe began; what that one is told now is old news.
TEST(Progress, AProbeFromBeforeTheSnapshotIsOutNoMore) {
  Progress progress = begin_at(41);
  progress.on_sent(0, 0, Index(0));
  progress.become_snapshot();
  progress.on_snapshot_sent(progress.transfer(), Index(40));
  ASSERT_EQ(progress.next(), Index(41));
  EXPECT_FALSE(progress.on_rejected(Index(40), Index(2)));
  EXPECT_EQ(progress.next(), Index(41));
  EXPECT_TRUE(progress.paused());
  progress.on_heartbeat_answered();
  progress.on_sent(0, 0, Index(0));
  EXPECT_TRUE(progress.on_rejected(Index(40), Index(2)));
}

TEST(Progress, ASnapshotThatFailedIsRepeatedAfterAHeartbeat) {
  Progress progress = replicating_from(4);
  progress.become_snapshot();
  progress.on_snapshot_sent(progress.transfer(), std::nullopt);
  EXPECT_EQ(progress.state(), ProgressState::kProbe);
  EXPECT_EQ(progress.next(), Index(5));
  EXPECT_TRUE(progress.paused());
  progress.on_heartbeat_answered();
  EXPECT_FALSE(progress.paused());
}

// Any acknowledgement that reconnects the follower with the log ends it, whatever snapshot was
// meant (etcd-io/raft 110).
TEST(Progress, AnAcknowledgementThatConnectsEndsTheSnapshot) {
  Progress progress = replicating_from(4);
  progress.become_snapshot();
  EXPECT_TRUE(progress.on_accepted(Index(28), Index(30)));
  EXPECT_EQ(progress.state(), ProgressState::kSnapshot);
  EXPECT_FALSE(progress.on_accepted(Index(28), Index(30)));
  EXPECT_TRUE(progress.on_accepted(Index(30), Index(30)));
  EXPECT_EQ(progress.state(), ProgressState::kReplicate);
  EXPECT_EQ(progress.next(), Index(31));
  EXPECT_FALSE(progress.on_snapshot_sent(progress.transfer(), Index(40)));
  EXPECT_EQ(progress.state(), ProgressState::kReplicate) << "too late to matter";
  EXPECT_EQ(progress.next(), Index(31));
}

TEST(Progress, AnOlderSnapshotDoesNotSendItBackBelowMatch) {
  Progress progress = replicating_from(4);
  progress.become_snapshot();
  EXPECT_TRUE(progress.on_accepted(Index(28), Index(30)));
  progress.on_snapshot_sent(progress.transfer(), Index(20));
  EXPECT_EQ(progress.next(), Index(29));
}

TEST(Progress, ABrokenConnectionLosesWhatIsInFlight) {
  Progress progress = replicating_from(10);
  progress.on_sent(5, 10, Index(10));
  progress.on_unreachable();
  EXPECT_EQ(progress.state(), ProgressState::kProbe);
  EXPECT_EQ(progress.next(), Index(11));
  EXPECT_EQ(progress.inflights().count(), 0U);
  EXPECT_FALSE(progress.paused());
  // A peer that is gone is not sent one probe after the other.
  progress.on_sent(1, 10, Index(10));
  progress.on_unreachable();
  EXPECT_TRUE(progress.paused());
  progress.become_snapshot();
  progress.on_unreachable();
  EXPECT_EQ(progress.state(), ProgressState::kSnapshot);
}

TEST(Progress, EntriesThatWereAskedForPauseItWhateverHappens) {
  Progress progress = replicating_from(10);
  progress.set_fetching(true);
  EXPECT_TRUE(progress.paused());
  progress.on_heartbeat_answered();
  progress.on_unreachable();
  EXPECT_TRUE(progress.paused());
  EXPECT_TRUE(progress.fetching());
  progress.set_fetching(false);
  EXPECT_FALSE(progress.paused());
}

TEST(Progress, ACommitIndexThatMayBeLostIsSentAgain) {
  Progress progress = replicating_from(10);
  progress.on_sent(5, 10, Index(14));
  EXPECT_EQ(progress.sent_commit(), Index(14));
  progress.on_commit_sent(Index(12));
  EXPECT_EQ(progress.sent_commit(), Index(14));
  progress.on_unreachable();
  EXPECT_EQ(progress.sent_commit(), Index(10));
  progress.on_commit_sent(Index(11));
  EXPECT_EQ(progress.sent_commit(), Index(11));
}

TEST(Progress, ActivityIsTakenOnce) {
  Progress progress = begin_at(1);
  EXPECT_FALSE(progress.take_recently_active());
  progress.set_recently_active();
  EXPECT_TRUE(progress.recently_active());
  EXPECT_TRUE(progress.take_recently_active());
  EXPECT_FALSE(progress.recently_active());
}

TEST(ProgressDeathTest, NothingIsSentWhilePaused) {
  EXPECT_DEATH(begin_at(0), "next > ");
  Progress probing = begin_at(5);
  probing.on_sent(1, 1, Index(0));
  EXPECT_DEATH(probing.on_sent(1, 1, Index(0)), "paused");
  Progress full = replicating_from(10);
  for (int i = 0; i < 3; ++i) full.on_sent(1, 10, Index(10));
  full.on_heartbeat_answered();
  EXPECT_DEATH(full.on_sent(1, 1, Index(10)), "full");
}

}  // namespace
}  // namespace lignum::raft
