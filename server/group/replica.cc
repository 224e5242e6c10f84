#include "server/group/replica.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include "raft/check.h"
#include "raft/core.h"
#include "raft/entry.h"
#include "raft/error.h"
#include "raft/output.h"
#include "raft/types.h"
#include "server/group/checkpoints.h"
#include "server/group/ports.h"
#include "server/group/state_machine.h"
#include "server/group/waiters.h"
#include "storage/log.h"

namespace lignum::server {

namespace {

constexpr std::int64_t kMarkerDelayUs = std::int64_t{storage::kMarkerDelayMs} * 1000;
// A group without traffic for this long holds no prepared segment.
constexpr std::int64_t kIdleUs = std::int64_t{10} * 1'000'000;
// What an entry weighs besides its payload when log bytes are counted.
constexpr std::size_t kHeaderWeight = 192;

raft::Core make_core(const ReplicaParts& parts, const AppliedMark& applied) {
  return {parts.raft,
          {.self = parts.self,
           .group = parts.incarnation,
           .hard_state = parts.hard_state,
           .last = parts.log->last(),
           .commit = applied.id.index,
           .voters = {parts.self}}};
}

}  // namespace

Replica::Replica(ReplicaParts parts, AppliedMark applied, StateMachine& machine, Ports& ports,
                 ReplicaOwner& owner)
    : group_(parts.group),
      ports_(ports),
      machine_(machine),
      owner_(owner),
      log_(std::move(parts.log)),
      save_hard_state_(std::move(parts.save_hard_state)),
      checkpoints_(std::move(parts.checkpoints)),
      core_([&] {
        CHECK(log_ != nullptr);
        parts.log = std::move(log_);
        raft::Core core = make_core(parts, applied);
        log_ = std::move(parts.log);
        return core;
      }()),
      clock_(std::max(log_->last_append_time(), applied.append_time)),
      applied_(applied),
      alive_(std::make_shared<bool>(true)) {
  CHECK(applied_.id.index <= log_->last().index);
  ports_.on_wake([this, alive = alive_] {
    if (*alive) on_timer();
  });
}

Replica::~Replica() { *alive_ = false; }

void Replica::start() {
  core_.tick();
  pump();
}

Error Replica::refusal() const {
  if (!damage_.empty()) {
    return {Errc::kCorrupt, fmt::format("group {} is halted: {}", group_.value(), damage_)};
  }
  if (stopping_) return {Errc::kShuttingDown, "the node is shutting down"};
  return {Errc::kNotLeader, fmt::format("group {} has no leader yet", group_.value())};
}

Result<LogId> Replica::propose(Entry entry) {
  const Now now = ports_.now();
  if (const auto step = clock_.observe(now)) {
    ports_.report(Severity::kWarn,
                  fmt::format("group {}: the wall clock stepped by {} ms; append times stay "
                              "strictly rising",
                              group_.value(), *step / 1000));
  }
  return admit(std::move(entry), clock_.stamp(now));
}

Result<LogId> Replica::propose_at_least(TimeUs time, Entry entry) {
  return admit(std::move(entry), clock_.stamp_at_least(ports_.now(), time));
}

Result<LogId> Replica::admit(Entry entry, TimeUs stamp) {
  if (!admitting()) return std::unexpected(refusal());
  entry.header.append_time = stamp;
  const std::size_t bytes = entry.payload.size() + kHeaderWeight;
  auto id = core_.propose(std::move(entry));
  if (id) {
    unstaged_bytes_ += bytes;
    schedule_pump();
  }
  return id;
}

Result<void> Replica::wait_for(LogId id, std::int64_t deadline_monotonic_us,
                               Waiters::Callback callback) {
  if (waiters_.full()) return fail(Errc::kOverloaded, "too many appends wait in this group");
  waiters_.add(id, deadline_monotonic_us, std::move(callback));
  wake_by(deadline_monotonic_us);
  return {};
}

void Replica::wake_by(std::int64_t monotonic_us) {
  if (armed_for_ && *armed_for_ <= monotonic_us) return;
  armed_for_ = monotonic_us;
  ports_.wake_at(monotonic_us);
}

void Replica::schedule_pump() {
  if (pump_posted_) return;
  pump_posted_ = true;
  ports_.post([this, alive = alive_] {
    if (!*alive) return;
    pump_posted_ = false;
    pump();
  });
}

storage::Room Replica::room(std::size_t bytes, EntryUse use) {
  if (behind(use)) {
    urge_checkpoint();
    return storage::Room::kPreparing;
  }
  const std::size_t all = unstaged_bytes_ + bytes + kHeaderWeight;
  return use == EntryUse::kTakesSpace ? log_->room(all) : log_->upkeep_room(all);
}

bool Replica::behind(EntryUse use) const {
  const std::size_t more = use == EntryUse::kTakesSpace ? 0 : kCheckpointLogBytes;
  return bytes_unsaved_ >= kCheckpointBacklogMax + more;
}

void Replica::urge_checkpoint() {
  const std::int64_t now = ports_.now().monotonic_us;
  if (now >= next_checkpoint_try_ && !checkpoints_->busy()) {
    next_checkpoint_try_ = now + kCheckpointRetryUs;
    checkpoint();
  }
  wake_by(next_checkpoint_try_ > now ? next_checkpoint_try_ : now + kCheckpointRetryUs);
}

std::optional<Error> Replica::checkpoint_stall() const {
  if (!behind(EntryUse::kTakesSpace) || !checkpoint_error_) return std::nullopt;
  return Error(
      checkpoint_error_->code() == Errc::kNoSpace ? Errc::kNoSpace : Errc::kUnavailable,
      fmt::format("group {}: {} MiB of log wait for a checkpoint, which cannot be written: "
                  "{}",
                  group_.value(), bytes_unsaved_ >> 20U, checkpoint_error_->message()));
}

void Replica::pump() {
  while (core_.has_output()) execute(core_.take_output());
  unstaged_bytes_ = 0;
  // Before applying, so that the disk works while the lane hashes and answers.
  launch_flush();
  apply_committed();
  launch_flush();
  advance_stop();
}

// The order of durability: raft/output.h.
void Replica::execute(raft::Output output) {
  if (output.role_change) on_role_change(*output.role_change);
  if (output.persist) stage(std::move(*output.persist));
  // A group of one voter has nobody to send to.
  CHECK(output.send_now.empty());
}

void Replica::stage(raft::PersistOp op) {
  if (op.truncate_after) {
    log_->truncate_after(*op.truncate_after);
    while (!unapplied_.empty() && unapplied_.back().entry.header.index > *op.truncate_after) {
      unapplied_.pop_back();
    }
  }
  for (Entry& entry : op.append) {
    // The core's own no-op: the core knows no clock.
    if (entry.header.append_time == 0) entry.header.append_time = clock_.stamp(ports_.now());
    entry.header.previous_chain = log_->last_chain();
    log_->append({&entry, 1});
    unapplied_.push_back({.entry = std::move(entry), .chain = log_->last_chain()});
  }
  op.append.clear();
  staged_.push_back(std::move(op));
}

void Replica::launch_flush() {
  if (flights_.size() == storage::Log::kFlushesOutMax) return;
  Flight flight{.job = log_->take_flush(), .operations = {}};
  // What was staged with bytes leaves with them, or with the next flush.
  if (flight.job == nullptr && (staged_.empty() || !flights_.empty())) return;
  flight.operations = std::exchange(staged_, {});
  marker_at_.reset();
  idle_at_.reset();
  std::optional<raft::HardState> hard_state;
  for (const raft::PersistOp& op : flight.operations) {
    if (op.hard_state) hard_state = op.hard_state;
  }
  storage::FlushJob* const job = flight.job.get();
  flights_.push_back(std::move(flight));
  if (job == nullptr && !hard_state) {
    // An operation without bytes: there is nothing to wait for.
    ports_.post([this, alive = alive_] {
      if (*alive) flushed({});
    });
    return;
  }
  // The job belongs to the replica and is touched by the worker only until `done` is posted; a
  // replica is destroyed after its pools.
  ports_.run(
      Pool::kFlush,
      [this, hard_state, job]() -> Result<void> {
        // Vote and term are durable before any entry of that term (rule B9).
        if (hard_state) TRY(save_hard_state_(*hard_state));
        return job == nullptr ? Result<void>{} : job->run();
      },
      [this, alive = alive_](Result<void> outcome) {
        if (*alive) flushed(std::move(outcome));
      });
}

void Replica::flushed(Result<void> outcome) {
  if (!outcome) {
    // Nothing is known about the bytes concerned: no acknowledgement, no retry.
    ports_.disk_failed(fmt::format("group {}: {}", group_.value(), outcome.error().describe()));
    halt("a write or sync of live data failed");
    return;
  }
  CHECK(!flights_.empty());
  Flight flight = std::move(flights_.front());
  flights_.pop_front();
  if (flight.job != nullptr) log_->complete_flush(std::move(flight.job));
  // Promises (send_after_persist) would leave here; a group of one voter makes none to others.
  for (const raft::PersistOp& op : flight.operations) {
    CHECK(op.send_after_persist.empty());
    core_.on_persisted(op.token);
  }
  pump();
  if (flights_.empty() && !pump_posted_) {
    const std::int64_t now = ports_.now().monotonic_us;
    marker_at_ = now + kMarkerDelayUs;
    idle_at_ = now + kIdleUs;
    wake_by(*marker_at_);
  }
}

void Replica::on_role_change(const raft::RoleChange& change) {
  if (change.role == raft::Role::kLeader) return;
  if (admitting_) owner_.on_leadership_lost();
  admitting_ = false;
  waiters_.fail_all();
}

void Replica::apply_committed() {
  const Index target = std::min(core_.commit(), core_.durable());
  while (applied_.id.index < target && damage_.empty()) {
    const Index next = applied_.id.index.next();
    if (unapplied_.empty() || unapplied_.front().entry.header.index > next) {
      const Index until =
          unapplied_.empty()
              ? target
              : std::min(target, Index(unapplied_.front().entry.header.index.value() - 1));
      if (!replay(until)) return;
      continue;
    }
    CHECK(unapplied_.front().entry.header.index == next);
    const Pending next_up = std::move(unapplied_.front());
    unapplied_.pop_front();
    if (!apply_one(next_up.entry, next_up.chain)) return;
  }
  const auto own_no_op = core_.leadership_start();
  if (!admitting_ && own_no_op && applied_.id.index >= *own_no_op && damage_.empty()) {
    admitting_ = true;
    owner_.on_admitting();
  }
  if (bytes_since_checkpoint_ >= kCheckpointLogBytes) checkpoint();
}

bool Replica::apply_one(const Entry& entry, const Hash128& chain) {
  const Result<void> outcome = machine_.apply(entry);
  if (!outcome) {
    halt(fmt::format("entry {} contradicts the state: {}", entry.header.index.value(),
                     outcome.error().message()));
    return false;
  }
  applied_ = {.id = entry.header.id(), .append_time = entry.header.append_time, .chain = chain};
  bytes_since_checkpoint_ += entry.payload.size() + kHeaderWeight;
  bytes_unsaved_ += entry.payload.size() + kHeaderWeight;
  owner_.on_applied(entry);
  waiters_.applied(applied_.id);
  return true;
}

Hash128 Replica::chain_before(Index index) const {
  if (!unapplied_.empty() && unapplied_.front().entry.header.index == index) {
    return unapplied_.front().entry.header.previous_chain;
  }
  return index == log_->last().index.next() ? log_->last_chain() : Hash128{};
}

bool Replica::replay(Index to) {
  while (applied_.id.index < to) {
    auto plan = log_->read(applied_.id.index.next(), to, kReplayBytes);
    auto entries = plan->run();
    if (!entries) {
      halt(entries.error().message());
      return false;
    }
    CHECK(!entries->empty());
    for (std::size_t i = 0; i < entries->size(); ++i) {
      const Entry& entry = (*entries)[i];
      CHECK(entry.header.index == applied_.id.index.next());
      // The entry after it holds its chain. After the last one read it is not known until the
      // next entry is: no checkpoint is taken in between.
      const bool last = i + 1 == entries->size();
      const Hash128 chain =
          last ? chain_before(entry.header.index.next()) : (*entries)[i + 1].header.previous_chain;
      if (!apply_one(entry, chain)) return false;
    }
  }
  return true;
}

void Replica::halt(std::string why) {
  if (!damage_.empty()) return;
  damage_ = std::move(why);
  ports_.report(Severity::kError, fmt::format("group {} halts: {}", group_.value(), damage_));
  if (admitting_) owner_.on_leadership_lost();
  admitting_ = false;
  waiters_.fail_all();
  owner_.on_halted();
  advance_stop();
}

void Replica::checkpoint() {
  if (checkpoints_->busy() || !damage_.empty()) return;
  if (checkpoints_->durable_checkpoint() >= applied_.id.index) return;
  bytes_since_checkpoint_ = 0;
  bytes_being_saved_ = bytes_unsaved_;
  checkpoints_->begin(applied_, machine_, [this, alive = alive_](const Result<void>& outcome) {
    if (!*alive) return;
    checkpoint_error_.reset();
    if (outcome) {
      bytes_unsaved_ -= bytes_being_saved_;
    } else {
      ports_.report(Severity::kWarn, fmt::format("group {}: no checkpoint: {}", group_.value(),
                                                 outcome.error().describe()));
      checkpoint_error_ = outcome.error();
    }
    clean();
    advance_stop();
  });
}

void Replica::clean() {
  if (clean_out_ || stopping_ || !damage_.empty()) return;
  clean_job_ = log_->take_clean(checkpoints_->durable_image());
  if (clean_job_ == nullptr) return;
  clean_out_ = true;
  ports_.run(
      Pool::kBackground, [job = clean_job_.get()] { return job->run(); },
      [this, alive = alive_](const Result<void>& outcome) {
        if (!*alive) return;
        clean_out_ = false;
        log_->complete_clean(std::move(clean_job_), outcome.has_value());
        if (!outcome) {
          ports_.report(Severity::kWarn, fmt::format("group {}: cleaning failed: {}",
                                                     group_.value(), outcome.error().describe()));
        }
        advance_stop();
      });
}

void Replica::on_timer() {
  const Now now = ports_.now();
  armed_for_.reset();
  waiters_.expire(now.monotonic_us);
  if (marker_at_ && *marker_at_ <= now.monotonic_us) {
    marker_at_.reset();
    if (flights_.empty() && damage_.empty() && log_->stage_marker()) launch_flush();
  }
  if (idle_at_ && *idle_at_ <= now.monotonic_us) {
    idle_at_.reset();
    log_->release_spare();
  }
  if (behind(EntryUse::kTakesSpace) && !stopping_) urge_checkpoint();
  const auto owner_wants = owner_.on_timer(now);
  if (const auto deadline = waiters_.earliest_deadline()) wake_by(*deadline);
  if (marker_at_) wake_by(*marker_at_);
  if (idle_at_) wake_by(*idle_at_);
  if (owner_wants) wake_by(*owner_wants);
}

void Replica::stop(Task done) {
  CHECK(!stopping_);
  stopping_ = true;
  stopped_ = std::move(done);
  pump();
}

void Replica::advance_stop() {
  if (!stopping_ || !stopped_ || !flights_.empty() || clean_out_ || pump_posted_) return;
  if (checkpoints_->busy()) return;
  const bool sound = damage_.empty();
  if (sound && !checkpoint_error_ && applied_.id.index > checkpoints_->durable_checkpoint()) {
    checkpoint();
    return;
  }
  if (sound && log_->stage_marker()) {
    launch_flush();
    if (!flights_.empty()) return;
  }
  waiters_.fail_all();
  ports_.post(std::exchange(stopped_, nullptr));
}

TimeUs Replica::last_stamp() const {
  return core_.last().index > applied_.id.index ? clock_.last() : applied_.append_time;
}

ReplicaStatus Replica::status() const {
  return {.role = core_.role(),
          .term = core_.term(),
          .commit = core_.commit(),
          .applied = applied_.id.index,
          .durable = core_.durable(),
          .log_first = log_->first_index(),
          .log_last = log_->last().index,
          .usage = log_->usage(),
          .damage = damage_};
}

}  // namespace lignum::server
