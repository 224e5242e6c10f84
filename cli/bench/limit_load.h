#pragma once

// The client of the limit: makes batches as the client library makes them and does nothing else.
//
// One thread, one connection, one lane of batches per file: a batch leaves at once while fewer than
// two of its lane are on their way, or when it is full and fewer than five are; records started
// meanwhile gather in the next. Closed loop: every ack starts the next record, on the same lane.
// With a rate, records start on schedule.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <unordered_map>
#include <vector>

#include "cli/bench/limit_socket.h"
#include "cli/bench/tally.h"
#include "cli/bench/value_text.h"
#include "cli/bench/workload.h"
#include "raft/error.h"
#include "storage/record_batch_builder.h"

namespace lignum::cli {

class LimitLoad {
 public:
  // CPU seconds of the server so far.
  using ServerCpu = std::function<double()>;

  LimitLoad(LimitSocket socket, const Workload& workload);

  // Runs to the end of the measured time, and until everything started has its answer.
  [[nodiscard]] Result<RunResult> run(const ServerCpu& cpu, const std::atomic<bool>& interrupted);

 private:
  using Moments = std::vector<BenchClock::time_point>;
  struct Batch {
    Payload bytes;
    // When its records were started.
    Moments started;
  };
  struct Lane {
    BatchBuilder builder;
    Moments gathering;
    // Full, waiting for the window.
    std::deque<Batch> closed;
    std::size_t on_their_way = 0;
  };
  struct Sent {
    std::size_t lane = 0;
    Moments started;
  };

  Result<void> start(std::size_t lane, BenchClock::time_point due);
  // Fills what may be in flight, or starts the schedule.
  Result<void> begin();
  Result<void> start_due(BenchClock::time_point now);
  Result<void> close_batch(Lane& lane);
  Result<void> pump(std::size_t lane);
  Result<void> wait(BenchClock::time_point until);
  Result<void> hear();
  Result<void> on_ack(std::uint64_t request);

  const Workload workload_;
  LimitSocket socket_;
  BenchValue value_;
  std::vector<Lane> lanes_;
  std::unordered_map<std::uint64_t, Sent> sent_;
  std::uint64_t next_request_ = 0;
  std::uint64_t next_number_ = 0;
  std::size_t outstanding_ = 0;
  Tally tally_;
  std::optional<Schedule> schedule_;
  bool ending_ = false;
};

}  // namespace lignum::cli
