// Idempotent producers: what is taken, what is known already, what is refused.

#include "server/shard/producer_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <variant>

#include "raft/error.h"
#include "raft/types.h"
#include "storage/record_batch.h"

namespace lignum::server {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr ProducerId kProducer{77};
constexpr std::int32_t kLast = std::numeric_limits<std::int32_t>::max();

ProducerStamp stamp(std::int32_t sequence, std::int16_t epoch = 0) {
  return {.id = kProducer, .epoch = epoch, .base_sequence = sequence};
}

// A session whose last batches were these ranges.
template <class... Batches>
ProducerSession session_of(std::int16_t epoch, Batches... batches) {
  return {.epoch = epoch, .last_index = Index(1), .batches = {batches...}};
}

ProducedBatch batch(std::int32_t first, std::int32_t last, std::uint64_t base = 0) {
  return {.first_sequence = first, .last_sequence = last, .base_offset = Offset(base)};
}

Errc refusal(const ProducerVerdict& verdict) {
  const auto* error = std::get_if<Error>(&verdict);
  return error == nullptr ? Errc{} : error->code();
}
bool accepts(const ProducerVerdict& verdict) {
  return std::holds_alternative<ProducerAccepts>(verdict);
}

TEST(Producer, ANewOneBeginsAtZero) {
  EXPECT_TRUE(accepts(judge_producer(nullptr, std::nullopt, stamp(0), 3)));
  EXPECT_TRUE(accepts(judge_producer(nullptr, std::nullopt, stamp(0, 5), 3)));
  EXPECT_EQ(refusal(judge_producer(nullptr, std::nullopt, stamp(1), 3)), Errc::kUnknownProducer);
}

// Whoever is not younger than one that was forgotten may have been forgotten, too.
TEST(Producer, OneThatMayHaveBeenForgottenIsNotNew) {
  const ProducerId younger(kProducer.value() + 1);
  const ProducerId older(kProducer.value() - 1);
  EXPECT_TRUE(accepts(judge_producer(nullptr, older, stamp(0), 3)));
  for (const ProducerId evicted : {kProducer, younger}) {
    const auto verdict = judge_producer(nullptr, evicted, stamp(0), 3);
    ASSERT_EQ(refusal(verdict), Errc::kUnknownProducer);
    EXPECT_THAT(std::get<Error>(verdict).message(),
                AllOf(HasSubstr("producer 77"), HasSubstr("ask for a new producer id")));
    EXPECT_EQ(refusal(judge_producer(nullptr, evicted, stamp(0, 5), 3)), Errc::kUnknownProducer)
        << "whatever its epoch";
  }
  // With a session nothing is forgotten.
  const auto session = session_of(0, batch(0, 9));
  EXPECT_TRUE(accepts(judge_producer(&session, younger, stamp(10), 1)));
}

TEST(Producer, GoesOnWhereItEnded) {
  const auto session = session_of(2, batch(0, 9));
  EXPECT_TRUE(accepts(judge_producer(&session, std::nullopt, stamp(10, 2), 1)));
  EXPECT_EQ(refusal(judge_producer(&session, std::nullopt, stamp(11, 2), 1)), Errc::kOutOfSequence);
  EXPECT_EQ(refusal(judge_producer(&session, std::nullopt, stamp(9, 2), 1)), Errc::kOutOfSequence);
}

TEST(Producer, ABatchThatIsRememberedIsADuplicate) {
  const auto session = session_of(2, batch(0, 9, 100), batch(10, 10, 200), batch(11, 14, 300));
  for (const ProducedBatch& original : session.batches) {
    const auto records =
        static_cast<std::uint32_t>(original.last_sequence - original.first_sequence + 1);
    const auto verdict =
        judge_producer(&session, std::nullopt, stamp(original.first_sequence, 2), records);
    const auto* duplicate = std::get_if<ProducerDuplicate>(&verdict);
    ASSERT_NE(duplicate, nullptr);
    EXPECT_EQ(duplicate->original, original);
  }
  // The same beginning with another length is another batch.
  EXPECT_EQ(refusal(judge_producer(&session, std::nullopt, stamp(0, 2), 9)), Errc::kOutOfSequence);
}

TEST(Producer, ANewerEpochFencesAndBeginsAtZero) {
  const auto session = session_of(2, batch(0, 9));
  EXPECT_EQ(refusal(judge_producer(&session, std::nullopt, stamp(10, 1), 1)),
            Errc::kProducerFenced);
  EXPECT_TRUE(accepts(judge_producer(&session, std::nullopt, stamp(0, 3), 1)));
  EXPECT_EQ(refusal(judge_producer(&session, std::nullopt, stamp(10, 3), 1)), Errc::kOutOfSequence);
}

TEST(Producer, SequencesWrapToZero) {
  EXPECT_EQ(sequence_after(kLast, 1), 0);
  EXPECT_EQ(sequence_after(kLast - 1, 4), 2);
  EXPECT_EQ(sequence_after(0, 7), 7);
  // A batch across the wrap: kLast - 1, kLast, 0, 1.
  const auto before = session_of(0, batch(0, kLast - 2));
  EXPECT_TRUE(accepts(judge_producer(&before, std::nullopt, stamp(kLast - 1), 4)));
  const auto after = session_of(0, batch(kLast - 1, 1, 55));
  EXPECT_TRUE(std::holds_alternative<ProducerDuplicate>(
      judge_producer(&after, std::nullopt, stamp(kLast - 1), 4)));
  EXPECT_TRUE(accepts(judge_producer(&after, std::nullopt, stamp(2), 1)));
  const auto exact = session_of(0, batch(5, kLast));
  EXPECT_TRUE(accepts(judge_producer(&exact, std::nullopt, stamp(0), 1)));
}

TEST(ProducerTable, RemembersTheLastFive) {
  ProducerTable table;
  for (std::int32_t i = 0; i < 7; ++i) {
    EXPECT_EQ(table.record(stamp(i), batch(i, i), Index(10 + static_cast<std::uint64_t>(i))),
              std::nullopt);
  }
  const ProducerSession* session = table.find(kProducer);
  ASSERT_NE(session, nullptr);
  ASSERT_EQ(session->batches.size(), 5U);
  EXPECT_EQ(session->batches.front().first_sequence, 2);
  EXPECT_EQ(session->batches.back().first_sequence, 6);
  EXPECT_EQ(session->last_index, Index(16));
}

TEST(ProducerTable, ANewEpochForgetsTheBatchesOfTheOld) {
  ProducerTable table;
  table.record(stamp(0, 1), batch(0, 4), Index(1));
  table.record(stamp(0, 2), batch(0, 2), Index(2));
  ASSERT_EQ(table.find(kProducer)->batches.size(), 1U);
  EXPECT_EQ(table.find(kProducer)->epoch, 2);
}

TEST(ProducerTable, TheOneTouchedLongestAgoGoesFirst) {
  ProducerTable table;
  std::uint64_t index = 0;
  const auto touch = [&](std::int64_t id) {
    return table.record({.id = ProducerId(id)}, batch(0, 0), Index(++index));
  };
  for (std::size_t id = 0; id < ProducerTable::kSessionsMax; ++id) {
    EXPECT_EQ(touch(static_cast<std::int64_t>(id)), std::nullopt);
  }
  EXPECT_EQ(touch(0), std::nullopt);
  EXPECT_EQ(touch(1'000'000), ProducerId(1));
  EXPECT_EQ(touch(1'000'001), ProducerId(2));
  EXPECT_EQ(table.size(), ProducerTable::kSessionsMax);
  EXPECT_NE(table.find(ProducerId(0)), nullptr);
  EXPECT_EQ(table.find(ProducerId(1)), nullptr);
}

TEST(ProducerTable, KeepsTheHighestIdItForgot) {
  ProducerTable table(2);
  std::uint64_t index = 0;
  const auto touch = [&](std::int64_t id) {
    return table.record({.id = ProducerId(id)}, batch(0, 0), Index(++index));
  };
  touch(20);
  touch(9);
  EXPECT_EQ(table.evicted(), std::nullopt);
  EXPECT_EQ(touch(10), ProducerId(20));
  EXPECT_EQ(table.evicted(), ProducerId(20));
  EXPECT_EQ(touch(30), ProducerId(9));
  EXPECT_EQ(table.evicted(), ProducerId(20)) << "it never falls";
  touch(31);
  EXPECT_EQ(touch(32), ProducerId(30));
  EXPECT_EQ(table.evicted(), ProducerId(30));
}

TEST(ProducerTable, RefusesASessionItCannotHaveHeld) {
  ProducerTable table;
  const auto session = session_of(0, batch(0, 1));
  EXPECT_TRUE(table.restore(ProducerId(1), session));
  EXPECT_EQ(table.restore(ProducerId(1), session).error().code(), Errc::kCorrupt);
  EXPECT_EQ(table.restore(ProducerId(2), session).error().code(), Errc::kCorrupt)
      << "two producers touched by one entry";
}

}  // namespace
}  // namespace lignum::server
