// The whole node dies at every call that changes the disk, and is started again from what a power
// cut may leave; and dies again while it recovers.
//
// The workload goes through dispatch() as clients would: streams are made, batches appended (also
// by an idempotent producer), trimmed, segments rolled, checkpointed and cleaned, a stream deleted.
// After every crash: the node starts, every acknowledged batch that was not trimmed is there once,
// at its offset, with its bytes; nothing that was never sent is there; appends go on at the next
// offset. The quick version strikes a sample of the calls; LIGNUM_PROOF=full strikes them all.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "jepsen/sim/sim_disk.h"
#include "net/proto/client.pb.h"
#include "raft/error.h"
#include "raft/payload.h"
#include "server/group/segment_store.h"
#include "storage/memory_state_store.h"
#include "tests/server/batches.h"
#include "tests/server/sim_node.h"

namespace lignum::server {
namespace {

using jepsen::CrashImage;
using jepsen::Survival;
using testing::append_request;
using testing::Cell;
using testing::create_request;
using testing::make_batch;
using testing::read_request;
using testing::SimNode;

constexpr std::uint32_t kShards = 2;

bool full_proof() {
  const char* proof = std::getenv("LIGNUM_PROOF");  // NOLINT(concurrency-mt-unsafe): one thread
  return proof != nullptr && std::string_view(proof) == "full";
}

// Checkpoints that survive exactly as far as they were durable: written at once, as LevelDB does
// with sync.
Cell make_cell() {
  Cell cell;
  const SegmentStoreOptions options{.segment_bytes_min = std::size_t{64} << 10,
                                    .segment_bytes_max = std::size_t{64} << 10,
                                    .early_flush_bytes = 1};
  cell.logs = {.make = make_segmented_log(options), .open = open_segmented_log(options)};
  return cell;
}

// What the clients know.
struct Ledger {
  // (stream, shard) -> base offset -> text of the batch that was acknowledged there.
  std::map<std::pair<std::uint64_t, std::uint32_t>, std::map<std::uint64_t, std::string>> acked;
  // Texts ever sent: nothing else may be read.
  std::map<std::string, int> sent;
  // Highest trim that was asked for, acknowledged or not.
  std::map<std::pair<std::uint64_t, std::uint32_t>, std::uint64_t> trimmed;
  std::uint64_t deleted = 0;
  std::vector<std::uint64_t> streams;
  int next = 0;
};

class Workload {
 public:
  Workload(SimNode& node, Ledger& ledger) : node_(node), ledger_(ledger) {}

  void run() {
    create("app");
    create("doomed");
    if (ledger_.streams.size() < 2) return;
    for (int round = 0; round < 4 && !node_.world.dead; ++round) {
      for (std::uint32_t i = 0; i < 6; ++i) append(ledger_.streams[0], i % kShards, 9000);
      append(ledger_.streams[1], 0, 100);
      trim(ledger_.streams[0], 0, 2 * static_cast<std::uint64_t>(round + 1));
      // Markers, retention, checkpoints, cleaning.
      node_.world.advance(6'000'000);
    }
    remove("doomed", ledger_.streams[1]);
    node_.world.advance(12'000'000);
    append(ledger_.streams[0], 1, 10);
    static_cast<void>(node_.stop());
  }

 private:
  void create(const std::string& name) {
    const auto answer = node_.call(create_request(name));
    if (answer && answer->response.has_create_stream()) {
      ledger_.streams.push_back(answer->response.create_stream().stream().id());
    }
  }
  void append(std::uint64_t stream, std::uint32_t shard, std::size_t bytes) {
    const std::string text = fmt::format("{:0{}}/", ledger_.next++, bytes);
    ledger_.sent[text] = 0;
    const auto pending = node_.send(append_request(stream, shard), make_batch(1, {}, text));
    node_.world.advance(2'000);
    const auto& answer = *pending;
    if (answer && answer->response.has_append()) {
      ledger_.acked[{stream, shard}][answer->response.append().base_offset()] = text;
    }
  }
  void trim(std::uint64_t stream, std::uint32_t shard, std::uint64_t before) {
    ledger_.trimmed[{stream, shard}] = before;
    wire::Request request;
    request.mutable_trim()->set_stream(stream);
    request.mutable_trim()->set_shard(shard);
    request.mutable_trim()->set_before_offset(before);
    static_cast<void>(node_.call(request));
  }
  void remove(const std::string& name, std::uint64_t id) {
    ledger_.deleted = id;
    wire::Request request;
    request.mutable_delete_stream()->set_name(name);
    static_cast<void>(node_.call(request));
  }

  SimNode& node_;
  Ledger& ledger_;
};

// Everything a shard holds, by base offset.
std::map<std::uint64_t, std::string> read_shard(SimNode& node, std::uint64_t stream,
                                                std::uint32_t shard, std::string& trouble) {
  std::map<std::uint64_t, std::string> found;
  std::uint64_t from = 0;
  while (true) {
    auto answer = node.call(read_request(stream, shard, from));
    if (!answer) {
      trouble = "no answer";
      return found;
    }
    if (testing::code_of(answer) == Errc::kTrimmed) {
      from = answer->response.failure().start_offset();
      continue;
    }
    if (!answer->response.has_read()) {
      trouble = answer->response.failure().message();
      return found;
    }
    const auto& read = answer->response.read();
    for (std::size_t i = 0; i < answer->payload.size(); ++i) {
      const Bytes batch = answer->payload[i].bytes();
      found[read.batches(static_cast<int>(i)).base_offset()] =
          std::string(reinterpret_cast<const char*>(batch.data()), batch.size());
    }
    if (read.next_offset() >= read.watermark()) return found;
    from = read.next_offset();
  }
}

using Batches = std::map<std::uint64_t, std::string>;

// Every acknowledged batch is at its offset, or was trimmed.
std::string missing(const Batches& found, const Batches& acked, std::uint64_t start) {
  for (const auto& [offset, text] : acked) {
    if (offset < start) continue;
    const auto there = found.find(offset);
    if (there == found.end() || !there->second.contains(text)) {
      return fmt::format("the acknowledged batch at offset {} is not there", offset);
    }
  }
  return "";
}

// What is there was sent, and is there once.
std::string stray(const Batches& found, const Ledger& ledger) {
  std::map<std::string, int> seen;
  for (const auto& [offset, batch] : found) {
    const auto sent = std::ranges::find_if(
        ledger.sent, [&batch](const auto& each) { return batch.contains(each.first); });
    if (sent == ledger.sent.end() || ++seen[sent->first] > 1) {
      return fmt::format("what is at offset {} was never sent, or twice", offset);
    }
  }
  return "";
}

std::string check_shard(SimNode& node, const Ledger& ledger, std::uint64_t stream,
                        std::uint32_t shard) {
  std::string trouble;
  const Batches found = read_shard(node, stream, shard, trouble);
  if (!trouble.empty()) return trouble;
  const auto acked = ledger.acked.find({stream, shard});
  if (acked == ledger.acked.end()) return "";
  const auto trimmed = ledger.trimmed.find({stream, shard});
  trouble = missing(found, acked->second, trimmed == ledger.trimmed.end() ? 0 : trimmed->second);
  return trouble.empty() ? stray(found, ledger) : trouble;
}

::testing::AssertionResult check(SimNode& node, const Ledger& ledger) {
  for (const std::uint64_t stream : ledger.streams) {
    if (stream == ledger.deleted) continue;
    for (std::uint32_t shard = 0; shard < kShards; ++shard) {
      const std::string trouble = check_shard(node, ledger, stream, shard);
      if (!trouble.empty()) {
        return ::testing::AssertionFailure()
               << "stream " << stream << "/" << shard << ": " << trouble;
      }
    }
  }
  return ::testing::AssertionSuccess();
}

struct Outcome {
  std::uint64_t operations = 0;
  Ledger ledger;
};

// Runs the workload on the cell's disk until it is done or the disk has died.
Outcome live(Cell& cell, std::uint64_t seed) {
  Outcome outcome;
  {
    SimNode node(cell, seed);
    if (node.start()) Workload(node, outcome.ledger).run();
  }
  outcome.operations = cell.disk->operations();
  return outcome;
}

// The node on the disk that the crash left; the state store keeps what was written to it.
::testing::AssertionResult recover(Cell& cell, Ledger& ledger) {
  SimNode node(cell);
  if (!node.start()) return ::testing::AssertionFailure() << "no start: " << node.error;
  if (node.report.halted > 0) {
    return ::testing::AssertionFailure()
           << "a group was halted: " << ::testing::PrintToString(node.world.reports);
  }
  if (auto checked = check(node, ledger); !checked) return checked;
  if (!ledger.streams.empty()) {
    const auto pending =
        node.send(append_request(ledger.streams[0], 0), make_batch(1, {}, "after the crash"));
    // It may have to wait for a segment.
    node.world.advance(1'000'000);
    const auto& answer = *pending;
    if (!answer || !answer->response.has_append()) {
      return ::testing::AssertionFailure()
             << "no append after the crash: "
             << (answer ? answer->response.failure().message() : "no answer");
    }
  }
  return ::testing::AssertionSuccess();
}

constexpr CrashImage kImages[] = {
    {.data = Survival::kNone, .names = Survival::kNone},
    {.data = Survival::kAll, .names = Survival::kAll},
    {.data = Survival::kRandom, .names = Survival::kRandom},
    {.data = Survival::kRandom, .names = Survival::kNone, .tear_last_sector = true},
    {.data = Survival::kNone, .names = Survival::kAll}};

TEST(NodeCrash, AtEveryCallAndAgainDuringRecovery) {
  Cell whole = make_cell();
  Outcome all = live(whole, 1);
  ASSERT_EQ(all.ledger.streams.size(), 2U);
  ASSERT_TRUE(recover(whole, all.ledger));
  const std::uint64_t calls = all.operations;
  const std::uint64_t step = full_proof() ? 1 : std::max<std::uint64_t>(1, calls / 60);
  std::uint64_t crashes = 0;
  for (std::uint64_t at = 1; at <= calls; at += step) {
    Cell cell = make_cell();
    cell.disk->crash_at(at);
    Outcome lived = live(cell, 1);
    for (std::size_t i = 0; i < std::size(kImages); ++i) {
      if (!full_proof() && (at / step + i) % 2 != 0) continue;
      Cell after = cell;
      after.disk = cell.disk->crash(at * 31 + i, kImages[i]);
      after.store = std::make_shared<storage::MemoryStateStore>(*cell.store);
      // Once more, in the middle of the recovery.
      Cell twice = after;
      twice.disk = after.disk->clone();
      twice.store = std::make_shared<storage::MemoryStateStore>(*after.store);
      twice.disk->crash_at(1 + at % 23);
      {
        SimNode dying(twice);
        static_cast<void>(dying.start());
      }
      twice.disk = twice.disk->crash(at * 17 + i, kImages[i]);
      const auto call =
          at <= cell.disk->calls().size() ? cell.disk->calls()[at - 1].describe() : "";
      ASSERT_TRUE(recover(after, lived.ledger)) << "call " << at << " image " << i << ": " << call;
      ASSERT_TRUE(recover(twice, lived.ledger))
          << "call " << at << " image " << i << " twice: " << call;
      crashes += 2;
    }
  }
  RecordProperty("calls", static_cast<int>(calls));
  RecordProperty("crashes", static_cast<int>(crashes));
  std::map<std::string_view, int> kinds;
  for (const auto& call : whole.disk->calls()) ++kinds[jepsen::disk_op_name(call.op)];
  for (const auto& [kind, count] : kinds) fmt::print("{} {}, ", count, kind);
  fmt::print("{} calls, {} crashes\n", calls, crashes);
}

// What must not survive the proof: acknowledging before the flush.
TEST(NodeCrash, AnAckBeforeItsFlushIsFound) {
  bool found = false;
  for (std::uint64_t at = 40; at < 400 && !found; at += 7) {
    Cell cell = make_cell();
    Ledger ledger;
    {
      SimNode node(cell);
      ASSERT_TRUE(node.start());
      ledger.streams.push_back(
          node.call(create_request("app"))->response.create_stream().stream().id());
      // Sent, and taken for acknowledged at once.
      node.world.hold_flushes(true);
      const std::string text = fmt::format("early {}/", at);
      ledger.sent[text] = 0;
      ledger.acked[{ledger.streams[0], 0}][0] = text;
      static_cast<void>(node.call(append_request(ledger.streams[0], 0), make_batch(1, {}, text)));
    }
    Cell after = cell;
    after.disk = cell.disk->crash(at, {.data = Survival::kNone, .names = Survival::kNone});
    found = !recover(after, ledger);
  }
  EXPECT_TRUE(found);
}

}  // namespace
}  // namespace lignum::server
