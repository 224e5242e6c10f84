#include "jepsen/sim/user.h"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include "jepsen/check/history.h"
#include "jepsen/sim/broken_batch.h"
#include "jepsen/sim/record_value.h"
#include "jepsen/sim/sim_client.h"
#include "jepsen/sim/sim_network.h"
#include "jepsen/sim/trace.h"
#include "jepsen/sim/workload.h"
#include "jepsen/sim/world.h"
#include "net/call.h"
#include "net/client.h"
#include "net/moment.h"
#include "net/partitioner.h"
#include "net/proto/client.pb.h"
#include "raft/error.h"
#include "raft/payload.h"
#include "raft/types.h"
#include "storage/level.h"
#include "storage/record_batch.h"

namespace lignum::jepsen {

namespace {

constexpr Moment kReadDeadline = 5 * net::kSecond;

}  // namespace

User::User(Workload& workload, HostNumber host, std::uint32_t number)
    : workload_(workload),
      world_(workload.world_),
      host_(host),
      number_(number),
      random_(world_.stream(fmt::format("user {}", number))) {
  start_client();
}

User::~User() = default;

void User::start_client() {
  client_number_ = workload_.new_client();
  sequence_ = 0;
  scanning_ = false;
  client_.reset();
  client_ = std::make_unique<SimClient>(world_, workload_.network_,
                                        SimClientOptions{.host = host_,
                                                         .endpoints = workload_.endpoints(),
                                                         .name = fmt::format("user-{}", number_),
                                                         .seed = random_.next(),
                                                         .producer = workload_.plan_.producer});
}

void User::begin() {
  running_ = true;
  if (number_ < workload_.plan_.tails) follow();
  plan_next();
}

void User::kill_client() {
  ++workload_.counts_.killed;
  finish();
  following_.reset();
  start_client();
  if (number_ < workload_.plan_.tails) follow();
}

void User::finish() {
  for (const auto& [id, open] : std::exchange(open_, {})) {
    ++workload_.counts_.unknown;
    workload_.history_.shard(open.shard).add(open.append);
  }
  client_.reset();
}

void User::plan_next() {
  if (!running_) return;
  const WorkloadPlan& plan = workload_.plan_;
  world_.queue.after(draw_between(random_, plan.pause_least, plan.pause_most), [this] {
    if (!running_) return;
    act();
    plan_next();
  });
}

void User::act() {
  const WorkloadPlan& plan = workload_.plan_;
  if (draw_chance(random_, plan.kill_rate)) {
    ++world_.faults["client killed"];
    kill_client();
    return;
  }
  if (random_.chance(1, 100)) return append_broken();
  if (random_.chance(1, 100)) return ask_for_time();
  if (random_.chance(1, 200) && !scanning_) return scan_levels();
  const std::uint64_t draw = random_.below(100);
  if (draw < plan.mix.conditional) {
    append_expecting();
  } else if (draw < plan.mix.conditional + plan.mix.read) {
    read();
  } else if (draw < plan.mix.conditional + plan.mix.read + plan.mix.trim) {
    trim();
  } else {
    append();
  }
}

User::Place User::draw_place() {
  const WorkloadStream& stream = workload_.streams_[random_.below(workload_.streams_.size())];
  return {.stream = &stream,
          .shard = ShardNumber(static_cast<std::uint32_t>(random_.below(stream.shards)))};
}

Record User::draw_record(Place place, Value value) {
  Record record;
  record.value = record_bytes(value, random_.below(workload_.plan_.value_bytes_max + 1));
  // A key that leads to this shard.
  std::uint64_t salt = value.sequence() * 64;
  do {
    record.key = to_bytes(fmt::format("k{}", salt++));
  } while (net::shard_of_key(*record.key, place.stream->shards) != place.shard);
  if (random_.chance(1, 4)) record.level = Level(static_cast<std::uint8_t>(1 + random_.below(24)));
  if (value.sequence() % 8 == 0) record.fields.push_back({.name = "trace", .value = "7"});
  return record;
}

User::OpenId User::open(Place place, Append append) {
  append.invoked = world_.now();
  append.promise = Promise::kInOrder;
  open_.emplace(next_open_, Open{.shard = place.key(), .append = append});
  return next_open_++;
}

void User::close(OpenId id, const Result<AppendAck>& outcome) {
  const auto found = open_.find(id);
  if (found == open_.end()) return;
  Open open = found->second;
  open_.erase(found);
  Append& append = open.append;
  append.returned = world_.now();
  WorkloadCounts& counts = workload_.counts_;
  if (outcome) {
    append.outcome = Outcome::kOk;
    append.offset = outcome->offset;
    ++counts.acked;
    counts.records += append.count;
    Offset& end = ends_[open.shard];
    end = std::max(end, outcome->offset + append.count);
    if (ShardKey{.stream = outcome->stream, .shard = outcome->shard} != open.shard) {
      world_.violate(Verdict::kSafety, "an append was acknowledged in another shard");
    }
  } else if (outcome.error().outcome_unknown() || outcome.error().code() == Errc::kCancelled) {
    append.outcome = Outcome::kUnknown;
    append.returned = kNever;
    ++counts.unknown;
  } else if (outcome.error().code() == Errc::kOffsetMismatch) {
    append.outcome = Outcome::kMismatch;
    ++counts.mismatches;
  } else {
    append.outcome = Outcome::kFailed;
    ++counts.failed;
  }
  world_.tell(TraceKind::kOutcome, host_, static_cast<std::uint64_t>(append.outcome),
              append.offset ? append.offset->value() : 0, [&] {
                return fmt::format("append {}.{} to {}/{}: {}", append.value.client(),
                                   append.value.sequence(), open.shard.stream.value(),
                                   open.shard.shard.value(),
                                   outcome ? fmt::format("ok at {}", append.offset->value())
                                           : outcome.error().describe());
              });
  workload_.history_.shard(open.shard).add(append);
}

void User::append() {
  const WorkloadPlan& plan = workload_.plan_;
  const Place place = draw_place();
  const std::uint64_t burst = 1 + random_.below(plan.burst_max);
  for (std::uint64_t i = 0; i < burst && open_.size() < plan.in_flight_max; ++i) {
    const Value value(client_number_, sequence_++);
    const Record record = draw_record(place, value);
    const OpenId id = open(place, {.value = value});
    const auto taken = client_->append(
        place.stream->name, record, [this, id](const Result<AppendAck>& ack) { close(id, ack); });
    if (!taken) open_.erase(id);
  }
}

void User::append_expecting() {
  const Place place = draw_place();
  if (open_.size() >= workload_.plan_.in_flight_max) return;
  const Offset known = ends_[place.key()];
  const Offset expected = random_.chance(1, 8) ? known.next() : known;
  const auto count = static_cast<std::uint32_t>(1 + random_.below(3));
  std::vector<Record> records;
  records.reserve(count);
  const Value first(client_number_, sequence_);
  for (std::uint32_t i = 0; i < count; ++i) {
    records.push_back(draw_record(place, Value(client_number_, sequence_++)));
  }
  const OpenId id = open(place, {.value = first, .count = count, .expected = expected});
  const auto taken =
      client_->append_expecting(place.stream->name, place.shard, expected, records,
                                [this, id](const Result<AppendAck>& ack) { close(id, ack); });
  if (!taken) open_.erase(id);
}

// More than a record, a batch, or the span of its times may be.
void User::append_oversized() {
  const Place place = draw_place();
  const auto refused = [this](const Result<AppendAck>& ack) {
    if (ack) world_.violate(Verdict::kSafety, "what is over a limit was taken");
  };
  Record record;
  record.value.resize(kRecordBytesMax);
  const std::uint64_t way = random_.below(3);
  if (way == 0) return (void)client_->append(place.stream->name, record, refused);
  std::vector<Record> records(2);
  records.front().time = std::numeric_limits<TimeMs>::min();
  records.back().time = std::numeric_limits<TimeMs>::max();
  if (way == 1) {
    record.value.resize(kRecordBytesMax - 100);
    records.assign(kBatchBytesMax / kRecordBytesMax + 1, record);
  }
  (void)client_->append_expecting(place.stream->name, place.shard, ends_[place.key()], records,
                                  refused);
}

void User::append_broken() {
  if (random_.chance(1, 8)) return append_oversized();
  const Place place = draw_place();
  net::Call call;
  call.request.mutable_append()->set_stream(place.stream->id.value());
  call.request.mutable_append()->set_shard(place.shard.value());
  call.payload = Payload(broken_batch(random_));
  call.shard = place.key();
  call.deadline = world_.now() + kReadDeadline;
  call.done = [this](const net::CallResult& result) {
    if (result.error || !result.response.has_append()) return;
    world_.violate(Verdict::kSafety, "a batch that is none was taken");
  };
  client_->call(std::move(call));
}

void User::trim() {
  const Place place = draw_place();
  const Offset end = ends_[place.key()];
  if (end == Offset()) return;
  // Now and then all of it, before a tail has seen it; and a lower one right behind, which comes
  // while the first is on its way.
  const Offset before = random_.chance(1, 2) ? end : Offset(random_.below(end.value() + 1));
  trim_to(place, before);
  if (random_.chance(1, 2)) trim_to(place, Offset(before.value() / 2));
}

void User::trim_to(Place place, Offset before) {
  workload_.history_.shard(place.key()).add(Trim{.start = before, .at = world_.now()});
  net::Call call;
  call.request.mutable_trim()->set_stream(place.stream->id.value());
  call.request.mutable_trim()->set_shard(place.shard.value());
  call.request.mutable_trim()->set_before_offset(before.value());
  call.shard = place.key();
  call.deadline = world_.now() + kReadDeadline;
  call.done = [](const net::CallResult&) {};
  client_->call(std::move(call));
}

void User::probe_shard(Place place, const std::function<void()>& acked) {
  if (!client_) return;
  const Value value(client_number_, sequence_++);
  const OpenId id = open(place, {.value = value});
  const auto again = [this, place, acked] {
    world_.queue.after(100 * net::kMillisecond,
                       [this, place, acked] { probe_shard(place, acked); });
  };
  const auto taken = client_->append(place.stream->name, draw_record(place, value),
                                     [this, id, acked, again](const Result<AppendAck>& ack) {
                                       close(id, ack);
                                       if (ack) {
                                         acked();
                                       } else {
                                         again();
                                       }
                                     });
  if (!taken) {
    open_.erase(id);
    again();
  }
}

void User::probe(const std::function<void()>& acked) {
  for (const WorkloadStream& stream : workload_.streams_) {
    for (std::uint32_t shard = 0; shard < stream.shards; ++shard) {
      probe_shard({.stream = &stream, .shard = ShardNumber(shard)}, acked);
    }
  }
}

}  // namespace lignum::jepsen
