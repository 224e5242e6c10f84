// A node whose disk fails, or is full, at every single call.
//
// A failed write or sync of live data stops the process: what was acknowledged before is there
// after a power cut, and nothing else was acknowledged. A failure in the background (a segment that
// is prepared, a checkpoint, a cleaning) costs nothing but time. A full disk refuses appends with
// kNoSpace and nothing else: reads, trims and deletions go on, and appends do as soon as there is
// space again. The quick version strikes a sample of the calls; LIGNUM_PROOF=full strikes them all.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
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
#include "tests/storage/proof.h"

namespace lignum::server {
namespace {

using jepsen::DiskFault;
using jepsen::FaultSpan;
using jepsen::Survival;
using testing::append_request;
using testing::Cell;
using testing::code_of;
using testing::create_request;
using testing::make_batch;
using testing::read_request;
using testing::SimNode;

constexpr std::size_t kSegment = std::size_t{64} << 10;
constexpr std::uint64_t kBlock = 4096;
constexpr std::uint64_t kNoLimit = std::uint64_t{1} << 40;

Cell make_cell() {
  Cell cell;
  const SegmentStoreOptions options{
      .segment_bytes_min = kSegment, .segment_bytes_max = kSegment, .early_flush_bytes = 1};
  cell.logs = {.make = make_segmented_log(options), .open = open_segmented_log(options)};
  cell.groups = 1;
  return cell;
}

// One shard, as its client knows it.
struct Known {
  std::uint64_t stream = 0;
  // By base offset, of one record each.
  std::map<std::uint64_t, std::string> acked;
  // Asked for, acknowledged or not.
  std::uint64_t trimmed = 0;
  int next = 0;
  // How appends failed.
  std::map<Errc, int> refused;
};

class Client {
 public:
  Client(SimNode& node, Known& known) : node_(node), known_(known) {}

  void create() {
    auto request = create_request("app");
    request.mutable_create_stream()->set_shards(1);
    const auto answer = node_.call(request);
    if (answer && answer->response.has_create_stream()) {
      known_.stream = answer->response.create_stream().stream().id();
    }
  }
  bool append(std::size_t bytes) {
    const std::string text = fmt::format("{:0{}}/", known_.next++, bytes);
    const auto pending = node_.send(append_request(known_.stream, 0), make_batch(1, {}, text));
    // A segment may have to be prepared first.
    for (int i = 0; i < 40 && !*pending && !node_.world.dead; ++i) node_.world.advance(10'000);
    const auto& answer = *pending;
    if (answer && answer->response.has_append()) {
      known_.acked[answer->response.append().base_offset()] = text;
      return true;
    }
    ++known_.refused[code_of(answer)];
    return false;
  }
  // The first one may still be refused, and makes the log look for space again.
  bool append_after_trouble(std::size_t bytes) { return append(bytes) || append(bytes); }
  bool trim(std::uint64_t before) {
    if (known_.acked.empty()) return true;
    before = std::min(before, known_.acked.rbegin()->first);
    known_.trimmed = std::max(known_.trimmed, before);
    wire::Request request;
    request.mutable_trim()->set_stream(known_.stream);
    request.mutable_trim()->set_before_offset(before);
    const auto answer = node_.call(request);
    return answer && answer->response.has_trim();
  }
  // Empty when everything acknowledged and not trimmed is there.
  std::string missing() {
    std::map<std::uint64_t, std::string> found;
    for (std::uint64_t from = known_.trimmed;;) {
      const auto answer = node_.call(read_request(known_.stream, 0, from));
      if (!answer) return "no answer";
      if (!answer->response.has_read()) return answer->response.failure().message();
      const auto& read = answer->response.read();
      for (std::size_t i = 0; i < answer->payload.size(); ++i) {
        const Bytes batch = answer->payload[i].bytes();
        found[read.batches(static_cast<int>(i)).base_offset()] =
            std::string(reinterpret_cast<const char*>(batch.data()), batch.size());
      }
      if (read.next_offset() >= read.watermark()) break;
      from = read.next_offset();
    }
    for (const auto& [offset, text] : known_.acked) {
      if (offset < known_.trimmed) continue;
      const auto there = found.find(offset);
      if (there == found.end() || !there->second.contains(text)) {
        return fmt::format("the acknowledged batch at {} is not there", offset);
      }
    }
    return "";
  }

 private:
  SimNode& node_;
  Known& known_;
};

// Appends over several segments, trims, lets checkpoints and cleaning run.
void work(SimNode& node, Known& known) {
  Client client(node, known);
  client.create();
  if (known.stream == 0) return;
  for (std::uint64_t round = 1; round <= 3 && !node.world.dead; ++round) {
    for (int i = 0; i < 7; ++i) client.append(9000);
    client.trim(4 * round);
    node.world.advance(6'000'000);
  }
  node.world.advance(12'000'000);
  client.append(10);
}

// After a power cut that keeps nothing that was not flushed.
std::string after_power_cut(const Cell& cell, Known known) {
  Cell after = cell;
  after.disk = cell.disk->crash(1, {.data = Survival::kNone, .names = Survival::kNone});
  after.disk->set_capacity(kNoLimit);
  after.store = std::make_shared<storage::MemoryStateStore>(*cell.store);
  SimNode node(after);
  if (!node.start()) return "no start: " + node.error;
  if (known.stream == 0) return "";
  Client client(node, known);
  if (std::string wrong = client.missing(); !wrong.empty()) return wrong;
  return client.append(100) ? "" : "no append after the restart";
}

struct Struck {
  std::uint64_t faults = 0;
  bool stopped = false;
  bool refused_start = false;
  std::string wrong;
};

// `boot`: the disk fails from the start of the process on, else once it serves.
Struck run_with(const DiskFault& fault, bool boot) {
  Cell cell = make_cell();
  Known known;
  Struck struck;
  {
    SimNode node(cell);
    if (boot) cell.disk->fail(fault);
    const bool started = node.start();
    struck.refused_start = !started;
    if (!boot) cell.disk->fail(fault);
    if (started) work(node, known);
    struck.faults = cell.disk->faults_struck();
    struck.stopped = node.world.dead;
    if (started && !node.world.dead && known.stream != 0) {
      // It survived, so it heals.
      cell.disk->clear_faults();
      node.world.advance(30'000'000);
      Client client(node, known);
      if (!client.append_after_trouble(9000)) struck.wrong = "no append after the fault is gone";
      if (std::string wrong = client.missing(); !wrong.empty()) struck.wrong = wrong;
    }
  }
  if (struck.wrong.empty()) struck.wrong = after_power_cut(cell, known);
  return struck;
}

struct Tally {
  std::uint64_t calls = 0;
  std::uint64_t stops = 0;
  std::uint64_t refused_starts = 0;
};

// Strikes one call after the other, until the node makes no more.
void strike_everywhere(DiskFault fault, bool boot, Tally& tally) {
  for (fault.nth = 1;; fault.nth += full_proof() ? 1 : 9) {
    const Struck struck = run_with(fault, boot);
    ASSERT_EQ(struck.wrong, "") << errc_name(fault.error) << " at call " << fault.nth
                                << (boot ? " of the boot" : "");
    if (struck.faults == 0) return;
    ++tally.calls;
    tally.stops += struck.stopped ? 1 : 0;
    tally.refused_starts += struck.refused_start ? 1 : 0;
  }
}

TEST(DiskFaults, AtEveryCallNothingAcknowledgedIsLost) {
  Tally tally;
  for (const Errc error : {Errc::kIo, Errc::kNoSpace}) {
    for (const FaultSpan span : {FaultSpan::kOnce, FaultSpan::kUntilCleared}) {
      strike_everywhere({.error = error, .span = span}, true, tally);
      strike_everywhere({.error = error, .span = span}, false, tally);
    }
  }
  const std::uint64_t survived = tally.calls - tally.stops - tally.refused_starts;
  EXPECT_GT(tally.calls, 50U);
  EXPECT_GT(tally.stops, 10U);
  EXPECT_GT(survived, 10U);
  fmt::print("{} faults: {} stopped the process, {} its start, {} were survived and healed\n",
             tally.calls, tally.stops, tally.refused_starts, survived);
}

// Of which directory, and whatever for: nobody goes on with names that may be lost. (Where the
// preparation of a segment was given up that nobody needs, whoever syncs next hears of it.)
TEST(DiskFaults, ADirectoryThatCannotBeSyncedEndsTheProcess) {
  for (const bool boot : {true, false}) {
    std::uint64_t calls = 0;
    std::uint64_t ended = 0;
    for (DiskFault fault{.op = jepsen::DiskOp::kSyncDirectory, .nth = 1};; ++fault.nth) {
      const Struck struck = run_with(fault, boot);
      ASSERT_EQ(struck.wrong, "") << "at sync " << fault.nth;
      if (struck.faults == 0) break;
      ended += struck.stopped || struck.refused_start ? 1 : 0;
      ++calls;
    }
    EXPECT_GT(calls, 5U);
    EXPECT_GE(ended + 1, calls);
  }
}

class FullDisk : public ::testing::Test {
 protected:
  // Serves, with some records, and with `free` bytes left on the disk.
  void fill(std::uint64_t free) {
    node = std::make_unique<SimNode>(cell);
    ASSERT_TRUE(node->start()) << node->error;
    client.emplace(*node, known);
    client->create();
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(client->append(5000));
    cell.disk->set_capacity(cell.disk->used_bytes() + free);
  }
  // What a full disk owes to everybody.
  void expect_only_appends_refused(std::size_t bytes) {
    for (int i = 0; i < 1000 && client->append(bytes); ++i) {
    }
    ASSERT_FALSE(node->world.dead) << node->world.death;
    for (int i = 0; i < 3; ++i) client->append(bytes);
    EXPECT_THAT(known.refused, ::testing::ElementsAre(::testing::Key(Errc::kNoSpace)));
    EXPECT_EQ(client->missing(), "");
    for (std::uint64_t i = 1; i <= 10; ++i) ASSERT_TRUE(client->trim(i));
    EXPECT_EQ(client->missing(), "");
    node->world.advance(10'000'000);
    ASSERT_FALSE(node->world.dead) << node->world.death;
  }
  void expect_heals() {
    cell.disk->set_capacity(kNoLimit);
    node->world.advance(10'000'000);
    EXPECT_TRUE(client->append_after_trouble(5000));
    EXPECT_EQ(client->missing(), "");
    EXPECT_EQ(after_power_cut(cell, known), "");
  }

  Cell cell = make_cell();
  Known known;
  std::unique_ptr<SimNode> node;
  std::optional<Client> client;
};

TEST_F(FullDisk, RefusesLargeAppendsOnlyAndHeals) {
  for (std::uint64_t free = 0; free <= 40 * kBlock; free += (full_proof() ? 1 : 5) * kBlock) {
    SCOPED_TRACE(free);
    cell = make_cell();
    known = {};
    fill(free);
    expect_only_appends_refused(5000);
    expect_heals();
    if (HasFatalFailure()) return;
  }
}

// Small records fill a segment to its very end.
TEST_F(FullDisk, RefusesSmallAppendsOnlyAndHeals) {
  for (std::uint64_t free = 0; free <= 40 * kBlock; free += (full_proof() ? 1 : 10) * kBlock) {
    SCOPED_TRACE(free);
    cell = make_cell();
    known = {};
    fill(free);
    expect_only_appends_refused(20);
    expect_heals();
    if (HasFatalFailure()) return;
  }
}

TEST_F(FullDisk, TakesDeletionsAndRefusesWhatIsTooMuch) {
  fill(0);
  expect_only_appends_refused(20);
  // Trims end before the node's own last reserve does: refused, and not the end of the process.
  std::uint64_t before = 11;
  while (client->trim(before) && before < 500) ++before;
  EXPECT_GT(before, 20U);
  EXPECT_LT(before, 500U);
  ASSERT_FALSE(node->world.dead) << node->world.death;
  wire::Request request;
  request.mutable_delete_stream()->set_name("app");
  const auto answer = node->call(request);
  EXPECT_TRUE(answer && answer->response.has_delete_stream());
  node->world.advance(10'000'000);
  ASSERT_FALSE(node->world.dead) << node->world.death;
}

}  // namespace
}  // namespace lignum::server
