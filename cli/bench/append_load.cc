#include "cli/bench/append_load.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <expected>
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
  std::optional<Schedule> schedule;
  if (workload_.rate) {
    schedule.emplace(*workload_.rate, start_time);
  } else {
    start_all();
  }
  Schedule* const on_schedule = schedule ? &*schedule : nullptr;
  go_on_until(clock.begin(), on_schedule, interrupted);
  const std::optional<double> cpu_begin = cpu();
  go_on_until(clock.end(), on_schedule, interrupted);
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

void AppendLoad::go_on_until(BenchClock::time_point deadline, Schedule* schedule,
                             const std::atomic<bool>& interrupted) {
  // Often enough to see an interruption.
  constexpr std::chrono::milliseconds kGlance{50};
  while (!interrupted) {
    const auto now = BenchClock::now();
    if (now >= deadline) return;
    auto until = std::min(now + kGlance, deadline);
    if (schedule != nullptr) {
      start_due(*schedule, now);
      until = std::min(until, schedule->due(schedule->next()));
    }
    if (!wait_until(until)) return;
  }
}

void AppendLoad::start_due(Schedule& schedule, BenchClock::time_point now) {
  while (!ending_) {
    const std::uint64_t record = schedule.next();
    std::uint64_t slot = 0;
    {
      const MutexLock lock(mutex_);
      if (free_.empty() || !schedule.take(now)) return;
      slot = free_.back();
      free_.pop_back();
      ++outstanding_;
    }
    start(slot, record % streams_.size(), schedule.due(record), starters_value_);
  }
}

bool AppendLoad::wait_until(BenchClock::time_point deadline) {
  const MutexLock lock(mutex_);
  // On schedule with a full window: what is due already starts as soon as a slot is free.
  const bool starved = workload_.rate && free_.empty();
  if (starved) deadline = std::max(deadline, BenchClock::now() + std::chrono::milliseconds(1));
  while (!failure_ && BenchClock::now() < deadline) {
    if (starved && !free_.empty()) break;
    if (!changed_.wait_until(mutex_, deadline)) break;
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
  bool restart = !workload_.rate && first.has_value() && !ending_;
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
