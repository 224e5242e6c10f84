// Random histories of a shard that remembers very few producers: clients append, and retry whatever
// they ever sent, under ids that are forgotten all the time; the state restarts from its image or
// from its checkpoint. Whatever happens, no batch is in the log twice, and a fresh id is served.

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <variant>
#include <vector>

#include "raft/entry.h"
#include "raft/error.h"
#include "raft/random.h"
#include "raft/types.h"
#include "server/shard/admission.h"
#include "server/shard/shard_state.h"
#include "storage/record_batch.h"
#include "storage/state_store.h"
#include "tests/server/entries.h"

namespace lignum::server {
namespace {

using testing::at;
using testing::batch_entry;
using testing::command_entry;
using testing::Pairs;
using testing::pairs_of;
using testing::restore_all;

constexpr ShardKey kShard{.stream = StreamId(1), .shard = ShardNumber(0)};
constexpr std::size_t kSessions = 3;
constexpr std::size_t kClients = 5;

class History {
 public:
  explicit History(std::uint64_t seed)
      : random_(seed, "evictions"), state_(std::make_unique<ShardState>(kSessions)) {
    log_.push_back(command_entry(at(1), encode_open_shard({.key = kShard})));
    lead();
    for (std::size_t i = 0; i < kClients; ++i) clients_.push_back(fresh());
  }

  void run() {
    for (int step = 0; step < 600 && !::testing::Test::HasFailure(); ++step) {
      const std::uint64_t draw = random_.below(100);
      if (draw < 40) {
        append(clients_[random_.below(kClients)]);
      } else if (draw < 65 && !sent_.empty()) {
        decide(sent_[random_.below(sent_.size())]);
      } else if (draw < 95) {
        if (applied_ < log_.size()) apply_one();
      } else if (draw < 98) {
        checkpoint();
      } else {
        restart();
      }
    }
    // Fresh ids stay welcome for ever.
    EXPECT_EQ(decide(fresh()), Said::kAdmitted);
  }
  [[nodiscard]] int forgotten() const { return forgotten_; }
  [[nodiscard]] int duplicates() const { return duplicates_; }

 private:
  enum class Said : std::uint8_t { kAdmitted, kKnown, kUnknownProducer, kElse };
  using Stamp = std::pair<std::int64_t, std::int32_t>;

  Stamp fresh() { return {next_producer_++, 0}; }

  // The next batch of a client; whether an answer arrives at all does not matter here: anything is
  // retried later.
  void append(Stamp& next) {
    sent_.push_back(next);
    switch (decide(next)) {
      case Said::kAdmitted:
      case Said::kKnown:  // refused for the moment, and a retry was taken meanwhile
        ++next.second;
        return;
      case Said::kUnknownProducer:
        ++forgotten_;
        next = fresh();
        return;
      case Said::kElse:
        return;
    }
  }

  Said decide(const Stamp& stamp) {
    const AdmissionRequest request{
        .shard = kShard,
        .record_count = 1,
        .producer = ProducerStamp{
            .id = ProducerId(stamp.first), .epoch = 0, .base_sequence = stamp.second}};
    const AdmissionVerdict verdict = admission_->decide(request);
    if (const auto* admitted = std::get_if<Admitted>(&verdict)) {
      EXPECT_TRUE(logged_.insert(stamp).second)
          << "batch " << stamp.second << " of producer " << stamp.first << " is there twice";
      const LogId id = at(log_.size() + 1);
      admission_->accepted(request, admitted->base_offset, id);
      log_.push_back(batch_entry(
          id, {.shard = kShard, .base = admitted->base_offset, .producer = request.producer}));
      return Said::kAdmitted;
    }
    if (const auto* refused = std::get_if<Refused>(&verdict)) {
      return refused->error.code() == Errc::kUnknownProducer ? Said::kUnknownProducer : Said::kElse;
    }
    ++duplicates_;
    EXPECT_TRUE(logged_.contains(stamp)) << "a duplicate of nothing";
    return Said::kKnown;
  }

  void apply_one() {
    const Entry& entry = log_[applied_];
    const auto applied = state_->apply(entry);
    ASSERT_TRUE(applied) << applied.error().message();
    ++applied_;
    admission_->applied(entry);
  }

  void lead() {
    admission_ = std::make_unique<Admission>(*state_);
    while (applied_ < log_.size()) apply_one();
    admission_->begin();
  }

  void checkpoint() {
    for (const storage::StateWrite& write : state_->take_changes()) {
      if (write.value) {
        store_[write.key] = *write.value;
      } else {
        store_.erase(write.key);
      }
    }
    checkpoint_ = applied_;
  }

  // From an image of what is applied, or from the checkpoint and what the log holds behind it.
  void restart() {
    const bool from_image = random_.chance(1, 2);
    const Pairs pairs = from_image ? pairs_of(*state_) : store_;
    applied_ = from_image ? applied_ : checkpoint_;
    state_ = std::make_unique<ShardState>(kSessions);
    ASSERT_TRUE(restore_all(*state_, pairs));
    lead();
    // The store goes on from what the state has now.
    store_ = pairs_of(*state_);
    static_cast<void>(state_->take_changes());
    checkpoint_ = applied_;
  }

  Random random_;
  std::unique_ptr<ShardState> state_;
  std::unique_ptr<Admission> admission_;
  std::vector<Entry> log_;
  std::size_t applied_ = 0;
  Pairs store_;
  std::size_t checkpoint_ = 0;
  std::int64_t next_producer_ = 1;
  // The next batch of each.
  std::vector<Stamp> clients_;
  std::vector<Stamp> sent_;
  std::set<Stamp> logged_;
  int forgotten_ = 0;
  int duplicates_ = 0;
};

TEST(Eviction, NothingIsAppendedTwiceWhateverIsRetried) {
  int forgotten = 0;
  int duplicates = 0;
  for (std::uint64_t seed = 1; seed <= 300 && !::testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE(seed);
    History history(seed);
    history.run();
    forgotten += history.forgotten();
    duplicates += history.duplicates();
  }
  EXPECT_GT(forgotten, 1000);
  EXPECT_GT(duplicates, 1000);
}

}  // namespace
}  // namespace lignum::server
