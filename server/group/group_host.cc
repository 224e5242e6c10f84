#include "server/group/group_host.h"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include "net/peer_message.h"
#include "raft/check.h"
#include "raft/config_history.h"
#include "raft/error.h"
#include "raft/hard_state.h"
#include "raft/options.h"
#include "raft/random.h"
#include "raft/types.h"
#include "server/group/checkpoints.h"
#include "server/group/configured_state.h"
#include "server/group/data_directory.h"
#include "server/group/data_group.h"
#include "server/group/meta_group.h"
#include "server/group/ports.h"
#include "server/group/replica.h"
#include "server/group/replica_boot.h"
#include "server/group/state_machine.h"
#include "server/meta/meta_state.h"
#include "server/shard/shard_state.h"
#include "storage/file.h"
#include "storage/log.h"

namespace lignum::server {

namespace {

// Calls `done` when it was called `count` times itself, from whatever lanes.
class Countdown {
 public:
  Countdown(std::size_t count, Task done) : left_(count), done_(std::move(done)) {}
  void operator()() {
    if (left_.fetch_sub(1) == 1) done_();
  }

 private:
  std::atomic<std::size_t> left_;
  Task done_;
};

// Rule B9: the term is at least that of the last entry; a vote of an earlier term counts nothing.
raft::HardState at_boot(const std::optional<raft::HardState>& stored, Term last) {
  raft::HardState state = stored.value_or(raft::HardState{});
  if (state.term < last) {
    state.term = last;
    state.vote.reset();
  }
  return state;
}

}  // namespace

GroupHost::GroupHost(GroupHostParts parts) : parts_(std::move(parts)) {}

GroupHost::~GroupHost() = default;

ReplicaId GroupHost::self() const {
  return {.node = directory_.identity.node, .incarnation = directory_.identity.incarnation};
}

raft::ConfigAt GroupHost::first_config() const {
  raft::ConfigAt config;
  config.membership.voters = directory_.identity.members;
  if (config.membership.voters.empty()) config.membership.voters = {self()};
  std::ranges::sort(config.membership.voters);
  return config;
}

Result<BootReport> GroupHost::open() {
  TRY_ASSIGN(directory, open_data_directory(parts_.root, parts_.bootstrap, parts_.make_log));
  directory_ = std::move(directory);
  TRY_ASSIGN(groups, parts_.root.open_directory(kGroupsDirectoryName));
  groups_ = std::move(groups);
  TRY_ASSIGN(images, parts_.root.open_directory(kImagesDirectoryName));
  images_ = std::move(images);
  BootReport report{.made = directory_.made};
  router_.set_node(directory_.identity.node, directory_.identity.members.empty());
  // The state store is shared: damage found by one group drops it for all, and those restored
  // from it before write themselves anew.
  std::vector<Prepared> prepared;
  bool store_damaged = false;
  for (const GroupId group : directory_.groups) {
    ++report.groups;
    TRY_ASSIGN(found, prepare(group));
    prepared.push_back(std::move(found));
    store_damaged = store_damaged || prepared.back().store_damaged;
  }
  if (store_damaged) {
    parts_.boot_ports.report(Severity::kWarn,
                             "the state store is damaged; dropped and rebuilt from image and log");
    TRY(parts_.reset_store());
  }
  for (Prepared& each : prepared) {
    if (store_damaged && each.checkpoints) each.checkpoints->store_was_replaced();
    if (!each.damage.empty()) ++report.halted;
    if (each.log) report.log_bytes += each.log->usage().bytes;
    TRY(seat(std::move(each)));
  }
  return report;
}

Result<GroupHost::Prepared> GroupHost::prepare(GroupId group) {
  Prepared prepared{.group = group, .ports = parts_.make_ports(group)};
  if (auto outcome = try_prepare(prepared); !outcome) {
    // Nothing is wrong with the group.
    if (outcome.error().code() == Errc::kTooManyFiles) return std::unexpected(outcome.error());
    prepared.damage = outcome.error().message();
    prepared.log.reset();
    parts_.boot_ports.report(Severity::kError,
                             fmt::format("group {} is halted: {}", group.value(), prepared.damage));
  }
  return prepared;
}

Result<void> GroupHost::try_prepare(Prepared& prepared) {
  const GroupId group = prepared.group;
  const GroupIncarnation incarnation = group_incarnation(directory_.identity.cluster, group);
  const auto report = [this, group](Severity severity, const std::string& text) {
    parts_.boot_ports.report(severity, fmt::format("group {}: {}", group.value(), text));
  };
  TRY_ASSIGN(loaded, directory_.hard_state->load(group));
  for (const std::string& each : loaded.damage) report(Severity::kWarn, each);
  if (loaded.torn) report(Severity::kWarn, "a vote that was being written was given up");
  TRY_ASSIGN(image_directory, images_->open_directory(group_directory_name(group)));
  prepared.checkpoints = std::make_unique<Checkpoints>(group, incarnation, parts_.store,
                                                       std::move(image_directory), *prepared.ports);
  TRY_ASSIGN(evidence, prepared.checkpoints->evidence());
  TRY_ASSIGN(log_directory, groups_->open_directory(group_directory_name(group)));
  // The log refers to it for as long as it lives.
  storage::Directory& log_place = *log_directory;
  log_directories_.push_back(std::move(log_directory));
  TRY_ASSIGN(opened, parts_.open_log(log_place, {.group = group,
                                                 .incarnation = incarnation,
                                                 .node = directory_.identity.incarnation,
                                                 .evidence = std::move(evidence),
                                                 .ports = *prepared.ports}));
  for (const std::string& each : opened.remarks) report(Severity::kWarn, each);
  prepared.log = std::move(opened.log);
  TRY_ASSIGN(settled, prepared.checkpoints->settle_snapshot(
                          [&log = *prepared.log](Index index) { return log.id_at(index); }));
  if (!settled.empty()) report(Severity::kInfo, settled);
  if (group == kMetaGroup) {
    prepared.meta = std::make_unique<MetaState>();
  } else {
    prepared.shards = std::make_unique<ShardState>(parts_.producer_sessions_max);
  }
  ConfiguredState machine(group == kMetaGroup ? static_cast<StateMachine&>(*prepared.meta)
                                              : static_cast<StateMachine&>(*prepared.shards),
                          first_config());
  TRY_ASSIGN(restored, prepared.checkpoints->restore(machine, prepared.log->first_index(),
                                                     prepared.log->last().index));
  if (!restored.remark.empty()) report(Severity::kWarn, restored.remark);
  prepared.store_damaged = restored.store_damaged;
  prepared.applied = restored.mark;
  TRY_ASSIGN(boot, read_boot(*prepared.log,
                             {.self = self(),
                              .group = incarnation,
                              .hard_state = at_boot(loaded.state, prepared.log->last().term),
                              .applied = restored.mark.id,
                              .config = machine.config()}));
  prepared.boot = std::move(boot);
  return {};
}

Result<void> GroupHost::seat(Prepared prepared) {
  const GroupId group = prepared.group;
  if (!prepared.damage.empty()) {
    if (group == kMetaGroup) {
      return fail(Errc::kCorrupt,
                  fmt::format("the catalogue (group 0) is damaged, so nothing can be found: {}",
                              prepared.damage));
    }
    router_.add_group(group, {.ports = nullptr, .group = nullptr, .damage = prepared.damage});
    return {};
  }
  storage::HardStateFile* const hard_state = directory_.hard_state.get();
  raft::Options tuning = parts_.raft;
  tuning.seed = Random(tuning.seed,
                       fmt::format("{}/{}", directory_.identity.incarnation.value(), group.value()))
                    .next();
  ReplicaParts parts{.group = group,
                     .boot = std::move(prepared.boot),
                     .log = std::move(prepared.log),
                     .save_hard_state =
                         [hard_state, group](const raft::HardState& state) {
                           return hard_state->store(group, state);
                         },
                     .checkpoints = std::move(prepared.checkpoints),
                     .raft = tuning,
                     .tick_us = parts_.tick_us,
                     .snapshot_piece_bytes = parts_.snapshot_piece_bytes};
  Ports& ports = *prepared.ports;
  ports_[group] = std::move(prepared.ports);
  if (group == kMetaGroup) {
    std::vector<GroupId> data_groups(directory_.groups.begin() + 1, directory_.groups.end());
    meta_ = std::make_unique<MetaGroup>(MetaGroup::Parts{.replica = std::move(parts),
                                                         .applied = prepared.applied,
                                                         .state = std::move(prepared.meta),
                                                         .identity = directory_.identity,
                                                         .data_groups = std::move(data_groups),
                                                         .defaults = parts_.defaults},
                                        ports, router_);
    router_.set_meta(&ports, meta_.get());
    return {};
  }
  auto data = std::make_unique<DataGroup>(
      std::move(parts), prepared.applied, std::move(prepared.shards), ports,
      [this] { router_.on_meta([](MetaGroup& meta) { meta.reconcile_soon(); }); });
  router_.add_group(group, {.ports = &ports, .group = data.get(), .damage = {}});
  data_.push_back(std::move(data));
  return {};
}

std::vector<Replica*> GroupHost::replicas() {
  std::vector<Replica*> all;
  if (meta_) all.push_back(&meta_->replica());
  for (const auto& data : data_) all.push_back(&data->replica());
  return all;
}

Result<void> GroupHost::store_hard_state(GroupId group, const raft::HardState& state) {
  return directory_.hard_state->store(group, state);
}

void GroupHost::start(Task serving) {
  CHECK(meta_ != nullptr);
  // The meta group reconciles, so it starts when the data groups have settled.
  auto meta_turn = std::make_shared<Task>([this, serving = std::move(serving)]() mutable {
    router_.on_meta([serving = std::move(serving)](MetaGroup& meta) mutable {
      meta.start(std::move(serving));
    });
  });
  auto settled = std::make_shared<Countdown>(data_.size() + 1, [meta_turn] { (*meta_turn)(); });
  for (const auto& [group, seat] : router_.seats()) {
    if (seat.group == nullptr) continue;
    const auto sent = router_.on_group(
        group, [settled](DataGroup& data) { data.start([settled] { (*settled)(); }); });
    CHECK(sent.has_value());
  }
  (*settled)();
}

void GroupHost::receive(net::PeerMessage message) {
  if (message.to() != self()) return;
  const GroupId group = message.group;
  if (group == kMetaGroup) {
    router_.on_meta([message = std::move(message)](MetaGroup& meta) mutable {
      meta.receive(std::move(message));
    });
    return;
  }
  // A group that is halted or unknown here hears nothing.
  (void)router_.on_group(group, [message = std::move(message)](DataGroup& data) mutable {
    data.receive(std::move(message));
  });
}

void GroupHost::unreachable(ReplicaId peer) {
  router_.on_meta([peer](MetaGroup& meta) { meta.unreachable(peer); });
  for (const auto& [group, seat] : router_.seats()) {
    if (seat.group == nullptr) continue;
    (void)router_.on_group(group, [peer](DataGroup& data) { data.unreachable(peer); });
  }
}

void GroupHost::stop(Task stopped) {
  auto last = std::make_shared<Countdown>(data_.size() + 1, std::move(stopped));
  for (const auto& [group, seat] : router_.seats()) {
    if (seat.group == nullptr) continue;
    const auto sent =
        router_.on_group(group, [last](DataGroup& data) { data.stop([last] { (*last)(); }); });
    CHECK(sent.has_value());
  }
  router_.on_meta([last](MetaGroup& meta) { meta.stop([last] { (*last)(); }); });
}

}  // namespace lignum::server
