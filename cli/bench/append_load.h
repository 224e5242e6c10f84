#pragma once

// The load of `bench append`: records through the client library, as an application sends them.
//
// Closed loop: every ack starts the next record from within the callback, on the same stream, so
// that no thread is woken in between. With a rate the calling thread starts records on schedule.
// Made for one run; owns no stream.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cli/bench/ack_ledger.h"
#include "cli/bench/tally.h"
#include "cli/bench/value_text.h"
#include "cli/bench/workload.h"
#include "net/client.h"
#include "raft/error.h"
#include "raft/mutex.h"

namespace lignum::cli {

class AppendLoad final : public AppendListener {
 public:
  // CPU seconds of the server so far; none where it cannot be asked.
  using ServerCpu = std::function<std::optional<double>()>;

  // One lane for each stream, which has one shard. `ledger` may be null.
  AppendLoad(Client& client, std::vector<std::string> streams, const Workload& workload,
             AckLedger* ledger);

  // Runs to the end of the measured time and until everything started has its outcome. The first
  // append that fails ends the run with its error.
  [[nodiscard]] Result<RunResult> run(const ServerCpu& cpu, const std::atomic<bool>& interrupted);

  void on_appended(std::span<const std::uint64_t> tags, const Result<AppendAck>& first) override;

 private:
  // Of the tag that names it: whoever holds the slot (starter or callback) may touch it.
  struct Slot {
    BenchClock::time_point started;
    std::uint64_t number = 0;
    std::size_t lane = 0;
  };

  // Appends into the slot; on an error the slot is free again and the run ends.
  void start(std::uint64_t slot, std::size_t lane, BenchClock::time_point due, BenchValue& value);
  void start_all();
  // Lets the load run until then, an interruption or a failure; starts what `schedule` (null in a
  // closed loop) says is due.
  void go_on_until(BenchClock::time_point deadline, Schedule* schedule,
                   const std::atomic<bool>& interrupted);
  void start_due(Schedule& schedule, BenchClock::time_point now);
  // False when the run has failed.
  bool wait_until(BenchClock::time_point deadline) EXCLUDES(mutex_);

  Client& client_;
  const std::vector<std::string> streams_;
  const Workload workload_;
  AckLedger* const ledger_;
  std::vector<Slot> slots_;
  // The starter's and the callbacks'.
  BenchValue starters_value_;
  BenchValue callbacks_value_;
  std::atomic<std::uint64_t> next_number_{0};
  std::atomic<bool> ending_{false};

  Mutex mutex_;
  ConditionVariable changed_;
  Tally tally_ GUARDED_BY(mutex_);
  std::vector<std::uint64_t> free_ GUARDED_BY(mutex_);
  std::size_t outstanding_ GUARDED_BY(mutex_) = 0;
  std::optional<Error> failure_ GUARDED_BY(mutex_);
};

}  // namespace lignum::cli
