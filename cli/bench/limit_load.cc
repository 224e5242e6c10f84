#include "cli/bench/limit_load.h"

#include <sys/poll.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <expected>
#include <optional>
#include <utility>

#include "cli/bench/limit_socket.h"
#include "cli/bench/tally.h"
#include "cli/bench/workload.h"
#include "net/proto/client.pb.h"
#include "raft/error.h"
#include "raft/payload.h"
#include "raft/types.h"
#include "storage/record.h"

namespace lignum::cli {

namespace {

TimeMs wall_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace

LimitLoad::LimitLoad(LimitSocket socket, const Workload& workload)
    : workload_(workload),
      socket_(std::move(socket)),
      value_(workload.record_bytes),
      lanes_(workload.groups),
      tally_(workload, BenchClock::now()) {}

Result<void> LimitLoad::begin() {
  const auto start_time = BenchClock::now();
  tally_ = Tally(workload_, start_time);
  if (workload_.rate) {
    schedule_.emplace(*workload_.rate, start_time);
    return {};
  }
  for (std::size_t i = 0; i < workload_.in_flight; ++i) TRY(start(i % lanes_.size(), start_time));
  return {};
}

Result<RunResult> LimitLoad::run(const ServerCpu& cpu, const std::atomic<bool>& interrupted) {
  TRY(begin());
  std::optional<double> cpu_begin;
  std::optional<double> cpu_end;
  while (!ending_ || outstanding_ > 0) {
    const auto now = BenchClock::now();
    if (!cpu_begin && now >= tally_.begin()) cpu_begin = cpu();
    if (now >= tally_.end() || interrupted) {
      if (!ending_) cpu_end = cpu();
      ending_ = true;
    }
    if (!ending_) TRY(start_due(now));
    for (std::size_t lane = 0; lane < lanes_.size(); ++lane) TRY(pump(lane));
    TRY(socket_.flush());
    // On schedule the end may find nothing to wait for.
    if (ending_ && outstanding_ == 0) break;
    TRY(wait(cpu_begin ? tally_.end() : tally_.begin()));
  }
  if (interrupted) return fail(Errc::kCancelled, "interrupted");
  RunResult result = tally_.result();
  result.server_cpu_seconds = cpu_end.value_or(0) - cpu_begin.value_or(0);
  return result;
}

Result<void> LimitLoad::start_due(BenchClock::time_point now) {
  if (!schedule_) return {};
  while (outstanding_ < workload_.in_flight) {
    const std::uint64_t record = schedule_->next();
    const auto due = schedule_->due(record);
    if (!schedule_->take(now)) break;
    TRY(start(record % lanes_.size(), due));
  }
  return {};
}

Result<void> LimitLoad::start(std::size_t lane_number, BenchClock::time_point due) {
  Lane& lane = lanes_[lane_number];
  const RecordInput record{.timestamp = wall_ms(),
                           .key = std::nullopt,
                           .value = value_.with(next_number_++),
                           .headers = {}};
  if (!lane.builder.empty() && lane.builder.bytes_with(record) > kBenchBatchBytes) {
    TRY(close_batch(lane));
  }
  TRY(lane.builder.add(record));
  lane.gathering.push_back(due);
  ++outstanding_;
  return {};
}

Result<void> LimitLoad::close_batch(Lane& lane) {
  TRY_ASSIGN(bytes, lane.builder.build(std::nullopt, workload_.compression));
  lane.closed.push_back(
      {.bytes = Payload(std::move(bytes)), .started = std::exchange(lane.gathering, {})});
  lane.builder.clear();
  return {};
}

Result<void> LimitLoad::pump(std::size_t lane_number) {
  Lane& lane = lanes_[lane_number];
  while (lane.on_their_way < kBenchWindow) {
    if (lane.closed.empty()) {
      if (lane.builder.empty() || lane.on_their_way >= kBenchEagerBatches) break;
      TRY(close_batch(lane));
    }
    Batch batch = std::move(lane.closed.front());
    lane.closed.pop_front();
    wire::Request request;
    request.set_id(next_request_);
    request.mutable_append()->set_stream(lane_number);
    socket_.send(request, std::move(batch.bytes));
    sent_[next_request_++] = {.lane = lane_number, .started = std::move(batch.started)};
    ++lane.on_their_way;
  }
  return {};
}

Result<void> LimitLoad::wait(BenchClock::time_point until) {
  if (schedule_ && !ending_ && outstanding_ < workload_.in_flight) {
    until = std::min(until, schedule_->due(schedule_->next()));
  }
  const auto left =
      std::max(std::chrono::nanoseconds(until - BenchClock::now()), std::chrono::nanoseconds(0));
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
  const timespec timeout{.tv_sec = seconds.count(), .tv_nsec = (left - seconds).count()};
  pollfd polled{.fd = socket_.fd(),
                .events = static_cast<std::int16_t>(POLLIN | (socket_.wants_write() ? POLLOUT : 0)),
                .revents = 0};
  if (::ppoll(&polled, 1, ending_ ? nullptr : &timeout, nullptr) < 0 && errno != EINTR) {
    return std::unexpected(socket_error("poll"));
  }
  // Readable, or broken: reading tells which.
  if ((polled.revents & ~POLLOUT) != 0) return hear();
  return {};
}

Result<void> LimitLoad::hear() {
  TRY_ASSIGN(open, socket_.receive());
  if (!open) return fail(Errc::kUnavailable, "the server of the limit has stopped");
  while (true) {
    TRY_ASSIGN(message, socket_.next());
    if (!message) return {};
    wire::Response response;
    if (!response.ParseFromArray(message->header.data(),
                                 static_cast<int>(message->header.size()))) {
      return fail(Errc::kProtocol, "the server of the limit sent a header that cannot be read");
    }
    TRY(on_ack(response.id()));
  }
}

Result<void> LimitLoad::on_ack(std::uint64_t request) {
  const auto found = sent_.find(request);
  if (found == sent_.end()) return fail(Errc::kProtocol, "an answer to no request");
  const Sent sent = std::move(found->second);
  sent_.erase(found);
  --lanes_[sent.lane].on_their_way;
  const auto now = BenchClock::now();
  outstanding_ -= sent.started.size();
  // Fewer records in flight than lanes would leave some lanes without any.
  const std::size_t step = workload_.in_flight < lanes_.size() ? 1 : 0;
  const bool restart = !schedule_ && !ending_ && now < tally_.end();
  for (const BenchClock::time_point started : sent.started) {
    tally_.acknowledged(started, now);
    if (restart) TRY(start((sent.lane + step) % lanes_.size(), now));
  }
  return {};
}

}  // namespace lignum::cli
