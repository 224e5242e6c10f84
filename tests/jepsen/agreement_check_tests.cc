// What can be said of a shard that is lost: that nobody saw two records at one offset.

#include "jepsen/check/agreement_check.h"

#include <gtest/gtest.h>

#include <array>

#include "jepsen/check/history.h"
#include "jepsen/check/log_check.h"
#include "jepsen/check/violation.h"
#include "raft/types.h"

namespace lignum::jepsen {
namespace {

constexpr ShardKey kShard{.stream = StreamId(1), .shard = ShardNumber(0)};

// Client 1 appended three records from offset 5 on.
ShardHistory appended() {
  ShardHistory history;
  history.add(Append{.value = Value(1, 10),
                     .count = 3,
                     .outcome = Outcome::kOk,
                     .invoked = 1,
                     .returned = 2,
                     .offset = Offset(5)});
  return history;
}

TEST(AgreementCheck, WhatEverybodySawAlikeIsRight) {
  ShardHistory history = appended();
  const std::array values = {Value(1, 11), Value(1, 12)};
  history.add(Read{.client = 2, .from = Offset(6), .invoked = 3, .returned = 4}, values);
  history.add(Tail{.client = 3, .event = TailEvent::kRecords, .from = Offset(6), .at = 5}, values);
  history.add_log({.replica = 0, .start = Offset(6)}, values);
  const CheckReport report = check_agreement(kShard, history);
  EXPECT_TRUE(report.clean());
  EXPECT_EQ(report.records, 3U);
}

TEST(AgreementCheck, AnOffsetThatMeantTwoRecordsIsNoticedWhoeverSawIt) {
  const std::array other = {Value(1, 12)};
  for (int who = 0; who < 3; ++who) {
    ShardHistory history = appended();
    if (who == 0) {
      history.add(Read{.client = 2, .from = Offset(6), .invoked = 3, .returned = 4}, other);
    } else if (who == 1) {
      history.add(Tail{.client = 3, .event = TailEvent::kRecords, .from = Offset(6), .at = 5},
                  other);
    } else {
      history.add_log({.replica = 0, .start = Offset(6)}, other);
    }
    EXPECT_EQ(check_agreement(kShard, history).violations.count(Rule::kRead), 1U) << who;
  }
  ShardHistory twice = appended();
  twice.add(Append{.value = Value(2, 0), .outcome = Outcome::kOk, .offset = Offset(7)});
  EXPECT_EQ(check_agreement(kShard, twice).violations.count(Rule::kRead), 1U);
}

TEST(AgreementCheck, ARecordAtTwoOffsetsIsNoticed) {
  ShardHistory history = appended();
  const std::array values = {Value(1, 12)};
  history.add(Read{.client = 2, .from = Offset(9), .invoked = 3, .returned = 4}, values);
  EXPECT_EQ(check_agreement(kShard, history).violations.count(Rule::kDuplicate), 1U);
}

TEST(AgreementCheck, RecordsThatNobodyAppendedAreNoticed) {
  for (const Value value : {Value(1, 13), Value(7, 0), Value::unreadable()}) {
    ShardHistory history = appended();
    const std::array values = {value};
    history.add(Read{.client = 2, .from = Offset(20), .invoked = 3, .returned = 4}, values);
    EXPECT_EQ(check_agreement(kShard, history).violations.count(Rule::kPhantom), 1U);
  }
}

}  // namespace
}  // namespace lignum::jepsen
