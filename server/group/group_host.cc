#include "server/group/group_host.h"

#include <algorithm>
#include <array>
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

GroupHost::GroupHost(GroupHostParts parts)
    : parts_(std::move(parts)), pace_(parts_.snapshot_bytes_per_second) {}

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
  // A process that was killed may have made them, and not synced that.
  TRY(parts_.root.sync());
  BootReport report{.made = directory_.made};
  router_.set_node(directory_.identity.node, directory_.identity.members.empty());
  // The state store is shared: damage found by one group drops it for all, and those restored
  // from it before write themselves anew.
  std::vector<Prepared> prepared;
  bool store_damaged = false;
  for (const GroupId group : directory_.groups) {
    ++report.groups;
    ports_[group] = parts_.make_ports(group);
    mendings_[group];
    log_directories_[group];
    image_directories_[group];
    if (group != kMetaGroup) data_[group];
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
    const GroupId group = each.group;
    TRY(seat(std::move(each)));
    if (mendings_.at(group).wanted) ++report.mending;
  }
  return report;
}

Result<GroupHost::Prepared> GroupHost::prepare(GroupId group) {
  Prepared prepared{.group = group};
  auto outcome = try_prepare(prepared);
  tell(prepared);
  if (!outcome) {
    // Nothing is wrong with the group.
    if (outcome.error().code() == Errc::kTooManyFiles) return std::unexpected(outcome.error());
    if (const auto lost = sync_error(group)) return std::unexpected(*lost);
    give_up(prepared, outcome.error());
    parts_.boot_ports.report(Severity::kError,
                             fmt::format("group {} is halted: {}", group.value(), prepared.damage));
  }
  return prepared;
}

void GroupHost::give_up(Prepared& prepared, const Error& error) {
  prepared.damage = error.message();
  constexpr std::array kPassing = {Errc::kIo, Errc::kTooManyFiles, Errc::kNoSpace,
                                   Errc::kOverloaded};
  prepared.passing = std::ranges::find(kPassing, error.code()) != kPassing.end();
  prepared.log_damaged = prepared.log_damaged && error.code() == Errc::kCorrupt;
  prepared.log.reset();
}

Result<std::shared_ptr<storage::Directory>> GroupHost::image_directory(GroupId group) {
  std::shared_ptr<storage::Directory>& directory = image_directories_.at(group);
  if (!directory) {
    TRY_ASSIGN(opened, images_->open_directory(group_directory_name(group)));
    // As above.
    TRY(images_->sync());
    directory = std::move(opened);
  }
  return directory;
}

std::optional<Error> GroupHost::sync_error(GroupId group) const {
  if (auto error = groups_->sync_error()) return error;
  if (auto error = images_->sync_error()) return error;
  const auto& log = log_directories_.at(group);
  if (auto error = log ? log->sync_error() : std::nullopt) return error;
  const auto& images = image_directories_.at(group);
  return images ? images->sync_error() : std::nullopt;
}

void GroupHost::tell(const Prepared& prepared) {
  for (const auto& [severity, text] : prepared.remarks) {
    parts_.boot_ports.report(severity, fmt::format("group {}: {}", prepared.group.value(), text));
  }
}

Result<void> GroupHost::try_prepare(Prepared& prepared) {
  const GroupId group = prepared.group;
  const GroupIncarnation incarnation = group_incarnation(directory_.identity.cluster, group);
  const auto report = [&prepared](Severity severity, std::string text) {
    prepared.remarks.emplace_back(severity, std::move(text));
  };
  Ports& ports = *ports_.at(group);
  TRY_ASSIGN(loaded, directory_.hard_state->load(group));
  for (const std::string& each : loaded.damage) report(Severity::kWarn, each);
  if (loaded.torn) report(Severity::kWarn, "a vote that was being written was given up");
  TRY_ASSIGN(images, image_directory(group));
  prepared.checkpoints =
      std::make_unique<Checkpoints>(group, incarnation, parts_.store, std::move(images), ports);
  TRY_ASSIGN(evidence, prepared.checkpoints->evidence());
  std::unique_ptr<storage::Directory>& log_directory = log_directories_.at(group);
  if (!log_directory) {
    TRY_ASSIGN(found, groups_->open_directory(group_directory_name(group)));
    TRY(groups_->sync());
    log_directory = std::move(found);
  }
  // From here on it is the log.
  prepared.log_damaged = true;
  TRY_ASSIGN(opened, parts_.open_log(*log_directory, {.group = group,
                                                      .incarnation = incarnation,
                                                      .node = directory_.identity.incarnation,
                                                      .evidence = std::move(evidence),
                                                      .ports = ports}));
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
  auto outcome = prepared.checkpoints->restore(machine, prepared.log->first_index(),
                                               prepared.log->last().index);
  if (prepared.checkpoints->out_of_reach()) prepared.state_from = prepared.log->first_index();
  TRY_ASSIGN(restored, std::move(outcome));
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
  prepared.log_damaged = false;
  return {};
}

Result<void> GroupHost::seat(Prepared prepared) {
  const GroupId group = prepared.group;
  Ports& ports = *ports_.at(group);
  if (!prepared.damage.empty()) {
    const auto how = mend_for(prepared);
    mendings_.at(group).wanted = how;
    if (group != kMetaGroup) {
      router_.add_group(group, &ports, nullptr, prepared.damage);
      return {};
    }
    if (!how) {
      return fail(prepared.passing ? Errc::kIo : Errc::kCorrupt,
                  fmt::format("the catalogue (group 0) {}, so nothing can be found: {}",
                              prepared.passing ? "cannot be read" : "is damaged", prepared.damage));
    }
    router_.set_meta(&ports, nullptr);
    return {};
  }
  if (group == kMetaGroup) {
    meta_ = make_meta(prepared);
    router_.set_meta(&ports, meta_.get());
    return {};
  }
  data_.at(group) = make_data(prepared);
  router_.add_group(group, &ports, data_.at(group).get(), {});
  return {};
}

ReplicaParts GroupHost::replica_parts(Prepared& prepared) {
  const GroupId group = prepared.group;
  storage::HardStateFile* const hard_state = directory_.hard_state.get();
  raft::Options tuning = parts_.raft;
  tuning.seed = Random(tuning.seed,
                       fmt::format("{}/{}", directory_.identity.incarnation.value(), group.value()))
                    .next();
  return {.group = group,
          .boot = std::move(prepared.boot),
          .log = std::move(prepared.log),
          .save_hard_state =
              [hard_state, group](const raft::HardState& state) {
                return hard_state->store(group, state);
              },
          .checkpoints = std::move(prepared.checkpoints),
          .raft = tuning,
          .tick_us = parts_.tick_us,
          .snapshot_piece_bytes = parts_.snapshot_piece_bytes,
          .pace = pace_,
          .mended = prepared.mended,
          .scrub = parts_.scrub};
}

std::unique_ptr<MetaGroup> GroupHost::make_meta(Prepared& prepared) {
  std::vector<GroupId> data_groups(directory_.groups.begin() + 1, directory_.groups.end());
  return std::make_unique<MetaGroup>(
      MetaGroup::Parts{.replica = replica_parts(prepared),
                       .applied = prepared.applied,
                       .state = std::move(prepared.meta),
                       .identity = directory_.identity,
                       .data_groups = std::move(data_groups),
                       .defaults = parts_.defaults,
                       .damaged = [this] { on_damaged(kMetaGroup); }},
      *ports_.at(kMetaGroup), router_);
}

std::unique_ptr<DataGroup> GroupHost::make_data(Prepared& prepared) {
  const GroupId group = prepared.group;
  ReplicaParts parts = replica_parts(prepared);
  return std::make_unique<DataGroup>(
      std::move(parts), prepared.applied, std::move(prepared.shards), *ports_.at(group),
      [this] { router_.on_meta([](MetaGroup& meta) { meta.reconcile_soon(); }); },
      [this, group] { on_damaged(group); });
}

std::vector<Replica*> GroupHost::replicas() {
  std::vector<Replica*> all;
  if (meta_) all.push_back(&meta_->replica());
  for (const auto& [group, data] : data_) {
    if (data) all.push_back(&data->replica());
  }
  return all;
}

Result<void> GroupHost::store_hard_state(GroupId group, const raft::HardState& state) {
  return directory_.hard_state->store(group, state);
}

void GroupHost::start(Task serving) {
  // The meta group reconciles, so it starts when the data groups have settled.
  auto meta_turn = std::make_shared<Task>([this, serving = std::move(serving)]() mutable {
    ports_.at(kMetaGroup)->post([this, serving = std::move(serving)]() mutable {
      start_meta(std::move(serving));
    });
  });
  std::vector<DataGroup*> seated;
  for (const auto& [group, data] : data_) {
    if (data) seated.push_back(data.get());
  }
  // From here on each lane may seat what it has repaired.
  for (const GroupId group : directory_.groups) {
    if (!mendings_.at(group).wanted) continue;
    ports_.at(group)->post([this, group] { mend(group, *mendings_.at(group).wanted); });
  }
  auto settled = std::make_shared<Countdown>(seated.size() + 1, [meta_turn] { (*meta_turn)(); });
  for (DataGroup* const data : seated) {
    ports_.at(data->replica().group())->post([data, settled] {
      data->start([settled] { (*settled)(); });
    });
  }
  (*settled)();
}

void GroupHost::start_meta(Task serving) {
  if (meta_) return meta_->start(std::move(serving));
  serving_ = std::move(serving);
}

void GroupHost::receive(net::PeerMessage message) {
  if (message.to() != self()) return;
  const GroupId group = message.group;
  const auto ports = ports_.find(group);
  // A group that is unknown here hears nothing.
  if (ports == ports_.end()) return;
  ports->second->post([this, group, message = std::move(message)]() mutable {
    deliver(group, std::move(message));
  });
}

void GroupHost::deliver(GroupId group, net::PeerMessage message) {
  Mending& mending = mendings_.at(group);
  if (mending.repairer) return mending.repairer->receive(std::move(message));
  if (group == kMetaGroup) {
    if (meta_) meta_->receive(std::move(message));
    return;
  }
  if (const auto& data = data_.at(group)) data->receive(std::move(message));
}

void GroupHost::unreachable(ReplicaId peer) {
  router_.on_meta([peer](MetaGroup& meta) { meta.unreachable(peer); });
  for (const auto& [group, seat] : router_.seats()) {
    if (seat.group == nullptr) continue;
    (void)router_.on_group(group, [peer](DataGroup& data) { data.unreachable(peer); });
  }
}

void GroupHost::stop(Task stopped) {
  auto last = std::make_shared<Countdown>(ports_.size(), std::move(stopped));
  for (const GroupId group : directory_.groups) {
    ports_.at(group)->post([this, group, last] { stop_group(group, [last] { (*last)(); }); });
  }
}

void GroupHost::stop_group(GroupId group, Task done) {
  Mending& mending = mendings_.at(group);
  mending.stopping = true;
  if (mending.repairer) return mending.repairer->stop(std::move(done));
  if (mending.given_up) return ports_.at(group)->post(std::move(done));
  if (mending.under_way) {
    mending.stopped = std::move(done);
  } else if (group == kMetaGroup && meta_) {
    meta_->stop(std::move(done));
  } else if (group != kMetaGroup && data_.at(group)) {
    data_.at(group)->stop(std::move(done));
  } else {
    ports_.at(group)->post(std::move(done));
  }
}

}  // namespace lignum::server
