#include "cli/bench/append_load.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "cli/bench/ack_ledger.h"
#include "cli/bench/tally.h"
#include "cli/bench/value_text.h"
#include "cli/bench/workload.h"
#include "net/client.h"
#include "raft/error.h"
#include "raft/mutex.h"

namespace lignum::cli {

AppendLoad::AppendLoad(Client& client, std::vector<std::string> streams, const Workload& workload,
                       AckLedger* ledger)
    : client_(client),
      streams_(std::move(streams)),
      workload_(workload),
      ledger_(ledger),
      slots_(workload.in_flight),
      starters_value_(workload.record_bytes),
      callbacks_value_(workload.record_bytes),
      tally_(workload, BenchClock::now()) {}

Result<RunResult> AppendLoad::run(const ServerCpu& cpu, const std::atomic<bool>& interrupted) {
  const auto start_time = BenchClock::now();
  const Tally clock(workload_, start_time);
  {
    const MutexLock lock(mutex_);
    tally_ = clock;
    for (std::size_t slot = slots_.size(); slot > 0; --slot) free_.push_back(slot - 1);
  }
  if (workload_.rate) {
    schedule_.emplace(*workload_.rate, start_time);
  } else {
    start_all();
  }
  std::optional<double> cpu_begin;
  while (!interrupted) {
    const auto now = BenchClock::now();
    if (!cpu_begin && now >= clock.begin()) cpu_begin = cpu();
    if (now >= clock.end()) break;
    if (schedule_) start_due(now);
    // Often enough to see an interruption.
    constexpr std::chrono::milliseconds kGlance{50};
    auto until = std::min(now + kGlance, now < clock.begin() ? clock.begin() : clock.end());
    if (schedule_) until = std::min(until, schedule_->due(schedule_->next()));
    if (!wait_until(until)) break;
  }
  const std::optional<double> cpu_end = cpu();
  ending_ = true;
  const MutexLock lock(mutex_);
  // The client gives every append an outcome by its deadline.
  while (outstanding_ > 0) changed_.wait(mutex_);
  if (failure_) return std::unexpected(*failure_);
  if (interrupted) return fail(Errc::kCancelled, "interrupted");
  RunResult result = tally_.result();
  if (cpu_begin && cpu_end) result.server_cpu_seconds = *cpu_end - *cpu_begin;
  return result;
}

void AppendLoad::start_all() {
  std::vector<std::uint64_t> slots;
  {
    const MutexLock lock(mutex_);
    slots = std::exchange(free_, {});
    outstanding_ = slots.size();
  }
  std::size_t lane = 0;
  for (const std::uint64_t slot : slots) {
    start(slot, lane++ % streams_.size(), BenchClock::now(), starters_value_);
  }
}

void AppendLoad::start_due(BenchClock::time_point now) {
  while (!ending_) {
    const std::uint64_t record = schedule_->next();
    std::uint64_t slot = 0;
    {
      const MutexLock lock(mutex_);
      if (free_.empty() || !schedule_->take(now)) return;
      slot = free_.back();
      free_.pop_back();
      ++outstanding_;
    }
    start(slot, record % streams_.size(), schedule_->due(record), starters_value_);
  }
}

// False when the run has failed.
bool AppendLoad::wait_until(BenchClock::time_point deadline) {
  const MutexLock lock(mutex_);
  while (!failure_ && BenchClock::now() < deadline) {
    // A full window on schedule: go on as soon as a slot is free.
    const bool starved = schedule_ && free_.empty();
    if (!changed_.wait_until(mutex_, deadline)) break;
    if (starved && !free_.empty()) break;
  }
  return !failure_;
}

void AppendLoad::start(std::uint64_t slot, std::size_t lane, BenchClock::time_point due,
                       BenchValue& value) {
  Slot& mine = slots_[slot];
  mine = {.started = due, .number = next_number_.fetch_add(1), .lane = lane};
  const auto appended = client_.append_view(
      streams_[lane],
      {.time = {}, .key = {}, .value = value.with(mine.number), .level = {}, .fields = {}}, *this,
      slot);
  if (!appended) {
    const MutexLock lock(mutex_);
    if (!failure_) failure_ = appended.error();
    ending_ = true;
    --outstanding_;
    changed_.notify_all();
  }
}

void AppendLoad::on_appended(std::span<const std::uint64_t> tags, const Result<AppendAck>& first) {
  const auto now = BenchClock::now();
  bool restart = !schedule_ && first.has_value() && !ending_;
  {
    const MutexLock lock(mutex_);
    restart = restart && now < tally_.end();
    if (!first) {
      if (!failure_) failure_ = first.error();
      ending_ = true;
    } else {
      std::uint64_t offset = first->offset.value();
      for (const std::uint64_t tag : tags) {
        const Slot& slot = slots_[tag];
        tally_.acknowledged(slot.started, now);
        if (ledger_ != nullptr) ledger_->acknowledged(slot.lane, offset++, slot.number);
      }
    }
    if (!restart) {
      outstanding_ -= tags.size();
      // On schedule the starter has to be woken only where it waits for a slot.
      const bool awaited = free_.empty() || ending_;
      free_.insert(free_.end(), tags.begin(), tags.end());
      if (awaited) changed_.notify_all();
    }
  }
  if (!restart) return;
  // Fewer records in flight than lanes would leave some lanes without any.
  const std::size_t step = slots_.size() < streams_.size() ? 1 : 0;
  for (const std::uint64_t tag : tags) {
    start(tag, (slots_[tag].lane + step) % streams_.size(), now, callbacks_value_);
  }
}

}  // namespace lignum::cli
