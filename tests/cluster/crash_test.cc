// kill -9 at random instants under load: nothing acked is lost, doubled or out of order, and every
// restart succeeds. LIGNUM_PROOF=full runs 500 cycles and the restart with 1 GiB of data.
//
// A killed process says nothing about fsync, because the page cache survives it; the crashes of
// the simulated disk (tests/storage) do.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "net/client.h"
#include "raft/error.h"
#include "tests/cluster/ledger.h"
#include "tests/cluster/load.h"
#include "tests/cluster/node.h"
#include "tests/cluster/process.h"

namespace lignum::cluster {
namespace {

using std::chrono::milliseconds;

constexpr std::uint32_t kWriters = 4;

// LIGNUM_SEED repeats the instants of a run, though not what the machine does in between.
std::uint64_t seed() {
  const char* text = std::getenv("LIGNUM_SEED");
  const std::uint64_t chosen = text != nullptr ? std::stoull(text) : std::random_device()();
  fmt::print("LIGNUM_SEED={}\n", chosen);
  return chosen;
}

std::unique_ptr<Client> connect(const Node& node) {
  auto client = Client::connect({.endpoints = {node.endpoint()}, .name = "audit"});
  if (!client) {
    ADD_FAILURE() << client.error().describe();
    return nullptr;
  }
  return std::move(*client);
}

// Hands every record of the stream to the audit, from `cursor` (else the beginning) to the present
// end, and moves the cursor there.
void audit_to_the_end(const Node& node, const std::string& stream, std::string& cursor,
                      Audit& audit) {
  const auto client = connect(node);
  ASSERT_NE(client, nullptr);
  TailStart start{.kind = TailStart::Kind::kEarliest};
  if (!cursor.empty()) {
    start = {.kind = TailStart::Kind::kCursor, .cursor = cursor};
  }
  const auto tail = client->tail({.streams = {stream}, .start = start});
  ASSERT_TRUE(tail) << tail.error().describe();
  while (true) {
    const auto item = (*tail)->next(kPatience);
    ASSERT_TRUE(item) << item.error().describe();
    ASSERT_FALSE(std::holds_alternative<Gap>(*item));
    ASSERT_FALSE(std::holds_alternative<Tail::Idle>(*item)) << "the reader is stuck";
    if (std::holds_alternative<Tail::End>(*item)) {
      break;
    }
    audit.observe(std::get<ReadRecord>(*item));
  }
  cursor = (*tail)->cursor();
}

class CrashProof {
 public:
  explicit CrashProof(std::uint64_t seed) : random_(seed) {}

  void run(int cycles) {
    ASSERT_TRUE(node_.start()) << node_.errors();
    const auto admin = connect(node_);
    ASSERT_NE(admin, nullptr);
    const auto made = admin->create_stream(kStream, {.shards = 4});
    ASSERT_TRUE(made) << made.error().describe();
    Load load({.endpoint = node_.endpoint(), .stream = kStream, .writers = kWriters}, ledger_);
    const auto started = load.start();
    ASSERT_TRUE(started) << started.error().describe();
    for (int cycle = 0; cycle < cycles; ++cycle) {
      SCOPED_TRACE(fmt::format("cycle {}", cycle));
      ASSERT_NO_FATAL_FAILURE(crash_and_restart());
      if (cycle % kCyclesPerAudit == kCyclesPerAudit - 1) {
        ASSERT_NO_FATAL_FAILURE(audit_to_the_end(node_, kStream, cursor_, running_));
      }
    }
    load.stop();
    ASSERT_NO_FATAL_FAILURE(judge(cycles));
  }

 private:
  static constexpr const char* kStream = "crash";
  static constexpr int kCyclesPerAudit = 10;

  int pick(int low, int high) { return std::uniform_int_distribution<int>(low, high)(random_); }

  void crash_and_restart() {
    // Any instant: after some acks, or after some time when those do not come.
    static_cast<void>(ledger_.wait_for_acks(static_cast<std::uint64_t>(pick(1, 4000)),
                                            milliseconds(pick(5, 250))));
    node_.kill();
    // Now and then the restart is killed too, in the middle of its recovery.
    while (pick(0, 4) == 0) {
      node_.start_and_kill_after(milliseconds(pick(0, 40)));
      ++killed_recoveries_;
    }
    ASSERT_TRUE(node_.start()) << node_.errors();
    start_times_.push_back(node_.start_time());
    ASSERT_TRUE(ledger_.wait_for_acks(1, kPatience)) << "no ack after the restart";
  }

  void judge(int cycles) {
    std::string from_the_beginning;
    Audit audit(ledger_);
    ASSERT_NO_FATAL_FAILURE(audit_to_the_end(node_, kStream, from_the_beginning, audit));
    audit.finish();
    ASSERT_NO_FATAL_FAILURE(audit_to_the_end(node_, kStream, cursor_, running_));
    running_.finish();

    const auto totals = ledger_.totals();
    std::ranges::sort(start_times_);
    fmt::print(
        "crash proof: {} kill -9 under load of {} producers ({} more during recovery): "
        "{} acked, {} unknown, {} failed, {} read; {} lost, {} duplicated, {} reordered, {} wrong; "
        "restart {} ms median, {} ms worst\n",
        cycles, kWriters, killed_recoveries_, totals.acked, totals.unknown, totals.failed,
        audit.counts().read, audit.counts().lost, audit.counts().duplicated,
        audit.counts().reordered, audit.counts().wrong,
        start_times_[start_times_.size() / 2].count(), start_times_.back().count());
    for (const std::string& error : ledger_.errors()) {
      fmt::print("an append ended with: {}\n", error);
    }
    EXPECT_EQ(totals.pending, 0);
    EXPECT_EQ(audit.counts(), Audit::Counts{.read = audit.counts().read}) << audit.complaints();
    EXPECT_GE(audit.counts().read, totals.acked);
    EXPECT_LE(audit.counts().read, totals.acked + totals.unknown);
    // What was read piece by piece between the crashes is what is read in one go at the end.
    EXPECT_EQ(running_.counts(), audit.counts()) << running_.complaints();
  }

  std::mt19937_64 random_;
  Node node_;
  Ledger ledger_{kWriters};
  Audit running_{ledger_};
  std::string cursor_;
  std::vector<milliseconds> start_times_;
  int killed_recoveries_ = 0;
};

TEST(Crash, AckedRecordsSurviveKillsAtRandomInstants) {
  CrashProof(seed()).run(full_proof() ? 500 : 20);
}

// Fills the stream with `bytes` of records of 16 KiB.
class Fill : public AppendListener {
 public:
  void run(Client& client, const std::string& stream, std::uint64_t bytes) {
    constexpr std::size_t kRecord = 16384;
    const std::vector<std::byte> value(kRecord, std::byte{'x'});
    for (std::uint64_t done = 0; done < bytes;) {
      const auto queued = client.append_view(stream, {.value = value}, *this, done);
      if (queued) {
        done += kRecord;
      } else {
        ASSERT_EQ(queued.error().code(), Errc::kOverloaded) << queued.error().describe();
        client.flush();
      }
    }
    client.flush();
    ASSERT_EQ(failed_, std::nullopt) << failed_->describe();
  }

  void on_appended(std::span<const std::uint64_t> /*tags*/,
                   const Result<AppendAck>& first) override {
    if (!first) {
      failed_ = first.error();
    }
  }

 private:
  // Written on the client's thread, read after flush().
  std::optional<Error> failed_;
};

TEST(Crash, RestartsInASecondWithAGibibyte) {
  if (!full_proof()) {
    GTEST_SKIP() << "only with LIGNUM_PROOF=full";
  }
  Node node;
  ASSERT_TRUE(node.start()) << node.errors();
  {
    const auto client = connect(node);
    ASSERT_NE(client, nullptr);
    ASSERT_TRUE(client->create_stream("big", {}));
    ASSERT_NO_FATAL_FAILURE(Fill().run(*client, "big", std::uint64_t{1} << 30));
  }
  std::vector<milliseconds> times;
  for (int repeat = 0; repeat < 5; ++repeat) {
    node.kill();
    ASSERT_TRUE(node.start()) << node.errors();
    times.push_back(node.start_time());
    const auto client = connect(node);
    ASSERT_NE(client, nullptr);
    ASSERT_TRUE(client->append_wait("big", {.value = to_bytes("after")}));
  }
  std::ranges::sort(times);
  fmt::print("restart with 1 GiB after kill -9: {} ms median, {} ms worst of {}\n",
             times[times.size() / 2].count(), times.back().count(), times.size());
  EXPECT_LE(times.back(), milliseconds(1000));
}

}  // namespace
}  // namespace lignum::cluster
