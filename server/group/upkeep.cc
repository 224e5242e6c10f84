#include "server/group/upkeep.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include <fmt/format.h>
#include "raft/buggify.h"
#include "raft/error.h"
#include "raft/types.h"
#include "server/group/ports.h"

namespace lignum::server {

Upkeep::Upkeep(Parts parts)
    : group_(parts.group),
      ports_(parts.ports),
      log_(parts.log),
      machine_(parts.machine),
      applied_(parts.applied),
      checkpoints_(std::move(parts.checkpoints)),
      pinned_(std::move(parts.pinned)),
      ended_(std::move(parts.ended)),
      alive_(std::make_shared<bool>(true)) {}

Upkeep::~Upkeep() { *alive_ = false; }

void Upkeep::applied(std::size_t bytes) {
  bytes_since_checkpoint_ += bytes;
  bytes_unsaved_ += bytes;
}

void Upkeep::checkpoint_if_due() {
  if (bytes_since_checkpoint_ >= kCheckpointLogBytes || buggify(Buggify::kServerCheckpointNow)) {
    checkpoint();
  }
}

bool Upkeep::behind(EntryUse use) const {
  const std::size_t more = use == EntryUse::kTakesSpace ? 0 : kCheckpointLogBytes;
  return bytes_unsaved_ >= kCheckpointBacklogMax + more;
}

std::int64_t Upkeep::urge() {
  const std::int64_t now = ports_.now().monotonic_us;
  if (now >= next_try_ && !checkpoints_->busy()) {
    next_try_ = now + kCheckpointRetryUs;
    checkpoint();
  }
  return next_try_ > now ? next_try_ : now + kCheckpointRetryUs;
}

std::optional<Error> Upkeep::stall() const {
  if (!behind(EntryUse::kTakesSpace) || !error_) return std::nullopt;
  return Error(
      error_->code() == Errc::kNoSpace ? Errc::kNoSpace : Errc::kUnavailable,
      fmt::format("group {}: {} MiB of log wait for a checkpoint, which cannot be written: "
                  "{}",
                  group_.value(), bytes_unsaved_ >> 20U, error_->message()));
}

void Upkeep::checkpoint() {
  if (checkpoints_->durable_checkpoint() < applied_.id.index) begin();
}

void Upkeep::make_image() {
  const std::int64_t now = ports_.now().monotonic_us;
  if (now < next_try_ || applied_.id.index == Index()) return;
  next_try_ = now + kCheckpointRetryUs;
  begin();
}

void Upkeep::restored() {
  held_ = false;
  bytes_since_checkpoint_ = 0;
  bytes_unsaved_ = 0;
  bytes_being_saved_ = 0;
  error_.reset();
  checkpoints_->restored(applied_.id.index);
}

void Upkeep::begin() {
  if (checkpoints_->busy() || halted_ || held_) return;
  bytes_since_checkpoint_ = 0;
  bytes_being_saved_ = bytes_unsaved_;
  checkpoints_->begin(applied_, machine_, [this, alive = alive_](const Result<void>& outcome) {
    if (!*alive) return;
    error_.reset();
    if (outcome) {
      bytes_unsaved_ -= bytes_being_saved_;
    } else {
      ports_.report(Severity::kWarn, fmt::format("group {}: no checkpoint: {}", group_.value(),
                                                 outcome.error().describe()));
      error_ = outcome.error();
    }
    clean();
    ended_();
  });
}

void Upkeep::clean() {
  if (clean_job_ != nullptr || stopping_ || halted_ || held_) return;
  const Index image = checkpoints_->durable_image();
  clean_job_ = log_.take_clean(std::min(image, pinned_().value_or(image)));
  if (clean_job_ == nullptr) return;
  ports_.run(
      Pool::kBackground, [job = clean_job_.get()] { return job->run(); },
      [this, alive = alive_](const Result<void>& outcome) {
        if (!*alive) return;
        log_.complete_clean(std::move(clean_job_), outcome.has_value());
        if (!outcome) {
          ports_.report(Severity::kWarn, fmt::format("group {}: cleaning failed: {}",
                                                     group_.value(), outcome.error().describe()));
        }
        ended_();
      });
}

}  // namespace lignum::server
