#include "server/group/replica.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/format.h>
#include "net/peer_message.h"
#include "net/repair_messages.h"
#include "net/snapshot_messages.h"
#include "raft/buggify.h"
#include "raft/check.h"
#include "raft/config_history.h"
#include "raft/core.h"
#include "raft/entry.h"
#include "raft/error.h"
#include "raft/membership.h"
#include "raft/messages.h"
#include "raft/output.h"
#include "raft/types.h"
#include "server/group/append_clock.h"
#include "server/group/checkpoints.h"
#include "server/group/ports.h"
#include "server/group/read_waiters.h"
#include "server/group/state_machine.h"
#include "server/group/upkeep.h"
#include "server/group/waiters.h"
#include "storage/crc32c.h"
#include "storage/log.h"

namespace lignum::server {

namespace {

// Bytes of a leader's entries in `message`; 0 for what needs no room in the log.
std::size_t room_needed(const raft::Message& message) {
  const auto* const append = std::get_if<raft::AppendEntries>(&message.body);
  std::size_t bytes = 0;
  if (append == nullptr) return bytes;
  for (const Entry& entry : append->entries) bytes += entry.payload.size() + kLogEntryWeight;
  return bytes;
}

}  // namespace

Replica::Replica(ReplicaParts parts, AppliedMark applied, StateMachine& machine, Ports& ports,
                 ReplicaOwner& owner)
    : group_(parts.group),
      incarnation_(parts.boot.group),
      tick_us_(parts.tick_us),
      ports_(ports),
      owner_(owner),
      machine_(machine, parts.boot.configs.front()),
      log_(std::move(parts.log)),
      core_(parts.raft, std::move(parts.boot)),
      clock_(std::max(log_->last_append_time(), applied.append_time)),
      applied_(applied),
      writer_({.group = group_,
               .log = *log_,
               .ports = ports_,
               .save_hard_state = std::move(parts.save_hard_state)},
              *this),
      catch_up_(ports_, *log_, recent_,
                [this](const raft::Fetch& fetch, Result<std::vector<Entry>> entries) {
                  supply(fetch, std::move(entries));
                }),
      upkeep_({.group = group_,
               .ports = ports_,
               .log = *log_,
               .machine = machine_,
               .applied = applied_,
               .checkpoints = std::move(parts.checkpoints),
               .pinned = [this] { return sender_.pinned(); },
               .ended = [this] { on_upkeep_ended(); }}),
      sender_({.group = group_,
               .incarnation = incarnation_,
               .ports = ports_,
               .log = *log_,
               .checkpoints = upkeep_.checkpoints(),
               .piece_bytes = parts.snapshot_piece_bytes,
               .pace = parts.pace,
               .need_image = [this] { upkeep_.make_image(); },
               .failed =
                   [this](const raft::SendSnapshot& request) {
                     core_.on_snapshot_sent(request, std::nullopt);
                   }}),
      receiver_({.group = group_,
                 .incarnation = incarnation_,
                 .ports = ports_,
                 .log = *log_,
                 .checkpoints = upkeep_.checkpoints(),
                 .ready = [this](const net::SnapshotOffer& offer) { on_snapshot_ready(offer); }}),
      answers_({.group = group_,
                .incarnation = incarnation_,
                .ports = ports_,
                .log = *log_,
                .core = core_,
                .piece_bytes = parts.snapshot_piece_bytes,
                .confirm =
                    [this](ReadWaiters::Callback callback) {
                      confirm_read(ports_.now().monotonic_us + kRepairConfirmUs,
                                   std::move(callback));
                    },
                .damaged = [this](const Error& error) { halt_unreadable(error); }}),
      repair_images_({.group = group_,
                      .incarnation = incarnation_,
                      .ports = ports_,
                      .directory = upkeep_.checkpoints().images(),
                      .piece_bytes = parts.snapshot_piece_bytes,
                      .need_image =
                          [this](Index least) {
                            const bool serves = !quiet() && damage_.empty();
                            if (serves && applied_.id.index >= least) upkeep_.make_image();
                          }}),
      scrubber_({.ports = ports_,
                 .log = *log_,
                 .pace = parts.scrub,
                 .damaged = [this](const Error& error) { halt_unreadable(error); }}),
      mended_(parts.mended),
      alive_(std::make_shared<bool>(true)) {
  CHECK(applied_.id.index <= log_->last().index);
  log_->on_preparation([this] { on_preparation(); });
  ports_.on_wake([this, alive = alive_] {
    if (*alive) on_timer();
  });
}

Replica::~Replica() { *alive_ = false; }

void Replica::start() {
  started_ = true;
  note_left_behind();
  if (alone()) core_.tick();
  pump();
}

bool Replica::alone() const {
  const raft::Membership& members = core_.membership();
  return !members.joint() && members.learners.empty() && members.voters.size() == 1 &&
         members.voters.front() == core_.self();
}

std::optional<NodeId> Replica::other_leader() const {
  const auto leader = core_.leader();
  if (!leader || *leader == core_.self()) return std::nullopt;
  return leader->node;
}

// ---------------------------------------------------------------- inputs

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
  const std::size_t bytes = entry.payload.size() + kLogEntryWeight;
  auto id = core_.propose(std::move(entry));
  if (id) {
    unstaged_bytes_ += bytes;
    schedule_pump();
  }
  return id;
}

void Replica::receive(net::PeerMessage received) {
  if (quiet() || !damage_.empty() || received.incarnation != incarnation_) return;
  if (const auto* const request = std::get_if<net::RepairRequest>(&received.body)) {
    return answers_.on_request(*request);
  }
  if (const auto* const request = std::get_if<net::RepairImageRequest>(&received.body)) {
    if (!core_.left_behind()) repair_images_.on_request(*request, core_.recovery());
    return;
  }
  if (!std::holds_alternative<raft::Message>(received.body)) {
    return receive_snapshot(std::move(received));
  }
  raft::Message message = std::get<raft::Message>(std::move(received.body));
  const std::size_t bytes = room_needed(message);
  if (bytes == 0) return step(std::move(message));
  if (buggify(Buggify::kServerEntriesDropped)) return;
  if (incoming_.empty()) {
    switch (room(bytes)) {
      case storage::Room::kReady:
        return step(std::move(message));
      case storage::Room::kPreparing:
        break;
      case storage::Room::kNoSpace:
      case storage::Room::kFailed:
        // Lost, as far as the leader can tell; it goes on trying.
        return;
    }
  }
  if (incoming_bytes_ + bytes > kIncomingBytesMax) return;
  incoming_bytes_ += bytes;
  incoming_.push_back(std::move(message));
  wake_by(ports_.now().monotonic_us + kIncomingPollUs);
}

void Replica::receive_waiting() {
  while (!incoming_.empty() && damage_.empty()) {
    const std::size_t bytes = room_needed(incoming_.front());
    const storage::Room found = room(bytes);
    if (found == storage::Room::kPreparing) return;
    raft::Message message = std::move(incoming_.front());
    incoming_.pop_front();
    incoming_bytes_ -= bytes;
    if (found == storage::Room::kReady) step(std::move(message));
  }
}

void Replica::step(raft::Message message) {
  // Of its own leadership, before it may end.
  drain();
  core_.step(std::move(message));
  drain();
  note_left_behind();
  schedule_pump();
}

void Replica::unreachable(ReplicaId peer) {
  if (quiet() || !damage_.empty()) return;
  core_.on_unreachable(peer);
  schedule_pump();
}

Result<void> Replica::wait_for(LogId id, std::int64_t deadline_monotonic_us,
                               Waiters::Callback callback) {
  if (waiters_.full()) return fail(Errc::kOverloaded, "too many appends wait in this group");
  waiters_.add(id, deadline_monotonic_us, std::move(callback));
  wake_by(deadline_monotonic_us);
  return {};
}

void Replica::confirm_read(std::int64_t deadline_monotonic_us, ReadWaiters::Callback callback) {
  if (stopping_ || !damage_.empty()) return callback(std::unexpected(refusal()));
  if (reads_.full() || buggify(Buggify::kServerReadsFull)) {
    return callback(fail(Errc::kOverloaded, "too many reads wait; retry"));
  }
  const auto id = core_.read_index();
  if (!id) return callback(std::unexpected(id.error()));
  reads_.add(*id, deadline_monotonic_us, std::move(callback));
  wake_by(deadline_monotonic_us);
  schedule_pump();
}

void Replica::wake_by(std::int64_t monotonic_us) {
  if (armed_for_ && *armed_for_ <= monotonic_us) return;
  armed_for_ = monotonic_us;
  ports_.wake_at(monotonic_us);
}

storage::Room Replica::room(std::size_t bytes, EntryUse use) {
  if (upkeep_.behind(use)) {
    wake_by(upkeep_.urge());
    return storage::Room::kPreparing;
  }
  const std::size_t all = unstaged_bytes_ + bytes + kLogEntryWeight;
  return use == EntryUse::kTakesSpace ? log_->room(all) : log_->upkeep_room(all);
}

void Replica::on_timer() {
  const Now now = ports_.now();
  armed_for_.reset();
  if (names_lost()) return;
  waiters_.expire(now.monotonic_us);
  reads_.expire(now.monotonic_us);
  if (tick_at_ && *tick_at_ <= now.monotonic_us) tick(now.monotonic_us);
  receive_waiting();
  const auto writer_wants = writer_.on_timer(now);
  if (upkeep_.behind(EntryUse::kTakesSpace) && !stopping_) wake_by(upkeep_.urge());
  const auto preparation_wants = retry_preparation(now);
  const auto owner_wants = owner_.on_timer(now);
  for (const auto& deadline : {waiters_.earliest_deadline(), reads_.earliest_deadline(), tick_at_,
                               writer_wants, preparation_wants, owner_wants}) {
    if (deadline) wake_by(*deadline);
  }
  if (!incoming_.empty()) wake_by(now.monotonic_us + kIncomingPollUs);
}

void Replica::tick(std::int64_t now) {
  tick_at_.reset();
  if (quiet() || !damage_.empty() || alone()) return;
  // One, however late the timer was: time in which this process stood still is nobody's fault.
  tick_at_ = now + tick_us_;
  drain();
  core_.tick();
  sender_.tick(core_);
  if (installing_ == nullptr) receiver_.tick(core_.commit());
  catch_up_.retry();
  drain();
  repair_images_.tick();
  scrubber_.tick(now);
  schedule_pump();
}

// ---------------------------------------------------------------- the order of durability

void Replica::schedule_pump() {
  if (pump_posted_) return;
  pump_posted_ = true;
  ports_.post([this, alive = alive_] {
    if (!*alive) return;
    pump_posted_ = false;
    pump();
  });
}

void Replica::pump() {
  drain();
  // Before applying, so that the disk works while the lane hashes and answers.
  if (!buggify(Buggify::kServerLateLaunch)) writer_.launch();
  apply_committed();
  writer_.launch();
  if (started_ && !tick_at_ && !quiet() && damage_.empty() && !alone()) {
    tick_at_ = ports_.now().monotonic_us + tick_us_;
    wake_by(*tick_at_);
  }
  continue_hand_over();
  advance_stop();
}

void Replica::drain() {
  // What is supplied from memory comes back here; the loop below takes it up.
  if (draining_) return;
  draining_ = true;
  while (core_.has_output()) {
    core_.take_output(output_);
    // A halted replica makes no promises any more.
    if (damage_.empty()) execute(output_);
  }
  unstaged_bytes_ = 0;
  draining_ = false;
}

// The order of durability: raft/output.h.
void Replica::execute(raft::Output& output) {
  if (output.divergence) {
    return halt(
        fmt::format("entry {} is committed here, and the leader of term {} has another one "
                    "there: the logs of this group have diverged",
                    output.divergence->value(), core_.term().value()));
  }
  if (output.role_change) on_role_change(*output.role_change);
  if (output.persist) stage(std::move(*output.persist));
  if (!damage_.empty()) return;
  for (const raft::Fetch& fetch : output.fetch) catch_up_.fetch(fetch);
  for (const raft::SendSnapshot& each : output.send_snapshot) send_snapshot(each);
  for (raft::Message& message : output.send_now) send(std::move(message));
  for (const raft::ReadReady& read : output.reads) reads_.answer(read, applied_.id.index);
}

void Replica::stage(raft::PersistOp operation) {
  if (operation.restore) {
    // The core takes one only from on_snapshot_ready().
    CHECK(installing_ != nullptr && installing_->mark.id == operation.restore->id);
    installing_->taken = true;
    installing_->stage = receiver_.take_stage();
    upkeep_.hold();
  }
  for (Entry& entry : operation.append) {
    // The core knows no clock: its own no-op, for one, comes without a stamp.
    TimeUs& stamp = entry.header.append_time;
    const bool own = led_ == entry.header.term;
    if (own && stamp == 0) stamp = clock_.stamp(ports_.now());
    if (own && entry.header.kind == EntryKind::kMembership) {
      entry.header.payload_bytes = static_cast<std::uint32_t>(entry.payload.size());
      entry.header.payload_crc = crc32c(entry.payload.bytes());
    }
    // Whoever leads next stamps above everything that was here (rule F1).
    clock_.inherit(stamp);
  }
  writer_.stage(std::move(operation), led_);
}

void Replica::send(raft::Message message) {
  ports_.send({.group = group_, .incarnation = incarnation_, .body = std::move(message)});
}

void Replica::supply(const raft::Fetch& fetch, Result<std::vector<Entry>> entries) {
  if (!damage_.empty()) return;
  if (entries) {
    core_.supply(fetch, std::move(*entries));
  } else if (entries.error().code() == Errc::kTrimmed) {
    core_.supply_failed(fetch);
  } else {
    return halt_unreadable(entries.error());
  }
  drain();
}

void Replica::on_staged(const Entry& entry, const Hash128& chain) { recent_.append(entry, chain); }

void Replica::on_truncated(Index last_kept) { recent_.truncate_after(last_kept); }

void Replica::on_persisted(raft::PersistOp operation) {
  if (!damage_.empty()) return;
  for (raft::Message& message : operation.send_after_persist) send(std::move(message));
  core_.on_persisted(operation.token);
  core_.reuse(std::move(operation));
  drain();
}

void Replica::on_flushed() {
  catch_up_.retry();
  pump();
}

void Replica::on_unreadable(const Error& error) { halt_unreadable(error); }

void Replica::on_divergence(std::string what) { halt(std::move(what)); }

void Replica::on_disk_failed() { halt("a write or sync of live data failed"); }

void Replica::on_role_change(const raft::RoleChange& change) {
  owner_.on_leader(change.leader);
  const bool leads = change.role == raft::Role::kLeader;
  if (leads && led_ == change.term) return;
  if (admitting_) {
    admitting_ = false;
    owner_.on_leadership_lost();
  }
  sender_.clear();
  if (leads) led_ = change.term;
}

// ---------------------------------------------------------------- the end

void Replica::stop(Task done) {
  CHECK(!stopping_);
  stopping_ = true;
  stopped_ = std::move(done);
  begin_hand_over();
  if (!hand_over_until_) return go_quiet();
  continue_hand_over();
  pump();
}

void Replica::go_quiet() {
  incoming_.clear();
  incoming_bytes_ = 0;
  sender_.clear();
  receiver_.stop();
  upkeep_.stop();
  pump();
}

void Replica::on_upkeep_ended() {
  const Index before_first(log_->first_index().value() - 1);
  if (before_first > core_.base().index && damage_.empty()) {
    if (const auto base = log_->id_at(before_first)) core_.on_compacted(*base);
  }
  if (!names_lost()) writer_.retry();
  advance_stop();
}

void Replica::advance_stop() {
  if (!quiet() || !stopped_ || writer_.flushing() || upkeep_.busy() || pump_posted_) return;
  const bool sound = damage_.empty();
  // It waited for the upkeep that was out.
  if (sound && installing_ != nullptr) return;
  const bool state_sound = sound || (log_damaged_ && !alone() && installing_ == nullptr);
  if (state_sound && !upkeep_.failed() &&
      applied_.id.index > upkeep_.checkpoints().durable_checkpoint()) {
    upkeep_.checkpoint();
    return;
  }
  if (sound && writer_.write_marker()) return;
  waiters_.fail_all();
  reads_.fail_all(refusal());
  ports_.post(std::exchange(stopped_, nullptr));
}

TimeUs Replica::last_stamp() const {
  return core_.last().index > applied_.id.index ? clock_.last() : applied_.append_time;
}

}  // namespace lignum::server
