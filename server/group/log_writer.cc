#include "server/group/log_writer.h"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include "raft/buggify.h"
#include "raft/check.h"
#include "raft/entry.h"
#include "raft/error.h"
#include "raft/hard_state.h"
#include "raft/mutant.h"
#include "raft/output.h"
#include "raft/types.h"
#include "server/group/ports.h"
#include "storage/log.h"

namespace lignum::server {

namespace {

constexpr std::int64_t kMarkerDelayUs = std::int64_t{storage::kMarkerDelayMs} * 1000;
// A group without traffic for this long holds no prepared segment.
constexpr std::int64_t kIdleUs = std::int64_t{10} * 1'000'000;

}  // namespace

LogWriter::LogWriter(Parts parts, Events& events)
    : group_(parts.group),
      log_(parts.log),
      ports_(parts.ports),
      save_hard_state_(std::move(parts.save_hard_state)),
      events_(events),
      alive_(std::make_shared<bool>(true)) {}

LogWriter::~LogWriter() { *alive_ = false; }

void LogWriter::stage(raft::PersistOp operation, std::optional<Term> own) {
  if (broken_) return;
  Held held{.operation = std::move(operation), .own = own};
  if (held_.empty() && may_put(held.operation)) return put(std::move(held));
  held_.push_back(std::move(held));
}

bool LogWriter::may_put(const raft::PersistOp& operation) const {
  if (restoring()) return false;
  if (!operation.truncate_after && !operation.restore) return true;
  if (!flights_.empty() || !staged_.empty()) return false;
  return !operation.restore || events_.may_restore();
}

void LogWriter::retry() {
  put_held();
  launch();
}

void LogWriter::put(Held held) {
  raft::PersistOp& operation = held.operation;
  if (operation.restore) return put_restore(std::move(held));
  if (operation.truncate_after) {
    const auto truncated = log_.truncate_after(*operation.truncate_after);
    if (!truncated) return cannot_truncate(truncated.error());
    events_.on_truncated(*operation.truncate_after);
  }
  for (Entry& entry : operation.append) {
    if (!put_entry(entry, held.own)) return;
  }
  operation.append.clear();
  staged_.push_back(std::move(operation));
}

// Damage is repaired from the others; a disk that does not answer is not gone on with.
void LogWriter::cannot_truncate(const Error& error) {
  broken_ = true;
  if (error.code() == Errc::kCorrupt) return events_.on_unreadable(error);
  ports_.disk_failed(fmt::format("group {}: {}", group_.value(), error.describe()));
  events_.on_disk_failed();
}

void LogWriter::put_restore(Held held) {
  auto restore = std::make_shared<Restore>(events_.begin_restore());
  const std::optional<raft::HardState> hard_state =
      std::exchange(held.operation.hard_state, std::nullopt);
  held.operation.restore.reset();
  storage::FlushJob* const job = restore->job.get();
  flights_.push_back(
      {.job = std::move(restore->job), .operations = {}, .restored = std::move(held)});
  ports_.run(
      Pool::kFlush,
      [this, hard_state, job, restore]() -> Result<void> {
        if (hard_state) TRY(save_hard_state_(*hard_state));
        TRY(restore->before());
        TRY(job->run());
        return restore->after();
      },
      [this, alive = alive_](const Result<void>& outcome) {
        if (*alive) flushed(outcome);
      });
}

bool LogWriter::put_entry(Entry& entry, std::optional<Term> own) {
  EntryHeader& header = entry.header;
  if (own && header.term == *own) {
    header.previous_chain = log_.last_chain();
  } else if (header.previous_chain != log_.last_chain() ||
             header.append_time <= log_.last_append_time()) {
    broken_ = true;
    events_.on_divergence(fmt::format(
        "entry {} of term {} that the leader sent does not continue this log, which ends with "
        "entry {} of term {}: the logs of this group have diverged",
        header.index.value(), header.term.value(), log_.last().index.value(),
        log_.last().term.value()));
    return false;
  } else {
    // Nobody asked for room here: a segment has to be prepared all the same.
    (void)log_.room(entry.payload.size());
  }
  log_.append({&entry, 1});
  events_.on_staged(entry, log_.last_chain());
  return true;
}

void LogWriter::put_held() {
  while (!held_.empty() && !broken_ && may_put(held_.front().operation)) {
    Held next = std::move(held_.front());
    held_.pop_front();
    put(std::move(next));
  }
}

void LogWriter::launch() {
  if (broken_ || flights_.size() == storage::Log::kFlushesOutMax) return;
  Flight flight{.job = log_.take_flush(), .operations = {}};
  // What was staged with bytes leaves with them, or with the next flush.
  if (flight.job == nullptr && (staged_.empty() || !flights_.empty())) return;
  flight.operations = std::exchange(staged_, {});
  marker_at_.reset();
  idle_at_.reset();
  std::optional<raft::HardState> hard_state;
  for (const raft::PersistOp& operation : flight.operations) {
    if (operation.hard_state) hard_state = operation.hard_state;
  }
  storage::FlushJob* const job = flight.job.get();
  flights_.push_back(std::move(flight));
  if (job != nullptr || hard_state) return flush(hard_state, job);
  // Operations without bytes: there is nothing to wait for.
  ports_.post([this, alive = alive_] {
    if (*alive) flushed({});
  });
}

void LogWriter::flush(const std::optional<raft::HardState>& hard_state, storage::FlushJob* job) {
  // The job belongs to the writer and is touched by the worker only until `done` is posted; a
  // replica is destroyed after its pools.
  ports_.run(
      Pool::kFlush,
      [this, hard_state, job]() -> Result<void> {
        // Vote and term are durable before any entry of that term (rule B9).
        const bool left_behind = job != nullptr && mutant(Mutant::kHardStateLeftBehind);
        if (hard_state && !left_behind) TRY(save_hard_state_(*hard_state));
        return job == nullptr ? Result<void>{} : job->run();
      },
      [this, alive = alive_](const Result<void>& outcome) {
        if (*alive) flushed(outcome);
      });
  if (mutant(Mutant::kPersistedBeforeFlush)) {
    for (raft::PersistOp& operation : std::exchange(flights_.back().operations, {})) {
      events_.on_persisted(std::move(operation));
    }
  }
}

void LogWriter::flushed(const Result<void>& outcome) {
  if (!outcome) {
    // Nothing is known about the bytes concerned: no acknowledgement, no retry.
    broken_ = true;
    ports_.disk_failed(fmt::format("group {}: {}", group_.value(), outcome.error().describe()));
    events_.on_disk_failed();
    return;
  }
  CHECK(!flights_.empty());
  Flight flight = std::move(flights_.front());
  flights_.pop_front();
  if (flight.restored) {
    log_.complete_restore(std::move(flight.job));
    events_.on_restored();
    put(std::move(*flight.restored));
  } else if (flight.job != nullptr) {
    log_.complete_flush(std::move(flight.job));
  }
  for (raft::PersistOp& operation : flight.operations) {
    events_.on_persisted(std::move(operation));
  }
  put_held();
  events_.on_flushed();
  if (flights_.empty() && !broken_) {
    const std::int64_t now = ports_.now().monotonic_us;
    marker_at_ = buggify(Buggify::kServerMarkerNow) ? now : now + kMarkerDelayUs;
    idle_at_ = now + kIdleUs;
    events_.wake_by(*marker_at_);
  }
}

bool LogWriter::write_marker() {
  const bool idle = flights_.empty() && staged_.empty() && held_.empty();
  if (broken_ || !idle || !log_.stage_marker()) return false;
  launch();
  return true;
}

std::optional<std::int64_t> LogWriter::on_timer(const Now& now) {
  if (marker_at_ && *marker_at_ <= now.monotonic_us) {
    marker_at_.reset();
    write_marker();
  }
  if (idle_at_ && *idle_at_ <= now.monotonic_us) {
    idle_at_.reset();
    log_.release_spare();
  }
  if (!marker_at_) return idle_at_;
  return idle_at_ ? std::min(*marker_at_, *idle_at_) : marker_at_;
}

}  // namespace lignum::server
