#pragma once

// Counts what was acknowledged while the clock of a measurement ran. Time is a value; one thread.

#include <cstddef>
#include <cstdint>

#include "cli/bench/workload.h"

namespace lignum::cli {

// Acks before `begin` and from `end` on are the warm-up and the drain; they count for nothing.
class Tally {
 public:
  Tally(const Workload& workload, BenchClock::time_point start)
      : begin_(start + workload.warmup),
        end_(begin_ + workload.duration),
        record_bytes_(workload.record_bytes) {}

  [[nodiscard]] BenchClock::time_point begin() const { return begin_; }
  [[nodiscard]] BenchClock::time_point end() const { return end_; }

  // One record, started (or due) at `started`, acknowledged at `now`.
  void acknowledged(BenchClock::time_point started, BenchClock::time_point now) {
    if (now < begin_ || now >= end_) return;
    ++records_;
    latency_.record(std::chrono::nanoseconds(now - started).count());
  }

  [[nodiscard]] RunResult result() const {
    return {.records = records_,
            .bytes = records_ * record_bytes_,
            .seconds = std::chrono::duration<double>(end_ - begin_).count(),
            .latency = latency_,
            .server_cpu_seconds = {},
            .note = {}};
  }

 private:
  BenchClock::time_point begin_;
  BenchClock::time_point end_;
  std::size_t record_bytes_;
  std::uint64_t records_ = 0;
  Histogram latency_;
};

// When records are due at a fixed rate. The k-th is due at start + k / rate, whatever happened to
// the ones before: a stall delays nothing that is on schedule, so it shows in every latency
// (free of coordinated omission).
class Schedule {
 public:
  Schedule(double rate, BenchClock::time_point start) : rate_(rate), start_(start) {}

  [[nodiscard]] BenchClock::time_point due(std::uint64_t record) const {
    return start_ + std::chrono::duration_cast<BenchClock::duration>(
                        std::chrono::duration<double>(static_cast<double>(record) / rate_));
  }
  // Takes the next record when it is due by `now`.
  [[nodiscard]] bool take(BenchClock::time_point now) {
    if (due(next_) > now) return false;
    ++next_;
    return true;
  }
  // Number of the record that the next take() is about.
  [[nodiscard]] std::uint64_t next() const { return next_; }

 private:
  double rate_;
  BenchClock::time_point start_;
  std::uint64_t next_ = 0;
};

}  // namespace lignum::cli
