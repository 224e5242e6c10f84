// The reading side of a User: linearizable reads and the tail.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/format.h>
#include "jepsen/check/history.h"
#include "jepsen/sim/record_value.h"
#include "jepsen/sim/sim_client.h"
#include "jepsen/sim/sim_clock.h"
#include "jepsen/sim/trace.h"
#include "jepsen/sim/user.h"
#include "jepsen/sim/workload.h"
#include "jepsen/sim/world.h"
#include "net/call.h"
#include "net/client.h"
#include "net/moment.h"
#include "net/proto/client.pb.h"
#include "raft/check.h"
#include "raft/error.h"
#include "raft/payload.h"
#include "raft/types.h"
#include "storage/level.h"
#include "storage/record.h"
#include "storage/record_batch_reader.h"

namespace lignum::jepsen {

namespace {

constexpr Moment kReadDeadline = 5 * net::kSecond;
constexpr std::uint32_t kReadBytes = 16 << 10;

// The values of the records from `from` on; unreadable ones where a batch does not parse, or where
// offsets are left out.
std::vector<Value> values_from(const wire::ReadReply& reply, const Payload& payload, Offset from) {
  std::vector<Value> values;
  std::size_t at = 0;
  Offset next = from;
  for (const wire::BatchInfo& info : reply.batches()) {
    if (info.bytes() > payload.size() - at) return {Value::unreadable()};
    const Bytes bytes = payload.bytes().subspan(at, info.bytes());
    at += info.bytes();
    auto reader = BatchReader::open(bytes);
    if (!reader) return {Value::unreadable()};
    for (auto record = reader->next(); record && *record != nullptr; record = reader->next()) {
      const RecordView& view = **record;
      if (view.offset < from) continue;
      values.push_back(view.offset == next && view.value ? value_of(*view.value)
                                                         : Value::unreadable());
      next = next.next();
    }
  }
  return values;
}

}  // namespace

void User::read() {
  const Place place = draw_place();
  const Offset end = ends_[place.key()];
  const Offset start = std::min(starts_[place.key()], end);
  // Mostly near the end, where things happen.
  const std::uint64_t back =
      std::min<std::uint64_t>(random_.chance(1, 8) ? end - start : 24, end - start);
  const Offset from(end.value() - random_.below(back + 1));
  net::Call call;
  wire::ReadRequest& request = *call.request.mutable_read();
  request.set_stream(place.stream->id.value());
  request.set_shard(place.shard.value());
  request.set_from_offset(from.value());
  request.set_bytes_max(kReadBytes);
  const bool linearizable = random_.chance(3, 4);
  request.set_linearizable(linearizable);
  call.shard = place.key();
  call.deadline = world_.now() + kReadDeadline;
  call.done = [this, place, from, linearizable,
               invoked = world_.now()](const net::CallResult& result) {
    on_read(place,
            {.client = client_number_,
             .from = from,
             .end = linearizable ? std::optional(Offset()) : std::nullopt,
             .invoked = invoked,
             .returned = world_.now()},
            result);
  };
  client_->call(std::move(call));
}

void User::ask_for_time() {
  const Place place = draw_place();
  net::Call call;
  wire::OffsetsRequest& request = *call.request.mutable_offsets();
  request.set_stream(place.stream->id.value());
  request.set_shard(place.shard.value());
  request.set_linearizable(random_.chance(1, 2));
  // Clocks may be anywhere: what is asked for may be older or younger than all there is.
  request.set_at_us(SimClock::kEpochUs + draw_between(random_, -world_.now(), 2 * world_.now()));
  call.shard = place.key();
  call.deadline = world_.now() + kReadDeadline;
  call.done = [this](const net::CallResult& result) {
    if (result.error || !result.response.has_offsets()) return;
    const wire::OffsetsReply& reply = result.response.offsets();
    const bool bounded = reply.start_offset() <= reply.watermark();
    const bool inside = !reply.has_offset() || (reply.offset() >= reply.start_offset() &&
                                                reply.offset() < reply.watermark());
    if (bounded && inside) return;
    world_.violate(Verdict::kSafety,
                   fmt::format("the offset at a time is {}, of a shard from {} to {}",
                               reply.offset(), reply.start_offset(), reply.watermark()));
  };
  client_->call(std::move(call));
}

void User::on_read(Place place, Read read, const net::CallResult& result) {
  ShardHistory& history = workload_.history_.shard(place.key());
  if (result.error) {
    if (result.error->code() == Errc::kTrimmed && result.response.has_failure() &&
        result.response.failure().has_start_offset()) {
      const Offset first(result.response.failure().start_offset());
      starts_[place.key()] = first;
      history.add(Trimmed{.client = read.client,
                          .from = read.from,
                          .first_kept = first,
                          .invoked = read.invoked,
                          .returned = read.returned});
    }
    return;
  }
  const wire::ReadReply& reply = result.response.read();
  const std::vector<Value> values = values_from(reply, result.payload, read.from);
  const Offset end(reply.watermark());
  ends_[place.key()] = std::max(ends_[place.key()], end);
  ++workload_.counts_.reads;
  world_.tell(TraceKind::kOutcome, host_, 10 + values.size(), end.value(), [&] {
    return fmt::format("read {}/{} from {}: {} records, end {}", place.stream->id.value(),
                       place.shard.value(), read.from.value(), values.size(), end.value());
  });
  if (read.end) read.end = end;
  history.add(read, values);
}

void User::follow() {
  TailOptions options;
  for (const WorkloadStream& stream : workload_.streams_) options.streams.push_back(stream.name);
  options.start.kind = TailStart::Kind::kEarliest;
  options.follow = true;
  options.skip_gaps = true;
  following_ = Following{.number = workload_.new_client(), .next = {}};
  client_->open_tail(options, [this](SimTail& tail) { on_tail_news(tail); });
}

void User::scan_levels() {
  constexpr std::array<std::string_view, 10> kFilters = {
      "warn",  "3",       "info..error", "1..4",  "debug..info",
      "fatal", "Warning", "crit..panic", "trace", "error..fatal"};
  // Whoever mistypes a level is told, and not given others.
  constexpr std::array<std::string_view, 5> kMistyped = {"loud", "9", "!", "info..loud", ""};
  if (random_.chance(1, 8) && parse_level_filter(kMistyped.at(random_.below(kMistyped.size())))) {
    return world_.violate(Verdict::kSafety, "a level was taken that there is not");
  }
  const auto mask = parse_level_filter(kFilters.at(random_.below(kFilters.size())));
  CHECK(mask.has_value());
  TailOptions options;
  for (const WorkloadStream& stream : workload_.streams_) options.streams.push_back(stream.name);
  options.start.kind = TailStart::Kind::kEarliest;
  options.level_mask = *mask;
  options.skip_gaps = true;
  scanning_ = true;
  client_->open_tail(options, [this, mask = *mask](SimTail& tail) { on_scanned(tail, mask); });
}

void User::on_scanned(SimTail& tail, std::uint32_t mask) {
  while (scanning_) {
    const auto next = tail.reader.next();
    if (next && !next->has_value()) return;
    const auto item = next ? *next : std::nullopt;
    if (!item || std::holds_alternative<::lignum::Tail::End>(*item)) {
      tail.closed = true;
      scanning_ = false;
      return;
    }
    const auto* const record = std::get_if<ReadRecord>(&*item);
    if (record == nullptr && !std::holds_alternative<Gap>(*item)) return;
    if (record == nullptr || (level_bit(record->level) & mask) != 0) continue;
    return world_.violate(
        Verdict::kSafety,
        fmt::format("a tail of other levels was given the record at {}", record->offset.value()));
  }
}

void User::take_tailed(Following& following, const ReadRecord& record, std::vector<Value>& values) {
  const ShardKey key{.stream = record.stream_id, .shard = record.shard};
  ShardHistory& history = workload_.history_.shard(key);
  const auto [next, first] = following.next.try_emplace(key, Offset());
  if (first) {
    // Without trims every tail begins at the beginning; else where it was told to.
    const Offset start = workload_.plan_.mix.trim > 0 ? record.offset : Offset();
    history.add(Tail{
        .client = following.number, .event = TailEvent::kStart, .from = start, .at = world_.now()});
  }
  values.assign(1, value_of(record.value));
  history.add(Tail{.client = following.number,
                   .event = TailEvent::kRecords,
                   .from = record.offset,
                   .at = world_.now()},
              values);
  next->second = record.offset.next();
  ++workload_.counts_.tailed;
}

void User::take_gap(Following& following, const Gap& gap) {
  for (const WorkloadStream& stream : workload_.streams_) {
    if (stream.name != gap.stream) continue;
    const ShardKey key{.stream = stream.id, .shard = gap.shard};
    if (gap.reason != Errc::kTrimmed) {
      // What cannot be read there is passed over by this tail's own will.
      if (!workload_.plan_.unreadable || gap.to <= gap.from) {
        world_.violate(Verdict::kSafety, fmt::format("a tail was told that {} to {} cannot be read",
                                                     gap.from.value(), gap.to.value()));
      }
      following.next[key] = gap.to;
      workload_.history_.shard(key).add(Tail{.client = following.number,
                                             .event = TailEvent::kStart,
                                             .from = gap.to,
                                             .at = world_.now()});
      continue;
    }
    if (following.next.try_emplace(key, gap.to).second) {
      workload_.history_.shard(key).add(Tail{.client = following.number,
                                             .event = TailEvent::kStart,
                                             .from = gap.from,
                                             .at = world_.now()});
    }
    workload_.history_.shard(key).add(Tail{.client = following.number,
                                           .event = TailEvent::kGap,
                                           .from = gap.from,
                                           .to = gap.to,
                                           .at = world_.now()});
  }
}

void User::on_tail_news(SimTail& tail) {
  std::vector<Value> values;
  while (following_) {
    Following& following = *following_;
    auto next = tail.reader.next();
    if (!next) {
      world_.tell(TraceKind::kOutcome, host_, 3, static_cast<std::uint64_t>(next.error().code()),
                  [&] { return "tail ended: " + next.error().describe(); });
      tail.closed = true;
      following_.reset();
      world_.queue.after(net::kSecond, [this] {
        if (running_ && client_ && !following_) follow();
      });
      return;
    }
    const auto& event = *next;
    if (!event) return;
    if (const auto* record = std::get_if<ReadRecord>(&*event)) {
      take_tailed(following, *record, values);
    } else if (const auto* gap = std::get_if<Gap>(&*event)) {
      take_gap(following, *gap);
    } else {
      return;
    }
  }
}

}  // namespace lignum::jepsen
