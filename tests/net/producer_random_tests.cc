// Random histories of the producer over the client core: whatever the network and the nodes do,
// what was acknowledged is in the log exactly once and in order, what failed is not in it, and
// what is unknown is in it at most once. LIGNUM_PROOF=full runs many more seeds.

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "net/call.h"
#include "net/client.h"
#include "net/moment.h"
#include "net/producer.h"
#include "net/producer_batch.h"
#include "net/producer_shard.h"
#include "raft/error.h"
#include "raft/types.h"
#include "tests/net/sim_world.h"

namespace lignum::net {
namespace {

constexpr std::uint32_t kShards = 3;
constexpr int kKeys = 5;

class History {
 public:
  History(std::uint64_t seed, SimFaults faults)
      : world_(seed, faults), producer_(options_of(seed)) {
    stream_ = world_.cluster.create("app", kShards, 2);
    world_.client_turn = [this] { return turn(); };
  }

  void run() {
    const int appends = 150;
    for (int i = 0; i < appends; ++i) {
      world_.at(1 + static_cast<Moment>(world_.draw(6'000'000)), [this, i] { append(i); });
    }
    const auto all_ended = [&] { return ended_ == appends; };
    ASSERT_TRUE(world_.run(all_ended, 60 * kSecond))
        << "some append has no outcome: " << ended_ << " ended";
    EXPECT_EQ(producer_.buffered_bytes(), 0U);
    // What is still on its way somewhere arrives now.
    world_.run([] { return false; }, world_.now() + 20 * kSecond);
    check();
  }

  std::map<std::string, int> codes;

 private:
  static Producer::Options options_of(std::uint64_t seed) {
    Producer::Options options;
    options.settings.batch_bytes = 300;
    options.settings.append_deadline = 2 * kSecond;
    options.settings.attempt_timeout = kSecond / 2;
    options.settings.linger = seed % 3 == 0 ? 20 * kMillisecond : 0;
    options.settings.backoff = {.first = 5 * kMillisecond, .most = 100 * kMillisecond};
    options.seed = seed;
    return options;
  }

  // "<key>:<number in the order of appends>".
  void append(int number) {
    const std::string key = "k" + std::to_string(world_.draw(kKeys));
    const std::string value = key + ":" + std::to_string(number);
    const std::vector<std::byte> key_bytes = to_bytes(key);
    const std::vector<std::byte> bytes = to_bytes(value);
    BorrowedRecord record;
    record.key = key_bytes;
    record.value = bytes;
    order_[value] = next_order_++;
    const auto added =
        producer_.append("app", record,
                         {.listener = nullptr,
                          .tag = 0,
                          .callback =
                              [this, value](const Result<AppendAck>& ack) {
                                ++ended_;
                                ++codes[ack ? "ok" : std::string(errc_name(ack.error().code()))];
                                EXPECT_TRUE(outcomes_.emplace(value, ack).second) << value;
                              }},
                         {.moment = world_.now(), .wall = 1});
    ASSERT_TRUE(added.has_value());
  }

  Moment turn() {
    if (producer_.wants_turn() || producer_.next_wakeup() <= world_.now()) {
      producer_.turn(world_.now());
    }
    Producer::Output output = producer_.take_output();
    for (SendBatch& send : output.sends) {
      Call call;
      call.request.mutable_append()->set_stream(send.shard.stream.value());
      call.request.mutable_append()->set_shard(send.shard.shard.value());
      call.payload = send.batch;
      call.shard = send.shard;
      call.deadline = send.deadline;
      call.retry = Retry::kNever;
      call.done = [this, shard = send.shard, attempt = send.attempt](const CallResult& result) {
        producer_.on_reply(shard, attempt, result, world_.now());
      };
      world_.call(std::move(call));
    }
    for (const std::string& name : output.resolve) {
      Call call;
      call.request.mutable_resolve()->add_names(name);
      call.deadline = world_.now() + 2 * kSecond;
      call.done = [this, name](const CallResult& result) {
        if (result.error) {
          producer_.on_stream_failed(name, *result.error);
        } else {
          producer_.on_stream(result.response.resolve().streams(0),
                              {.moment = world_.now(), .wall = 1});
        }
      };
      world_.call(std::move(call));
    }
    if (output.init_producer) {
      Call call;
      call.request.mutable_init_producer();
      call.deadline = world_.now() + 2 * kSecond;
      call.done = [this](const CallResult& result) {
        if (result.error) {
          producer_.on_identity_failed(world_.now());
        } else {
          producer_.on_identity(ProducerId(result.response.init_producer().producer_id()), 0);
        }
      };
      world_.call(std::move(call));
    }
    for (const AppendOutcome& outcome : output.outcomes) {
      outcome.waiters.deliver(outcome.first);
    }
    return producer_.wants_turn() ? world_.now() : producer_.next_wakeup();
  }

  void check() {
    std::map<std::string, int> times;
    for (std::uint32_t shard = 0; shard < kShards; ++shard) {
      const auto values = world_.cluster.values(stream_, shard);
      std::map<std::string, std::pair<int, std::string>> last;
      for (std::size_t offset = 0; offset < values.size(); ++offset) {
        const std::string& value = values.at(offset);
        ++times[value];
        const auto& outcome = outcomes_.at(value);
        if (!outcome) {
          continue;
        }
        EXPECT_EQ(outcome->offset, Offset(offset)) << value;
        auto& before = last[value.substr(0, value.find(':'))];
        EXPECT_LE(before.first, order_.at(value)) << value << " lies behind " << before.second;
        before = {order_.at(value), value};
      }
    }
    for (const auto& [value, outcome] : outcomes_) {
      const int found = times[value];
      if (outcome) {
        EXPECT_EQ(found, 1) << value << " was acknowledged";
      } else if (outcome.error().outcome_unknown()) {
        EXPECT_LE(found, 1) << value << " is unknown";
      } else {
        EXPECT_EQ(found, 0) << value << " failed with " << outcome.error().describe();
      }
    }
  }

  SimWorld world_;
  Producer producer_;
  StreamId stream_;
  int ended_ = 0;
  int next_order_ = 0;
  std::map<std::string, int> order_;
  std::map<std::string, Result<AppendAck>> outcomes_;
};

int seeds() {
  const char* const proof = std::getenv("LIGNUM_PROOF");  // NOLINT(concurrency-mt-unsafe)
  return proof != nullptr && std::string_view(proof) == "full" ? 20'000 : 300;
}

TEST(ProducerHistoryTest, OutcomesTellTheTruth) {
  std::map<std::string, int> codes;
  for (int seed = 1; seed <= seeds() && !::testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE(seed);
    const SimFaults faults{.lose_connection = seed % 2 == 0 ? 60 : 10,
                           .refuse = seed % 5 == 0 ? 300 : 50,
                           .unknown = 30,
                           .evict = seed % 4 == 0 ? 20 : 0,
                           .repeat_answer = 50,
                           .refuse_connect = 200,
                           .delay_max = seed % 3 == 0 ? 300 * kMillisecond : 10 * kMillisecond};
    History history(static_cast<std::uint64_t>(seed), faults);
    history.run();
    for (const auto& [code, count] : history.codes) {
      codes[code] += count;
    }
  }
  // The histories are worth something only where all outcomes occur.
  EXPECT_GT(codes["ok"], 0);
  EXPECT_GT(codes["unknown-outcome"], 0);
  EXPECT_GT(codes["timeout"], 0);
  for (const auto& [code, count] : codes) {
    RecordProperty(code, count);
  }
}

TEST(ProducerHistoryTest, WithoutFaultsEverythingSucceeds) {
  for (int seed = 1; seed <= 20; ++seed) {
    History history(static_cast<std::uint64_t>(seed), SimFaults{});
    history.run();
    EXPECT_EQ(history.codes.size(), 1U);
    EXPECT_EQ(history.codes["ok"], 150);
  }
}

}  // namespace
}  // namespace lignum::net
