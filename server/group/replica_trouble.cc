// What is wrong with a replica: why it refuses, why its log cannot grow, and how it halts. Part of
// Replica; see replica.h.

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include <fmt/format.h>
#include "raft/error.h"
#include "raft/types.h"
#include "server/group/halted.h"
#include "server/group/ports.h"
#include "server/group/replica.h"
#include "storage/log.h"

namespace lignum::server {

Error Replica::refusal() const {
  if (!damage_.empty()) {
    return halted_error({.node = core_.self().node,
                         .group = group_,
                         .damage = damage_,
                         .alone = alone(),
                         .readable = true});
  }
  if (stopping_) return {Errc::kShuttingDown, "the node is shutting down"};
  if (core_.left_behind()) return {Errc::kNotLeader, left_behind_text()};
  const auto leader = core_.leader();
  if (!leader) {
    return {Errc::kNotLeader, fmt::format("group {} has no leader yet", group_.value())};
  }
  if (*leader != core_.self()) {
    return {Errc::kNotLeader,
            fmt::format("node {} leads group {}", leader->node.value(), group_.value())};
  }
  return {Errc::kNotLeader,
          fmt::format("this node leads group {} and is not ready yet", group_.value())};
}

Error Replica::room_error() const {
  const auto& error = log_->prepare_error();
  const std::string why = error ? error->message() : std::string("no segment can be prepared");
  if (error && error->code() != Errc::kNoSpace) {
    return {Errc::kUnavailable,
            fmt::format("group {}: the next segment cannot be prepared: {}", group_.value(), why)};
  }
  return {Errc::kNoSpace,
          fmt::format("the disk is full: {}; trim or delete streams, or make room", why)};
}

std::string Replica::left_behind_text() const {
  return fmt::format(
      "group {} was recovered from a lost quorum (recovery {}) and the log of this "
      "replica is from before that: it takes no part until the group's leader "
      "brings it up; where it is no member any more it has to be wiped: "
      "docs/operating/lost-quorum.md",
      group_.value(), core_.recovery());
}

void Replica::note_left_behind() {
  // (A replica that is new to the group has nothing to be left behind with.)
  const bool now = core_.left_behind() && !core_.membership().voters.empty();
  const bool told = std::exchange(told_left_behind_, now);
  if (told_left_behind_ && !told) ports_.report(Severity::kWarn, left_behind_text());
}

bool Replica::names_lost() {
  auto error = log_->sync_error();
  if (!error) error = upkeep_.checkpoints().images().sync_error();
  if (!error) return false;
  ports_.disk_failed(fmt::format("group {}: {}", group_.value(), error->describe()));
  if (damage_.empty()) on_disk_failed();
  return true;
}

void Replica::on_preparation() {
  const auto& error = log_->prepare_error();
  if (!error) {
    told_trouble_.reset();
    ports_.report(Severity::kInfo,
                  fmt::format("group {}: segments can be prepared again", group_.value()));
    return;
  }
  if (names_lost()) return;
  const std::int64_t now = ports_.now().monotonic_us;
  retry_preparation_at_ = now + kPrepareRetryUs;
  wake_by(*retry_preparation_at_);
  // By its kind: figures and names of files are others every time.
  const bool full = error->code() == Errc::kNoSpace;
  if (told_trouble_ && told_trouble_->code == error->code() &&
      now < told_trouble_->at + kTroubleEveryUs) {
    return;
  }
  told_trouble_ = Told{.code = error->code(), .at = now};
  ports_.report(
      full ? Severity::kWarn : Severity::kError,
      fmt::format("group {}: the next segment cannot be prepared, and is tried again every "
                  "second; appends go on while the present one has room: {}",
                  group_.value(), error->describe()));
}

std::optional<std::int64_t> Replica::retry_preparation(const Now& now) {
  if (!log_->prepare_error() || stopping_ || !damage_.empty()) retry_preparation_at_.reset();
  if (retry_preparation_at_ && *retry_preparation_at_ <= now.monotonic_us) {
    // Before it is tried, which may end at once.
    retry_preparation_at_ = now.monotonic_us + kPrepareRetryUs;
    log_->retry_preparation();
  }
  return retry_preparation_at_;
}

void Replica::halt_unreadable(const Error& error) {
  if (!damage_.empty()) return;
  log_damaged_ = error.code() == Errc::kCorrupt;
  halt(error.message());
}

void Replica::halt(std::string why) {
  if (!damage_.empty()) return;
  damage_ = std::move(why);
  ports_.report(Severity::kError, fmt::format("group {} halts: {}", group_.value(), damage_));
  core_.on_damaged(applied_.id.index.next());
  incoming_.clear();
  incoming_bytes_ = 0;
  sender_.clear();
  receiver_.stop();
  // What was applied is sound where only the log is not: the checkpoint of stop() spares the repair
  // what lies below it.
  if (log_damaged_ && !alone()) {
    upkeep_.stop();
  } else {
    upkeep_.halt();
  }
  if (std::exchange(admitting_, false)) owner_.on_leadership_lost();
  waiters_.fail_all();
  reads_.fail_all(refusal());
  owner_.on_halted();
  continue_hand_over();
  advance_stop();
}

ReplicaStatus Replica::status() const {
  const auto stall = upkeep_.stall();
  const auto& trouble = stall ? stall : log_->prepare_error();
  return {.role = core_.role(),
          .term = core_.term(),
          .leader = core_.leader(),
          .commit = core_.commit(),
          .applied = applied_.id.index,
          .durable = core_.durable(),
          .log_first = log_->first_index(),
          .log_last = log_->last().index,
          .usage = log_->usage(),
          .damage = damage_,
          .trouble = core_.left_behind() ? left_behind_text()
                     : trouble           ? trouble->describe()
                                         : std::string()};
}

}  // namespace lignum::server
