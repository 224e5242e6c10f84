// Random histories of a data group without its disk: admission over applied and in-flight state,
// leaders that lose what they had in flight, clients that retry, replicas that restart from
// checkpoints. LIGNUM_PROOF=full runs many more seeds.
//
// What must hold whatever happens:
//   - what admission accepts can be applied: offsets are dense, nothing contradicts the state;
//   - of every batch of an idempotent producer exactly one copy is in the log, in its order;
//   - an answer tells the offset where the batch really is;
//   - every replica, however often it restarted, has the same state.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <optional>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "raft/entry.h"
#include "raft/error.h"
#include "raft/random.h"
#include "raft/types.h"
#include "server/shard/admission.h"
#include "server/shard/producer_table.h"
#include "server/shard/shard_state.h"
#include "storage/record_batch.h"
#include "storage/state_store.h"
#include "tests/server/entries.h"

namespace lignum::server {
namespace {

using testing::batch_entry;
using testing::command_entry;
using testing::Pairs;
using testing::pairs_of;
using testing::restore_all;

constexpr std::size_t kProducers = 4;
constexpr std::size_t kShards = 2;
constexpr std::size_t kBatchesEach = 25;

ShardKey shard_number(std::size_t number) {
  return {.stream = StreamId(1), .shard = ShardNumber(static_cast<std::uint32_t>(number))};
}

// A client of one shard: it keeps at most five batches unanswered and retries any of them, in any
// order, until it has an answer.
struct Client {
  ShardKey shard;
  ProducerId id;
  struct Batch {
    std::int32_t sequence = 0;
    std::uint32_t records = 0;
    std::optional<Offset> answer;
    // Entries the client waits for.
    std::vector<LogId> waits;
  };
  std::vector<Batch> batches;
  std::size_t first_open = 0;
};

class History {
 public:
  explicit History(std::uint64_t seed) : random_(seed, "history"), admission_(state_) {
    for (std::size_t i = 0; i < kShards; ++i) {
      append_entry(command_entry(next_id(), encode_open_shard({.key = shard_number(i)})));
    }
    for (std::size_t i = 0; i < kProducers; ++i) {
      clients_.push_back(make_client(i));
    }
    commit_all();
    lead();
  }

  void run() {
    constexpr int kStepsMax = 30'000;
    for (int step = 0; step < kStepsMax && open_ > 0; ++step) {
      act();
      if (::testing::Test::HasFailure()) return;
    }
    commit_all();
    EXPECT_EQ(open_, 0U) << "some batch was never answered";
    check_log();
    restart_follower();
    follow();
    EXPECT_EQ(pairs_of(follower_), pairs_of(state_));
  }
  [[nodiscard]] const std::map<Errc, int>& refusals() const { return refusals_; }
  [[nodiscard]] int duplicates() const { return duplicates_; }

 private:
  Client make_client(std::size_t number) {
    Client client{.shard = shard_number(number % kShards),
                  .id = ProducerId(static_cast<std::int64_t>(100 + number)),
                  .batches = {}};
    std::int32_t sequence = 0;
    for (std::size_t i = 0; i < kBatchesEach; ++i) {
      // Some are so long that sequences wrap within a few of them.
      const auto records = static_cast<std::uint32_t>(
          random_.chance(1, 3) ? 1 + random_.below(1'500'000'000) : 1 + random_.below(3));
      client.batches.push_back({.sequence = sequence, .records = records});
      sequence = sequence_after(sequence, records);
    }
    open_ += client.batches.size();
    return client;
  }

  void act() {
    const std::uint64_t draw = random_.below(100);
    if (draw < 55) {
      send(clients_[random_.below(clients_.size())]);
    } else if (draw < 62) {
      send_plain();
    } else if (draw < 88) {
      if (applied_ < log_.size()) commit_one();
    } else if (draw < 90) {
      change_leader();
    } else if (draw < 93) {
      restart_follower();
    } else {
      follow();
    }
  }

  // ---- clients

  void send(Client& client) {
    const std::size_t window =
        std::min(client.batches.size(), client.first_open + ProducerSession::kBatchesMax);
    if (client.first_open == window) return;
    const std::size_t number = client.first_open + random_.below(window - client.first_open);
    Client::Batch& batch = client.batches[number];
    if (batch.answer) return;
    const AdmissionRequest request{
        .shard = client.shard,
        .record_count = batch.records,
        .producer = ProducerStamp{.id = client.id, .epoch = 0, .base_sequence = batch.sequence}};
    const AdmissionVerdict verdict = admission_.decide(request);
    if (const auto* admitted = std::get_if<Admitted>(&verdict)) {
      batch.waits.push_back(propose(request, admitted->base_offset));
    } else if (const auto* in_flight = std::get_if<DuplicateInFlight>(&verdict)) {
      EXPECT_GT(in_flight->original.index.value(), applied_);
      batch.waits.push_back(in_flight->original);
      ++duplicates_;
    } else if (const auto* applied = std::get_if<DuplicateApplied>(&verdict)) {
      answer(client, batch, applied->original.base_offset);
      ++duplicates_;
    } else {
      refused(std::get<Refused>(verdict));
    }
  }

  void send_plain() {
    AdmissionRequest request{.shard = shard_number(random_.below(kShards)), .record_count = 2};
    const Offset end = end_of(request.shard);
    if (random_.chance(1, 2)) {
      request.expected_offset = random_.chance(1, 2) ? end : Offset(random_.below(50));
    }
    const AdmissionVerdict verdict = admission_.decide(request);
    if (const auto* admitted = std::get_if<Admitted>(&verdict)) {
      EXPECT_EQ(request.expected_offset.value_or(end), end);
      EXPECT_EQ(admitted->base_offset, end);
      propose(request, admitted->base_offset);
    } else {
      const auto& refusal = std::get<Refused>(verdict);
      EXPECT_NE(request.expected_offset.value_or(end), end);
      EXPECT_EQ(refusal.error.code(), Errc::kOffsetMismatch);
      refused(refusal);
    }
  }

  void refused(const Refused& refusal) {
    ++refusals_[refusal.error.code()];
    if (refusal.rests_on) {
      EXPECT_GT(refusal.rests_on->index.value(), applied_);
      EXPECT_LE(refusal.rests_on->index.value(), log_.size());
    }
  }

  void answer(Client& client, Client::Batch& batch, Offset base) {
    if (batch.answer) {
      EXPECT_EQ(*batch.answer, base) << "two answers about one batch";
      return;
    }
    batch.answer = base;
    --open_;
    while (client.first_open < client.batches.size() && client.batches[client.first_open].answer) {
      ++client.first_open;
    }
  }

  // ---- the leader

  LogId next_id() const { return {.term = term_, .index = Index(log_.size() + 1)}; }

  // The end of a shard by the log alone: what admission must agree with.
  [[nodiscard]] Offset end_of(ShardKey shard) const {
    Offset end;
    for (const Entry& entry : log_) {
      if (entry.header.kind == EntryKind::kBatch && entry.header.shard == shard) {
        end = entry.header.base_offset + entry.header.record_count;
      }
    }
    return end;
  }

  void append_entry(Entry entry) { log_.push_back(std::move(entry)); }

  LogId propose(const AdmissionRequest& request, Offset base) {
    const LogId id = next_id();
    admission_.accepted(request, base, id);
    append_entry(batch_entry(id, {.shard = request.shard,
                                  .base = base,
                                  .records = request.record_count,
                                  .producer = request.producer}));
    return id;
  }

  void commit_one() {
    const Entry& entry = log_[applied_];
    const auto applied = state_.apply(entry);
    ASSERT_TRUE(applied) << applied.error().message();
    ++applied_;
    admission_.applied(entry);
    for (Client& client : clients_) {
      for (Client::Batch& batch : client.batches) {
        for (const LogId& wait : batch.waits) {
          if (wait == entry.header.id()) answer(client, batch, entry.header.base_offset);
        }
      }
    }
  }
  void commit_all() {
    while (applied_ < log_.size() && !::testing::Test::HasFailure()) commit_one();
  }

  // Part of what was in flight is replaced; the rest is committed by the next leader's no-op.
  void change_leader() {
    admission_.end();
    const std::size_t in_flight = log_.size() - applied_;
    log_.resize(applied_ + random_.below(in_flight + 1));
    for (Client& client : clients_) {
      for (Client::Batch& batch : client.batches) {
        std::erase_if(batch.waits,
                      [this](const LogId& wait) { return wait.index.value() > log_.size(); });
      }
    }
    lead();
  }

  void lead() {
    term_ = term_.next();
    Entry no_op;
    no_op.header.term = term_;
    no_op.header.index = Index(log_.size() + 1);
    append_entry(no_op);
    commit_all();
    admission_.begin();
  }

  // ---- another replica

  void follow() {
    while (followed_ < applied_) {
      const auto applied = follower_.apply(log_[followed_]);
      ASSERT_TRUE(applied) << applied.error().message();
      ++followed_;
      if (random_.chance(1, 20)) checkpoint();
    }
  }
  void checkpoint() {
    for (const storage::StateWrite& write : follower_.take_changes()) {
      if (write.value) {
        store_[write.key] = *write.value;
      } else {
        store_.erase(write.key);
      }
    }
    checkpoint_ = followed_;
  }
  void restart_follower() {
    follower_.reset();
    ASSERT_TRUE(restore_all(follower_, store_));
    EXPECT_EQ(pairs_of(follower_), store_);
    followed_ = checkpoint_;
  }

  // ---- the end

  // The log alone: every batch of every producer once, in order, where its answer says.
  void check_log() const {
    std::map<ShardKey, Offset> ends;
    std::map<ProducerId, std::size_t> seen;
    for (const Entry& entry : log_) {
      if (entry.header.kind != EntryKind::kBatch) continue;
      EXPECT_EQ(entry.header.base_offset, ends[entry.header.shard]);
      ends[entry.header.shard] = entry.header.base_offset + entry.header.record_count;
      const auto stamp = parse_batch_header(entry.payload.bytes())->producer();
      if (!stamp) continue;
      const Client& client = clients_.at(static_cast<std::size_t>(stamp->id.value() - 100));
      const std::size_t number = seen[stamp->id]++;
      ASSERT_LT(number, client.batches.size()) << "a batch is there twice";
      const Client::Batch& batch = client.batches[number];
      EXPECT_EQ(stamp->base_sequence, batch.sequence);
      EXPECT_EQ(entry.header.record_count, batch.records);
      EXPECT_EQ(batch.answer, entry.header.base_offset);
    }
    for (const Client& client : clients_) EXPECT_EQ(seen[client.id], client.batches.size());
  }

  Random random_;
  ShardState state_;
  Admission admission_;
  Term term_{1};
  std::vector<Entry> log_;
  std::size_t applied_ = 0;
  std::vector<Client> clients_;
  std::size_t open_ = 0;
  std::map<Errc, int> refusals_;
  int duplicates_ = 0;

  ShardState follower_;
  std::size_t followed_ = 0;
  Pairs store_;
  std::size_t checkpoint_ = 0;
};

int seeds() {
  const char* proof = std::getenv("LIGNUM_PROOF");
  return proof != nullptr && std::string_view(proof) == "full" ? 5'000 : 60;
}

TEST(GroupHistory, KeepsEveryBatchOnceAndInOrder) {
  std::map<Errc, int> refusals;
  int duplicates = 0;
  for (int seed = 1; seed <= seeds(); ++seed) {
    SCOPED_TRACE(seed);
    History history(static_cast<std::uint64_t>(seed));
    history.run();
    if (HasFailure()) return;
    for (const auto& [code, count] : history.refusals()) refusals[code] += count;
    duplicates += history.duplicates();
  }
  // The histories did meet what they are about.
  EXPECT_GT(duplicates, seeds());
  EXPECT_GT(refusals[Errc::kOutOfSequence], seeds());
  EXPECT_GT(refusals[Errc::kOffsetMismatch], seeds() / 4);
}

// Shards come and go while batches, trims and drops of theirs are in flight.
TEST(GroupHistory, WhateverIsAdmittedCanBeApplied) {
  for (int seed = 1; seed <= seeds(); ++seed) {
    SCOPED_TRACE(seed);
    Random random(static_cast<std::uint64_t>(seed), "drops");
    ShardState state;
    Admission admission(state);
    admission.begin();
    std::vector<Entry> log;
    std::size_t applied = 0;
    const auto next_id = [&log] { return LogId{.term = Term(1), .index = Index(log.size() + 1)}; };
    for (int step = 0; step < 1500; ++step) {
      const ShardKey shard = shard_number(random.below(3));
      const std::uint64_t draw = random.below(10);
      if (draw < 1) {
        log.push_back(command_entry(next_id(), encode_open_shard({.key = shard})));
      } else if (draw < 2) {
        if (state.find(shard) == nullptr) continue;
        admission.dropping(shard, next_id());
        log.push_back(command_entry(next_id(), encode_drop_shard(shard)));
      } else if (draw < 3) {
        log.push_back(command_entry(next_id(), encode_trim_shard(shard, Offset(random.below(20)))));
      } else if (draw < 7) {
        const AdmissionRequest request{.shard = shard, .record_count = 1};
        const auto verdict = admission.decide(request);
        if (const auto* admitted = std::get_if<Admitted>(&verdict)) {
          const LogId id = next_id();
          admission.accepted(request, admitted->base_offset, id);
          log.push_back(batch_entry(id, {.shard = shard, .base = admitted->base_offset}));
        }
      } else if (applied < log.size()) {
        const auto outcome = state.apply(log[applied]);
        ASSERT_TRUE(outcome) << outcome.error().message();
        admission.applied(log[applied]);
        ++applied;
      }
    }
    EXPECT_GT(applied, 200U);
  }
}

}  // namespace
}  // namespace lignum::server
