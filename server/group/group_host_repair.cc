// How a group whose log is damaged becomes whole and takes its seat again. Part of GroupHost; see
// group_host.h. All of it runs on the group's lane, but for what is said to run on a pool.

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <fmt/format.h>
#include "raft/error.h"
#include "raft/hard_state.h"
#include "raft/types.h"
#include "server/group/checkpoints.h"
#include "server/group/data_directory.h"
#include "server/group/data_group.h"
#include "server/group/group_host.h"
#include "server/group/log_repairer.h"
#include "server/group/meta_group.h"
#include "server/group/ports.h"
#include "server/group/replica.h"
#include "storage/file.h"
#include "storage/image_transfer.h"
#include "storage/log_repair.h"
#include "storage/manifest.h"

namespace lignum::server {

bool GroupHost::may_mend() const {
  return parts_.begin_repair != nullptr && directory_.identity.members.size() > 1;
}

bool GroupHost::stops(Mending& mending, GroupId group) {
  if (!mending.stopped) return false;
  ports_.at(group)->post(std::exchange(mending.stopped, nullptr));
  return true;
}

void GroupHost::on_damaged(GroupId group) {
  Mending& mending = mendings_.at(group);
  if (!may_mend() || mending.under_way) return;
  // Not from inside of the replica.
  ports_.at(group)->post([this, group] {
    Mending& mine = mendings_.at(group);
    if (mine.under_way || mine.stopping) return;
    mine.under_way = true;
    const Replica& replica = group == kMetaGroup ? meta_->replica() : data_.at(group)->replica();
    mine.flushed = replica.log().durable();
    const auto ended = [this, group] {
      if (!stops(mendings_.at(group), group)) mend(group, {});
    };
    // It answers whoever waits, and lets what is out come back: nobody works on the log any more.
    if (group == kMetaGroup) {
      meta_->stop(ended);
    } else {
      data_.at(group)->stop(ended);
    }
  });
}

// What cannot be read refuses nobody here; the start of the group tells of it.
std::uint64_t GroupHost::recovery_of(GroupId group) const {
  const auto loaded = directory_.hard_state->load(group);
  if (!loaded) return 0;
  return loaded->state.value_or(raft::HardState{}).recovery;
}

std::optional<GroupHost::Mend> GroupHost::mend_for(const Prepared& prepared) {
  if (!may_mend()) return std::nullopt;
  if (prepared.passing) {
    std::uint32_t& pause = mendings_.at(prepared.group).pause_ticks;
    const std::uint32_t now = pause;
    pause = std::min(2 * pause, LogRepairer::kReopenTicksMax);
    return Mend{.after_ticks = now, .reopen_only = true, .mended = prepared.mended};
  }
  if (!prepared.log_damaged) return std::nullopt;
  if (!prepared.state_from) return Mend{};
  // Where another one's state was of no use to this log the log is made anew. Not at once: another
  // member may have to be found.
  return Mend{.after_ticks = prepared.mended ? LogRepairer::kReopenTicks : 0,
              .state_from = prepared.state_from,
              .make_anew = prepared.mended};
}

void GroupHost::mend(GroupId group, const Mend& asked) {
  const Mend how = asked;
  Mending& mending = mendings_.at(group);
  mending.wanted.reset();
  mending.under_way = true;
  Ports& ports = *ports_.at(group);
  mending.repairer = std::make_unique<LogRepairer>(LogRepairer::Parts{
      .group = group,
      .incarnation = group_incarnation(directory_.identity.cluster, group),
      .self = self(),
      .recovery = recovery_of(group),
      .state_from = how.state_from,
      .make_anew = how.make_anew,
      .peers = directory_.identity.members,
      .ports = ports,
      .begin = how.reopen_only ? std::function<Result<std::unique_ptr<storage::LogRepair>>()>{}
                               : [this, group] { return begin_repair(group); },
      .images = [this, group] { return image_directory(group); },
      .sync_error = [this, group] { return sync_error(group); },
      .tick_us = parts_.tick_us,
      .piece_bytes = parts_.snapshot_piece_bytes,
      .whole =
          [this, group, &ports, how](bool mended) {
            auto prepared = std::make_shared<Prepared>();
            prepared->group = group;
            prepared->mended = mended || how.mended;
            prepared->looked = !how.reopen_only;
            // Not from inside of the repairer, which goes.
            ports.post([this, group, prepared] {
              Mending& mine = mendings_.at(group);
              mine.repairer.reset();
              // It was told to stop before, and said that it has.
              if (mine.stopping && !mine.stopped) return;
              if (!stops(mine, group)) reopen(prepared);
            });
          }});
  mending.repairer->start(how.after_ticks);
}

// A crash may have come between the switch to a log up to a state and the naming of that state: of
// a log that cannot be opened, the list of its segments tells.
Result<void> GroupHost::settle_state(GroupId group, storage::Directory& images) {
  TRY_ASSIGN(read, storage::read_manifest(*log_directories_.at(group)));
  const auto id_at = [&segments = read.manifest.segments](Index index) -> std::optional<LogId> {
    for (const storage::SegmentRecord& each : segments) {
      if (each.before.id.index == index) return each.before.id;
      if (each.sealed && each.after.id.index == index) return each.after.id;
    }
    return std::nullopt;
  };
  TRY(storage::settle_staged_image(images, group_incarnation(directory_.identity.cluster, group),
                                   id_at));
  return {};
}

// On the background pool.
Result<std::unique_ptr<storage::LogRepair>> GroupHost::begin_repair(GroupId group) {
  const GroupIncarnation incarnation = group_incarnation(directory_.identity.cluster, group);
  Ports& ports = *ports_.at(group);
  TRY_ASSIGN(images, image_directory(group));
  TRY(settle_state(group, *images));
  const Checkpoints checkpoints(group, incarnation, parts_.store, std::move(images), ports);
  TRY_ASSIGN(evidence, checkpoints.evidence());
  evidence.flushed = mendings_.at(group).flushed;
  return parts_.begin_repair(*log_directories_.at(group), {.group = group,
                                                           .incarnation = incarnation,
                                                           .node = directory_.identity.incarnation,
                                                           .evidence = std::move(evidence),
                                                           .ports = ports});
}

void GroupHost::reopen(const std::shared_ptr<Prepared>& prepared) {
  const GroupId group = prepared->group;
  ports_.at(group)->run(
      Pool::kBackground,
      [this, prepared]() -> Result<void> {
        if (const auto outcome = try_prepare(*prepared); !outcome) {
          give_up(*prepared, outcome.error());
        }
        return {};
      },
      [this, group, prepared](const Result<void>& outcome) {
        if (stops(mendings_.at(group), group)) return;
        // The pool is busy.
        if (!outcome) {
          return mend(group, {.after_ticks = LogRepairer::kRoundTicks,
                              .reopen_only = true,
                              .mended = prepared->mended});
        }
        reopened(std::move(*prepared));
      });
}

void GroupHost::reopened(Prepared prepared) {
  const GroupId group = prepared.group;
  Mending& mending = mendings_.at(group);
  Ports& ports = *ports_.at(group);
  tell(prepared);
  if (!prepared.damage.empty()) {
    if (const auto lost = sync_error(group)) {
      mending.under_way = false;
      mending.given_up = true;
      return ports.disk_failed(fmt::format("group {}: {}", group.value(), lost->describe()));
    }
    ports.report(Severity::kError,
                 fmt::format("group {} is halted: {}", group.value(), prepared.damage));
    mending.under_way = false;
    // Where two looks at all of it found nothing that could be mended, another one finds nothing
    // either. One may have come before the damage.
    const bool found =
        prepared.mended || prepared.passing || prepared.state_from.has_value() || !prepared.looked;
    mending.fruitless = found ? 0 : mending.fruitless + 1;
    const auto how = mending.fruitless < 2 ? mend_for(prepared) : std::nullopt;
    mending.given_up = !how;
    if (how) mend(group, *how);
    return;
  }
  // The store was read before; what is wrong with it now concerns all groups and waits for a start.
  if (prepared.store_damaged) prepared.checkpoints->store_was_replaced();
  mending.under_way = false;
  mending.pause_ticks = LogRepairer::kReopenTicks;
  mending.fruitless = 0;
  mending.flushed = Index();
  ports.report(Severity::kInfo,
               fmt::format("group {}: its log is whole; the replica joins again", group.value()));
  if (group == kMetaGroup) {
    if (meta_) mending.retired_meta.push_back(std::move(meta_));
    meta_ = make_meta(prepared);
    router_.reseat_meta(meta_.get());
    Task serving = std::exchange(serving_, nullptr);
    meta_->start(serving ? std::move(serving) : Task([] {}));
    return;
  }
  std::unique_ptr<DataGroup>& data = data_.at(group);
  if (data) mending.retired.push_back(std::move(data));
  data = make_data(prepared);
  router_.reseat(group, data.get());
  data->start([] {});
}

}  // namespace lignum::server
