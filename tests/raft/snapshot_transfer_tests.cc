// A leader that sends snapshots: an answer of the host belongs to one transfer, whatever order the
// answers and the follower's acks come in.

#include <gtest/gtest.h>

#include <cstdint>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "raft/core.h"
#include "raft/entry.h"
#include "raft/messages.h"
#include "raft/output.h"
#include "raft/progress.h"
#include "raft/types.h"
#include "tests/raft/values.h"

namespace lignum::raft {
namespace {

constexpr std::uint64_t kBase = 5;
constexpr std::uint64_t kLast = 9;

// Replica 1 of three. Its log holds entries 6 .. 9 of term 1; all of them are committed.
Boot compacted_boot() {
  return {.self = member(1),
          .group = GroupIncarnation(1),
          .hard_state = {.term = Term(1), .vote = std::nullopt},
          .base = log_id(1, kBase),
          .last = log_id(1, kLast),
          .terms = {{.first = Index(kBase + 1), .term = Term(1)}},
          .commit = Index(kLast),
          .configs = {{.index = Index(0), .membership = {.voters = members_of({1, 2, 3})}}}};
}

class SnapshotTransfer : public ::testing::Test {
 protected:
  SnapshotTransfer() {
    for (std::uint64_t index = kBase + 1; index <= kLast; ++index) {
      Entry entry;
      entry.header.index = Index(index);
      entry.header.term = Term(1);
      entries_.push_back(std::move(entry));
    }
    lead();
  }

  void lead() {
    core.campaign(Campaign::kElection);
    drain();
    core.step(
        {.from = member(2),
         .to = member(1),
         .body = RequestVoteReply{.term = core.term(), .candidacy = core.term(), .granted = true}});
    drain();
    ASSERT_EQ(core.role(), Role::kLeader);
  }
  // Does what the core asks for; requests for snapshots are kept.
  void drain() {
    while (core.has_output()) {
      Output output = core.take_output();
      for (const SendSnapshot& each : output.send_snapshot) requests.push_back(each);
      for (const Message& message : output.send_now) note(message);
      if (output.persist) {
        for (const Entry& entry : output.persist->append) entries_.push_back(entry);
        for (const Message& message : output.persist->send_after_persist) note(message);
        core.on_persisted(output.persist->token);
      }
      for (const Fetch& fetch : output.fetch) answer(fetch);
    }
  }
  void answer(const Fetch& fetch) {
    if (fetch.first <= core.base().index) return core.supply_failed(fetch);
    std::vector<Entry> found;
    for (const Entry& entry : entries_) {
      if (entry.header.index >= fetch.first && entry.header.index <= fetch.last) {
        found.push_back(entry);
      }
    }
    core.supply(fetch, std::move(found));
  }
  void note(const Message& message) {
    const auto* const append = std::get_if<AppendEntries>(&message.body);
    if (append != nullptr && message.to == member(3)) last_append = *append;
  }
  // Replica 3 has an empty log, so it says no to every probe.
  void reject() {
    core.step({.from = member(3),
               .to = member(1),
               .body = AppendReply{.term = core.term(),
                                   .session = last_append.session,
                                   .previous = last_append.previous.index,
                                   .match = {},
                                   .conflict = LogId{}}});
    drain();
  }
  void accept(std::uint64_t match) {
    core.step({.from = member(3),
               .to = member(1),
               .body = AppendReply{.term = core.term(),
                                   .session = last_append.session,
                                   .previous = Index(match),
                                   .match = Index(match),
                                   .conflict = std::nullopt}});
  }
  void hear() {
    core.step({.from = member(3),
               .to = member(1),
               .body = HeartbeatReply{.term = core.term(), .session = last_append.session}});
    drain();
  }
  // The log is compacted under a follower that was just brought up to its base.
  void fall_behind() {
    core.on_compacted(log_id(1, kLast));
    core.on_unreachable(member(3));
  }
  [[nodiscard]] PeerStatus peer() const { return core.peers().at(1); }
  void expect_waits_for(const SendSnapshot& request) {
    drain();
    EXPECT_EQ(peer().state, ProgressState::kSnapshot);
    ASSERT_FALSE(requests.empty());
    EXPECT_EQ(requests.back(), request) << "a second transfer beside the first";
  }

  Core core{{.pre_vote = false, .check_quorum = false}, compacted_boot()};
  std::vector<SendSnapshot> requests;
  AppendEntries last_append;

 private:
  std::vector<Entry> entries_;
};

TEST_F(SnapshotTransfer, IsAskedForOnceAndEndsWithItsAnswer) {
  reject();
  ASSERT_EQ(requests.size(), 1U);
  reject();
  hear();
  expect_waits_for(requests.at(0));
  EXPECT_EQ(requests.size(), 1U);
  core.on_snapshot_sent(requests.at(0), log_id(1, kBase));
  drain();
  EXPECT_EQ(peer().state, ProgressState::kProbe);
  EXPECT_EQ(peer().next, Index(kBase + 1));
  EXPECT_EQ(peer().match, Index(0)) << "sent is not received";
}

// The follower's ack ends the first transfer; it needs another snapshot before the host's answer.
TEST_F(SnapshotTransfer, SuccessOfAnEarlierOneIsNotSuccessOfTheNext) {
  reject();
  accept(kBase);
  fall_behind();
  drain();
  ASSERT_EQ(requests.size(), 2U);
  EXPECT_NE(requests.at(0), requests.at(1));
  core.on_snapshot_sent(requests.at(0), log_id(1, kBase));
  expect_waits_for(requests.at(1));
  core.on_snapshot_sent(requests.at(1), log_id(1, kLast));
  EXPECT_EQ(peer().state, ProgressState::kProbe);
  EXPECT_EQ(peer().next, Index(kLast + 1));
  EXPECT_EQ(peer().match, Index(kBase));
}

TEST_F(SnapshotTransfer, FailureOfAnEarlierOneStartsNoThird) {
  reject();
  accept(kBase);
  fall_behind();
  drain();
  ASSERT_EQ(requests.size(), 2U);
  core.on_snapshot_sent(requests.at(0), std::nullopt);
  hear();
  expect_waits_for(requests.at(1));
  EXPECT_EQ(requests.size(), 2U);
}

TEST_F(SnapshotTransfer, AnAnswerThatComesTwiceCountsOnce) {
  reject();
  core.on_snapshot_sent(requests.at(0), std::nullopt);
  hear();
  ASSERT_EQ(requests.size(), 2U);
  core.on_snapshot_sent(requests.at(0), log_id(1, kBase));
  core.on_snapshot_sent(requests.at(0), std::nullopt);
  hear();
  expect_waits_for(requests.at(1));
  core.on_snapshot_sent(requests.at(1), std::nullopt);
  EXPECT_EQ(peer().state, ProgressState::kProbe) << "its own answer counts";
}

// Answered in the reverse order: the newest first, then nothing is left to end.
TEST_F(SnapshotTransfer, TheNewestAnswerFirst) {
  reject();
  accept(kBase);
  fall_behind();
  drain();
  ASSERT_EQ(requests.size(), 2U);
  core.on_snapshot_sent(requests.at(1), log_id(1, kLast));
  core.on_snapshot_sent(requests.at(0), log_id(1, kBase));
  EXPECT_EQ(peer().state, ProgressState::kProbe);
  EXPECT_EQ(peer().next, Index(kLast + 1));
}

TEST_F(SnapshotTransfer, AnAnswerFromAnEarlierLeadershipCountsNothing) {
  reject();
  const SendSnapshot earlier = requests.at(0);
  core.step({.from = member(2), .to = member(1), .body = Heartbeat{.term = core.term().next()}});
  drain();
  ASSERT_EQ(core.role(), Role::kFollower);
  core.on_snapshot_sent(earlier, log_id(1, kBase));
  lead();
  reject();
  ASSERT_EQ(requests.size(), 2U);
  core.on_snapshot_sent(earlier, log_id(1, kBase));
  core.on_snapshot_sent(earlier, std::nullopt);
  expect_waits_for(requests.at(1));
  core.on_snapshot_sent(requests.at(1), log_id(1, kBase));
  EXPECT_EQ(peer().state, ProgressState::kProbe);
}

// The host has not even heard of the first transfer when the second is needed.
TEST_F(SnapshotTransfer, ARequestThatWasNotTakenIsReplaced) {
  accept(kBase);
  Output output = core.take_output();
  ASSERT_EQ(output.fetch.size(), 1U);
  core.supply_failed(output.fetch.front());
  accept(kBase + 1);
  fall_behind();
  drain();
  ASSERT_EQ(requests.size(), 1U);
  expect_waits_for(requests.at(0));
  core.on_snapshot_sent(requests.at(0), log_id(1, kLast));
  EXPECT_EQ(peer().state, ProgressState::kProbe);
}

TEST_F(SnapshotTransfer, ALeadershipThatEndedAsksForNothing) {
  accept(kBase);
  Output output = core.take_output();
  ASSERT_EQ(output.fetch.size(), 1U);
  core.supply_failed(output.fetch.front());
  core.step({.from = member(2), .to = member(1), .body = Heartbeat{.term = core.term().next()}});
  drain();
  EXPECT_TRUE(requests.empty());
}

}  // namespace
}  // namespace lignum::raft
