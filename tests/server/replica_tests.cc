// The replica driver over a hand-run world: who is told what, and when.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "jepsen/sim/sim_disk.h"
#include "raft/entry.h"
#include "raft/error.h"
#include "raft/hard_state.h"
#include "raft/types.h"
#include "server/group/checkpoints.h"
#include "server/group/configured_state.h"
#include "server/group/ports.h"
#include "server/group/replica.h"
#include "server/group/replica_boot.h"
#include "server/group/state_machine.h"
#include "server/group/transfer_pace.h"
#include "server/group/waiters.h"
#include "storage/memory_state_store.h"
#include "storage/state_store.h"
#include "tests/server/manual_world.h"
#include "tests/server/memory_log.h"

namespace lignum::server {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::ManualWorld;
using testing::MemoryDisk;
using testing::MemoryLog;

// Counts entries by kind; refuses an entry whose level mask is 7.
class Counter final : public StateMachine {
 public:
  Result<void> apply(const Entry& entry) override {
    if (entry.header.level_mask == 7) return fail(Errc::kCorrupt, "seven");
    ++counts[entry.header.kind == EntryKind::kNoOp ? "noop" : "other"];
    changed = true;
    return {};
  }
  [[nodiscard]] std::vector<storage::StateWrite> take_changes() override {
    std::vector<storage::StateWrite> writes;
    if (std::exchange(changed, false)) {
      for (const auto& [key, count] : counts) {
        writes.push_back({.key = key, .value = std::to_string(count)});
      }
    }
    return writes;
  }
  void for_each(
      const std::function<void(std::string_view, std::string_view)>& visit) const override {
    for (const auto& [key, count] : counts) visit(key, std::to_string(count));
  }
  Result<void> restore(std::string_view key, std::string_view value) override {
    counts[std::string(key)] = std::stoi(std::string(value));
    return {};
  }
  void reset() override { counts.clear(); }

  std::map<std::string, int> counts;
  bool changed = false;
};

class Owner final : public ReplicaOwner {
 public:
  void on_restored() override {}
  void on_leader(std::optional<ReplicaId> /*leader*/) override {}
  void on_admitting() override { ++admitting; }
  void on_leadership_lost() override { ++lost; }
  void on_halted() override { ++halted; }
  void on_applied(const Entry& entry) override { applied.push_back(entry.header.index.value()); }
  std::optional<std::int64_t> on_timer(const Now& /*now*/) override { return std::nullopt; }
  int admitting = 0;
  int lost = 0;
  int halted = 0;
  std::vector<std::uint64_t> applied;
};

constexpr ReplicaId kSelf{.node = NodeId(1), .incarnation = NodeIncarnation(7)};
constexpr GroupIncarnation kGroup{42};

class ReplicaTest : public ::testing::Test {
 protected:
  void open() {
    replica.reset();
    ports.reset();
    world = std::make_unique<ManualWorld>();
    world->now.wall_us = wall_us;
    ports = world->make_ports();
    machine = Counter();
    owner = Owner();
    auto checkpoints = std::make_unique<Checkpoints>(GroupId(3), kGroup, store, sim.root(), *ports);
    auto memory_log = std::make_unique<MemoryLog>(disk);
    log = memory_log.get();
    ConfiguredState configured(machine, {.index = Index(0), .membership = {.voters = {kSelf}}});
    auto restored = checkpoints->restore(configured, Index(1), log->last().index);
    ASSERT_TRUE(restored) << restored.error().message();
    remark = restored->remark;
    restored_to = restored->mark.id.index;
    auto boot =
        read_boot(*memory_log, {.self = kSelf,
                                .group = kGroup,
                                .hard_state = votes.empty() ? raft::HardState{} : votes.back(),
                                .applied = restored->mark.id,
                                .config = configured.config()});
    ASSERT_TRUE(boot) << boot.error().message();
    replica = std::make_unique<Replica>(
        ReplicaParts{.group = GroupId(3),
                     .boot = std::move(*boot),
                     .log = std::move(memory_log),
                     .save_hard_state = [this](const raft::HardState& state) -> Result<void> {
                       entries_at_vote = disk->entries.size();
                       votes.push_back(state);
                       return {};
                     },
                     .checkpoints = std::move(checkpoints),
                     .raft = {},
                     .pace = pace},
        restored->mark, machine, *ports, owner);
  }
  void serve() {
    open();
    replica->start();
    world->run();
    ASSERT_TRUE(replica->admitting());
  }
  void stop() {
    bool done = false;
    replica->stop([&done] { done = true; });
    world->run();
    EXPECT_TRUE(done);
  }
  // Proposes a batch and notes its fate.
  LogId propose(std::uint32_t mask = 1) {
    Entry entry;
    entry.header.kind = EntryKind::kCommand;
    entry.header.level_mask = mask;
    const auto id = replica->propose(std::move(entry));
    EXPECT_TRUE(id) << id.error().message();
    wait(*id);
    return *id;
  }
  void wait(LogId id, std::int64_t patience_us = 1'000'000) {
    EXPECT_TRUE(replica->wait_for(id, world->now.monotonic_us + patience_us,
                                  [this, id](Fate fate) { fates[id] = fate; }));
  }

  TimeUs wall_us = 1'700'000'000'000'000;
  std::shared_ptr<MemoryDisk> disk = std::make_shared<MemoryDisk>();
  std::vector<raft::HardState> votes;
  std::size_t entries_at_vote = 0;
  storage::MemoryStateStore store;
  jepsen::SimDisk sim;
  std::unique_ptr<ManualWorld> world;
  std::unique_ptr<testing::ManualPorts> ports;
  Counter machine;
  Owner owner;
  MemoryLog* log = nullptr;
  TransferPace pace{0};
  std::unique_ptr<Replica> replica;
  std::map<LogId, Fate> fates;
  std::string remark;
  Index restored_to;
};

TEST_F(ReplicaTest, AdmitsNothingBeforeItsOwnNoOpIsApplied) {
  open();
  replica->start();
  EXPECT_FALSE(replica->admitting());
  const auto refused = replica->propose(Entry{});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Errc::kNotLeader);
  world->run();
  EXPECT_TRUE(replica->admitting());
  EXPECT_EQ(owner.admitting, 1);
  EXPECT_EQ(machine.counts.at("noop"), 1);
  // Vote and term were durable before any entry of that term.
  EXPECT_EQ(entries_at_vote, 0U);
  ASSERT_FALSE(votes.empty());
  EXPECT_EQ(votes.back().vote, kSelf);
}

TEST_F(ReplicaTest, NobodyIsToldBeforeTheFlush) {
  serve();
  world->hold_flushes(true);
  const LogId first = propose();
  world->run();
  const LogId second = propose();
  world->run();
  EXPECT_TRUE(fates.empty());
  EXPECT_EQ(replica->applied().index, Index(1));
  EXPECT_EQ(disk->entries.size(), 1U);
  // The second one gathers behind the first flush: one is out at a time.
  EXPECT_EQ(world->flushes_waiting(), 1U);
  world->hold_flushes(false);
  world->run();
  EXPECT_EQ(fates.at(first), Fate::kApplied);
  EXPECT_EQ(fates.at(second), Fate::kApplied);
  EXPECT_EQ(disk->entries.size(), 3U);
  EXPECT_THAT(owner.applied, ElementsAre(1, 2, 3));
}

TEST_F(ReplicaTest, EverythingThatWaitsSharesAFlush) {
  serve();
  world->hold_flushes(true);
  for (int i = 0; i < 10; ++i) propose();
  world->run();
  EXPECT_EQ(world->flushes_waiting(), 1U);
  world->hold_flushes(false);
  world->run();
  EXPECT_EQ(fates.size(), 10U);
  EXPECT_EQ(disk->entries.size(), 11U);
}

TEST_F(ReplicaTest, AFailedFlushAcknowledgesNothing) {
  serve();
  disk->fail_flushes = true;
  const LogId id = propose();
  world->run();
  EXPECT_TRUE(world->dead);
  EXPECT_EQ(fates.at(id), Fate::kUnknown);
  EXPECT_FALSE(replica->admitting());
}

TEST_F(ReplicaTest, ADeadlineLeavesTheOutcomeOpen) {
  serve();
  world->hold_flushes(true);
  const LogId id = propose();
  world->advance(2'000'000);
  EXPECT_EQ(fates.at(id), Fate::kUnknown);
}

TEST_F(ReplicaTest, StampsRiseThroughRestartsAndClockSteps) {
  serve();
  propose();
  world->run();
  world->now.wall_us -= 3'600'000'000;
  propose();
  propose();
  world->run();
  EXPECT_THAT(world->reports, Contains(HasSubstr("stepped by -3600000 ms")));
  stop();
  replica.reset();
  wall_us -= 7'200'000'000;
  serve();
  propose();
  world->run();
  TimeUs last = 0;
  for (const Entry& entry : disk->entries) {
    EXPECT_GT(entry.header.append_time, last);
    last = entry.header.append_time;
  }
  EXPECT_EQ(replica->closed_time(), last);
}

TEST_F(ReplicaTest, RestartReplaysWhatNoCheckpointHolds) {
  serve();
  propose();
  propose();
  world->run();
  replica.reset();  // kill -9: no checkpoint was taken
  serve();
  EXPECT_EQ(restored_to, Index(0));
  EXPECT_EQ(machine.counts.at("other"), 2);
  EXPECT_EQ(machine.counts.at("noop"), 2);
  EXPECT_EQ(replica->status().term, Term(2));
}

TEST_F(ReplicaTest, RestartBeginsAtTheLastCheckpoint) {
  serve();
  propose();
  world->run();
  stop();
  replica.reset();
  serve();
  EXPECT_EQ(restored_to, Index(2));
  EXPECT_EQ(machine.counts.at("other"), 1);
  EXPECT_EQ(machine.counts.at("noop"), 2);
  EXPECT_EQ(remark, "");
}

TEST_F(ReplicaTest, ALostStateStoreIsRebuiltFromImageAndLog) {
  serve();
  propose();
  world->run();
  stop();
  replica.reset();
  store = storage::MemoryStateStore();
  serve();
  EXPECT_EQ(restored_to, Index(2));
  EXPECT_EQ(machine.counts.at("other"), 1);
  // Without the images too: from the log alone.
  stop();
  replica.reset();
  store = storage::MemoryStateStore();
  for (const auto& file : sim.files()) sim.erase(file.path);
  serve();
  EXPECT_EQ(restored_to, Index(0));
  EXPECT_EQ(machine.counts.at("other"), 1);
  EXPECT_EQ(machine.counts.at("noop"), 3);
}

TEST_F(ReplicaTest, IdleForTenMillisecondsLeavesAMarker) {
  serve();
  propose();
  world->run();
  const auto before = disk->markers;
  world->advance(9'000);
  EXPECT_EQ(disk->markers, before);
  world->advance(2'000);
  EXPECT_EQ(disk->markers, before + 1);
  world->advance(1'000'000);
  EXPECT_EQ(disk->markers, before + 1);
}

TEST_F(ReplicaTest, IdleForTenSecondsHoldsNothingPrepared) {
  serve();
  for (int i = 0; i < 5; ++i) {
    propose();
    world->run();
    world->advance(9'000'000);
  }
  EXPECT_EQ(disk->spares_released, 0);
  world->advance(2'000'000);
  EXPECT_EQ(disk->spares_released, 1);
  world->advance(60'000'000);
  EXPECT_EQ(disk->spares_released, 1);
}

TEST_F(ReplicaTest, AContradictionHaltsTheGroupAndIsNotSkipped) {
  serve();
  const LogId bad = propose(7);
  const LogId after = propose();
  world->run();
  EXPECT_EQ(fates.at(bad), Fate::kUnknown);
  EXPECT_EQ(fates.at(after), Fate::kUnknown);
  EXPECT_EQ(replica->applied().index, Index(1));
  EXPECT_THAT(replica->status().damage, HasSubstr("seven"));
  EXPECT_EQ(owner.lost, 1);
  EXPECT_EQ(owner.halted, 1);
  EXPECT_EQ(replica->propose(Entry{}).error().code(), Errc::kHalted);
  stop();
}

TEST_F(ReplicaTest, StoppingFinishesWhatIsInFlight) {
  serve();
  const LogId id = propose();
  stop();
  EXPECT_EQ(fates.at(id), Fate::kApplied);
  EXPECT_EQ(replica->propose(Entry{}).error().code(), Errc::kShuttingDown);
  EXPECT_GE(disk->markers, 1U);
  EXPECT_EQ(replica->checkpoints().durable_checkpoint(), id.index);
}

}  // namespace
}  // namespace lignum::server
