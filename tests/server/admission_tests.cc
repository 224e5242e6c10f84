// Who may append what, while earlier appends are still in flight.

#include "server/shard/admission.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

#include "raft/entry.h"
#include "raft/error.h"
#include "raft/types.h"
#include "server/shard/producer_table.h"
#include "server/shard/shard_state.h"
#include "storage/record_batch.h"
#include "tests/server/entries.h"

namespace lignum::server {
namespace {

using testing::at;
using testing::batch_entry;
using testing::command_entry;

constexpr ShardKey kShard{.stream = StreamId(1), .shard = ShardNumber(0)};
constexpr ShardKey kOther{.stream = StreamId(1), .shard = ShardNumber(1)};

AdmissionRequest plain(std::uint32_t records, ShardKey shard = kShard) {
  return {.shard = shard, .record_count = records};
}
AdmissionRequest produced(std::int32_t sequence, std::uint32_t records, std::int16_t epoch = 0,
                          std::int64_t producer = 5) {
  return {.shard = kShard,
          .record_count = records,
          .producer =
              ProducerStamp{.id = ProducerId(producer), .epoch = epoch, .base_sequence = sequence}};
}
AdmissionRequest expecting(std::uint64_t offset) {
  return {.shard = kShard, .record_count = 1, .expected_offset = Offset(offset)};
}

class AdmissionTest : public ::testing::Test {
 protected:
  AdmissionTest() : admission(state) {
    apply(command_entry(at(++last), encode_open_shard({.key = kShard, .start = Offset(100)})));
    apply(command_entry(at(++last), encode_open_shard({.key = kOther})));
    admission.begin();
  }

  // Decides, and puts an admitted batch into the log.
  AdmissionVerdict append(const AdmissionRequest& request) {
    AdmissionVerdict verdict = admission.decide(request);
    if (const auto* admitted = std::get_if<Admitted>(&verdict)) {
      const LogId id = at(++last);
      admission.accepted(request, admitted->base_offset, id);
      log.push_back(batch_entry(id, {.shard = request.shard,
                                     .base = admitted->base_offset,
                                     .records = request.record_count,
                                     .producer = request.producer}));
    }
    return verdict;
  }
  Offset admitted(const AdmissionRequest& request) {
    const auto verdict = append(request);
    const auto* answer = std::get_if<Admitted>(&verdict);
    EXPECT_NE(answer, nullptr);
    return answer == nullptr ? Offset(0) : answer->base_offset;
  }
  Refused refused(const AdmissionRequest& request) {
    const auto verdict = append(request);
    const auto* answer = std::get_if<Refused>(&verdict);
    EXPECT_NE(answer, nullptr);
    return answer == nullptr ? Refused{.error = Error(Errc::kInternal, "")} : *answer;
  }
  void apply(const Entry& entry) {
    const auto applied = state.apply(entry);
    ASSERT_TRUE(applied) << applied.error().message();
    admission.applied(entry);
  }
  // Commits the oldest entry in flight.
  void commit() {
    ASSERT_FALSE(log.empty());
    apply(log.front());
    log.erase(log.begin());
  }

  ShardState state;
  Admission admission;
  std::uint64_t last = 0;
  std::vector<Entry> log;
};

TEST_F(AdmissionTest, OffsetsAreDenseOverWhatIsInFlight) {
  EXPECT_EQ(admitted(plain(3)), Offset(100));
  EXPECT_EQ(admitted(plain(2)), Offset(103));
  EXPECT_EQ(admitted(plain(1, kOther)), Offset(0));
  commit();
  EXPECT_EQ(admitted(plain(4)), Offset(105));
  commit();
  commit();
  commit();
  EXPECT_EQ(admitted(plain(1)), Offset(109));
  commit();
  EXPECT_EQ(state.find(kShard)->next, Offset(110));
}

TEST_F(AdmissionTest, DecidingAloneChangesNothing) {
  for (int i = 0; i < 3; ++i) {
    const auto verdict = admission.decide(plain(2));
    ASSERT_TRUE(std::holds_alternative<Admitted>(verdict));
    EXPECT_EQ(std::get<Admitted>(verdict).base_offset, Offset(100));
  }
}

TEST_F(AdmissionTest, AShardThatIsNotOpenHereMeansRetry) {
  const Refused answer = refused(plain(1, {.stream = StreamId(9), .shard = ShardNumber(0)}));
  EXPECT_EQ(answer.error.code(), Errc::kUnavailable);
  EXPECT_TRUE(answer.error.may_retry());
}

TEST_F(AdmissionTest, NothingIsAdmittedOutsideLeadership) {
  admission.end();
  EXPECT_EQ(refused(plain(1)).error.code(), Errc::kNotLeader);
  admission.begin();
  EXPECT_EQ(admitted(plain(1)), Offset(100));
}

TEST_F(AdmissionTest, TheInFlightViewDiesWithTheLeadership) {
  admitted(plain(5));
  admitted(produced(0, 1));
  admission.end();
  // The next leader replaced both entries.
  log.clear();
  admission.begin();
  EXPECT_EQ(admitted(produced(0, 1)), Offset(100));
}

TEST_F(AdmissionTest, ARepeatedBatchInFlightWaitsForTheOriginal) {
  admitted(produced(0, 3));
  const LogId original = at(last);
  admitted(produced(3, 1));
  const auto verdict = append(produced(0, 3));
  ASSERT_TRUE(std::holds_alternative<DuplicateInFlight>(verdict));
  EXPECT_EQ(std::get<DuplicateInFlight>(verdict).original, original);
}

TEST_F(AdmissionTest, ARepeatedBatchThatIsAppliedIsAnsweredWithTheOriginal) {
  admitted(produced(0, 3));
  const LogId original = at(last);
  commit();
  const auto verdict = append(produced(0, 3));
  ASSERT_TRUE(std::holds_alternative<DuplicateApplied>(verdict));
  const ProducedBatch& batch = std::get<DuplicateApplied>(verdict).original;
  EXPECT_EQ(batch.base_offset, Offset(100));
  EXPECT_EQ(batch.append_time, static_cast<TimeUs>(original.index.value()) * 1000);
  EXPECT_EQ(batch.chain, state.find(kShard)->chain);
}

TEST_F(AdmissionTest, SequencesAreJudgedOverWhatIsInFlight) {
  admitted(produced(0, 3));
  EXPECT_EQ(admitted(produced(3, 2)), Offset(103));
  const Refused gap = refused(produced(6, 1));
  EXPECT_EQ(gap.error.code(), Errc::kOutOfSequence);
  // It may be said only when what it rests on is committed.
  EXPECT_EQ(gap.rests_on, at(last));
  commit();
  commit();
  const Refused settled = refused(produced(6, 1));
  EXPECT_EQ(settled.error.code(), Errc::kOutOfSequence);
  EXPECT_EQ(settled.rests_on, std::nullopt);
}

TEST_F(AdmissionTest, AnUnknownProducerIsNotTakenForNew) {
  const Refused answer = refused(produced(1, 1));
  EXPECT_EQ(answer.error.code(), Errc::kUnknownProducer);
  EXPECT_EQ(answer.rests_on, std::nullopt);
}

TEST_F(AdmissionTest, AFenceInFlightHolds) {
  admitted(produced(0, 1, 1));
  admitted(produced(0, 1, 2));
  const Refused fenced = refused(produced(1, 1, 1));
  EXPECT_EQ(fenced.error.code(), Errc::kProducerFenced);
  EXPECT_EQ(fenced.rests_on, at(last));
  // The repeated batch of before the fence still shares its original's fate.
  EXPECT_TRUE(std::holds_alternative<DuplicateInFlight>(append(produced(0, 1, 1))));
  EXPECT_EQ(admitted(produced(1, 1, 2)), Offset(102));
}

TEST_F(AdmissionTest, ASixthUnacknowledgedBatchIsRefused) {
  for (std::int32_t i = 0; i < 5; ++i) admitted(produced(i, 1));
  EXPECT_EQ(refused(produced(5, 1)).error.code(), Errc::kOverloaded);
  EXPECT_EQ(admitted(produced(0, 1, 0, 6)), Offset(105)) << "another producer is not held up";
  commit();
  EXPECT_EQ(admitted(produced(5, 1)), Offset(106));
}

TEST_F(AdmissionTest, AnExpectedOffsetIsComparedWithTheEndInFlight) {
  EXPECT_EQ(admitted(expecting(100)), Offset(100));
  const Refused late = refused(expecting(100));
  EXPECT_EQ(late.error.code(), Errc::kOffsetMismatch);
  EXPECT_EQ(late.rests_on, at(last));
  EXPECT_EQ(admitted(expecting(101)), Offset(101));
  commit();
  commit();
  EXPECT_EQ(refused(expecting(101)).rests_on, std::nullopt);
  EXPECT_EQ(admitted(expecting(102)), Offset(102));
}

TEST_F(AdmissionTest, ARepeatedConditionalAppendIsADuplicateFirst) {
  AdmissionRequest request = produced(0, 1);
  request.expected_offset = Offset(100);
  admitted(request);
  EXPECT_TRUE(std::holds_alternative<DuplicateInFlight>(append(request)));
  commit();
  EXPECT_TRUE(std::holds_alternative<DuplicateApplied>(append(request)));
}

TEST_F(AdmissionTest, NothingIsAdmittedBehindADrop) {
  admitted(plain(1));
  const Entry drop = command_entry(at(++last), encode_drop_shard(kShard));
  admission.dropping(kShard, drop.header.id());
  EXPECT_EQ(refused(plain(1)).error.code(), Errc::kUnavailable);
  EXPECT_EQ(admitted(plain(1, kOther)), Offset(0));
  commit();
  apply(drop);
  EXPECT_EQ(refused(plain(1)).error.code(), Errc::kUnavailable);
  commit();
  apply(command_entry(at(++last), encode_open_shard({.key = kShard, .start = Offset(7)})));
  EXPECT_EQ(admitted(plain(1)), Offset(7));
}

TEST_F(AdmissionTest, ADropThatWasReplacedIsForgotten) {
  admission.dropping(kShard, at(++last));
  admission.end();
  admission.begin();
  EXPECT_EQ(admitted(plain(1)), Offset(100));
}

TEST_F(AdmissionTest, AnEmptyBatchIsABug) {
  EXPECT_DEATH(static_cast<void>(admission.decide(plain(0))), "record_count > 0");
}

}  // namespace
}  // namespace lignum::server
