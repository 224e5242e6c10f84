// How a tail finds its places: names, bounds, the kinds of TailStart (declared in tail_reader.h).

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "net/call.h"
#include "net/client.h"
#include "net/moment.h"
#include "net/proto/client.pb.h"
#include "net/tail_cursor.h"
#include "net/tail_last.h"
#include "net/tail_merge.h"
#include "net/tail_reader.h"
#include "net/tail_shard.h"
#include "raft/check.h"
#include "raft/error.h"
#include "raft/types.h"

namespace lignum::net {

namespace {

// Tokens of the tail's own requests have an empty upper half.
constexpr std::uint64_t kResolveToken = 0xFFFFFFFFU;

std::uint64_t offsets_token(std::uint32_t round, std::size_t shard) {
  static_assert(TailReader::kShardsMax <= 0x10000);
  return (std::uint64_t{round & 0x7FFFU} << 16U) | shard;
}

}  // namespace

Result<void> TailReader::check_options() const {
  const TailOptions& tail = options_.tail;
  if (tail.streams.empty()) {
    return lignum::fail(Errc::kInvalidArgument, "a tail needs at least one stream");
  }
  if (tail.shard && tail.streams.size() != 1) {
    return lignum::fail(Errc::kInvalidArgument, "one shard can be read of one stream only");
  }
  if (tail.level_mask == 0) {
    return lignum::fail(Errc::kInvalidArgument, "the level filter lets nothing through");
  }
  if (tail.start.kind == TailStart::Kind::kOffset && !tail.shard) {
    return lignum::fail(Errc::kInvalidArgument, "an offset is a place in one shard: name it");
  }
  if (tail.start.kind == TailStart::Kind::kLast && tail.start.count > kLastMax) {
    return lignum::fail(Errc::kTooLarge, "at most the last " + std::to_string(kLastMax) +
                                             " records can be asked for");
  }
  return {};
}

void TailReader::send_resolve(Moment now) {
  if (phase_ == Phase::kStart) {
    if (options_.tail.start.kind == TailStart::Kind::kCursor) {
      auto positions = parse_cursor(options_.tail.start.cursor);
      if (!positions) {
        fail(positions.error());
        return;
      }
      cursor_ = std::move(*positions);
    }
    phase_ = Phase::kResolving;
  }
  resolving_ = true;
  resolved_.clear();
  names_done_ = 0;
  send_names(now);
}

void TailReader::send_names(Moment now) {
  TailRequest request{.token = kResolveToken,
                      .request = {},
                      .shard = std::nullopt,
                      .retry = Retry::kIdempotent,
                      .deadline = now + options_.request_timeout};
  wire::ResolveRequest& body = *request.request.mutable_resolve();
  std::size_t bytes = 0;
  for (const std::string& name : std::span(options_.tail.streams).subspan(names_done_)) {
    bytes += name.size();
    if (body.names_size() > 0 && bytes > kNamesBytesMax) {
      break;
    }
    body.add_names(name);
  }
  names_asked_ = static_cast<std::size_t>(body.names_size());
  requests_.push_back(std::move(request));
}

void TailReader::on_own_reply(std::uint64_t token, const CallResult& result, Moment now) {
  if (token == kResolveToken) {
    on_resolve(result, now);
    return;
  }
  const std::size_t shard = token & 0xFFFFU;
  if (phase_ == Phase::kLocating && token == offsets_token(locate_round_, shard)) {
    on_offsets(shard, result, now);
  }
}

void TailReader::on_resolve(const CallResult& result, Moment now) {
  if (result.error || !result.response.has_resolve()) {
    resolving_ = false;
    // Once the tail runs, its reads say themselves whether the cluster can be reached.
    if (phase_ == Phase::kResolving) {
      fail(result.error.value_or(Error(Errc::kProtocol, "the answer to a resolve is none")));
    }
    return;
  }
  const wire::ResolveReply& reply = result.response.resolve();
  if (reply.names_left() >= names_asked_) {
    fail(Error(Errc::kProtocol, "the answer to a resolve looked up no name"));
    return;
  }
  for (const wire::StreamInfo& stream : reply.streams()) {
    resolved_.insert_or_assign(stream.name(), stream);
  }
  names_done_ += names_asked_ - reply.names_left();
  if (names_done_ < options_.tail.streams.size()) {
    send_names(now);
    return;
  }
  on_all_resolved(now);
  resolving_ = false;
  resolved_.clear();
}

void TailReader::on_all_resolved(Moment now) {
  if (phase_ != Phase::kResolving) {
    if (const auto alive = check_alive(); !alive) {
      fail(alive.error());
    }
    return;
  }
  for (const std::string& name : options_.tail.streams) {
    const auto found = resolved_.find(name);
    const auto added = found == resolved_.end()
                           ? lignum::fail(Errc::kNotFound, "stream '" + name + "' does not exist")
                           : add_shards(found->second);
    if (!added) {
      fail(added.error());
      return;
    }
  }
  const TailOptions& tail = options_.tail;
  settings_ = {.buffer_bytes = tail.buffer_bytes_max / std::max<std::size_t>(1, shards_.size()),
               .level_mask = tail.level_mask,
               .follow = false,
               .until = tail.until,
               .backoff = options_.backoff};
  const bool by_time = tail.start.kind == TailStart::Kind::kTime;
  locate(by_time ? std::optional(tail.start.time) : std::nullopt, now);
}

Result<void> TailReader::add_shards(const wire::StreamInfo& stream) {
  const StreamId id(stream.id());
  bool found = false;
  for (int i = 0; i < stream.shards_size(); ++i) {
    const ShardNumber number(static_cast<std::uint32_t>(i));
    if (options_.tail.shard && *options_.tail.shard != number) {
      continue;
    }
    const ShardKey key{.stream = id, .shard = number};
    const bool twice =
        std::ranges::any_of(shards_, [&](const auto& shard) { return shard->key() == key; });
    if (twice || shards_.size() >= kShardsMax) {
      return twice ? lignum::fail(Errc::kInvalidArgument,
                                  "stream '" + stream.name() + "' is named twice")
                   : lignum::fail(Errc::kTooLarge, "one tail reads at most " +
                                                       std::to_string(kShardsMax) + " shards");
    }
    found = true;
    const auto base = static_cast<std::uint32_t>(shards_.size() + 1);
    shards_.push_back(
        std::make_unique<TailShard>(settings_, key, stream.name(), base, options_.seed + base));
  }
  if (!found) {
    return lignum::fail(Errc::kNotFound, "stream '" + stream.name() + "' has no such shard");
  }
  return {};
}

Result<void> TailReader::check_alive() const {
  for (const auto& shard : shards_) {
    const auto found = resolved_.find(shard->stream());
    if (found == resolved_.end() || StreamId(found->second.id()) != shard->key().stream) {
      return lignum::fail(Errc::kNotFound,
                          "stream '" + shard->stream() + "' was deleted while it was read");
    }
  }
  return {};
}

void TailReader::locate(std::optional<TimeUs> at, Moment now) {
  phase_ = Phase::kLocating;
  silent_since_.reset();
  ++locate_round_;
  located_ = 0;
  bounds_.assign(shards_.size(), {});
  for (std::size_t i = 0; i < shards_.size(); ++i) {
    const ShardKey key = shards_.at(i)->key();
    TailRequest request{.token = offsets_token(locate_round_, i),
                        .request = {},
                        .shard = key,
                        .retry = Retry::kIdempotent,
                        .deadline = now + options_.request_timeout};
    wire::OffsetsRequest& body = *request.request.mutable_offsets();
    body.set_stream(key.stream.value());
    body.set_shard(key.shard.value());
    if (at) {
      body.set_at_us(*at);
    }
    requests_.push_back(std::move(request));
  }
}

void TailReader::on_offsets(std::size_t shard, const CallResult& result, Moment now) {
  if (result.error || !result.response.has_offsets()) {
    fail(result.error.value_or(Error(Errc::kProtocol, "the answer to an offsets request is none")));
    return;
  }
  const wire::OffsetsReply& reply = result.response.offsets();
  bounds_.at(shard) = {.start = Offset(reply.start_offset()),
                       .watermark = Offset(reply.watermark()),
                       .at = Offset(reply.has_offset() ? reply.offset() : reply.watermark()),
                       .closed = reply.closed_time_us()};
  if (++located_ == shards_.size()) {
    on_all_located(now);
  }
}

void TailReader::on_all_located(Moment now) {
  if (options_.tail.start.kind == TailStart::Kind::kLast) {
    search_last(now);
    return;
  }
  if (cursor_) {
    if (const auto checked = check_cursor(); !checked) {
      fail(checked.error());
      return;
    }
  }
  std::vector<Offset> starts;
  for (std::size_t i = 0; i < shards_.size(); ++i) {
    const auto start = start_of(i);
    if (!start) {
      fail(start.error());
      return;
    }
    starts.push_back(*start);
  }
  begin_reading(starts, bounds_);
}

Result<void> TailReader::check_cursor() const {
  CHECK(cursor_.has_value());
  for (const auto& [key, offset] : *cursor_) {
    const bool known =
        std::ranges::any_of(shards_, [&](const auto& shard) { return shard->key() == key; });
    // A tail narrowed to one shard may go on from a cursor of the whole stream.
    const bool other_shard = std::ranges::any_of(
        shards_, [&](const auto& shard) { return shard->key().stream == key.stream; });
    if (!known && !(other_shard && options_.tail.shard)) {
      return lignum::fail(Errc::kNotFound,
                          "the cursor belongs to stream id " + std::to_string(key.stream.value()) +
                              " shard " + std::to_string(key.shard.value()) +
                              ", which is not among the streams named: it was deleted, or the "
                              "cursor is of another stream");
    }
  }
  return {};
}

Result<Offset> TailReader::start_of(std::size_t shard) const {
  const TailBounds& bounds = bounds_.at(shard);
  const TailStart& start = options_.tail.start;
  switch (start.kind) {
    case TailStart::Kind::kEarliest:
      return bounds.start;
    case TailStart::Kind::kLatest:
    case TailStart::Kind::kLast:
      return bounds.watermark;
    case TailStart::Kind::kTime:
      return bounds.at;
    case TailStart::Kind::kOffset:
    case TailStart::Kind::kCursor:
      break;
  }
  Offset wanted = start.offset;
  if (start.kind == TailStart::Kind::kCursor) {
    CHECK(cursor_.has_value());
    const auto found = cursor_->find(shards_.at(shard)->key());
    wanted = found == cursor_->end() ? bounds.start : found->second;
  }
  if (wanted > bounds.watermark) {
    return lignum::fail(Errc::kOffsetOutOfRange,
                        "offset " + std::to_string(wanted.value()) + " of " +
                            shards_.at(shard)->stream() + "/" +
                            std::to_string(shards_.at(shard)->key().shard.value()) +
                            " lies above its end, " + std::to_string(bounds.watermark.value()));
  }
  return wanted;
}

void TailReader::begin_reading(const std::vector<Offset>& starts,
                               const std::vector<TailBounds>& ends) {
  settings_.follow = options_.tail.follow;
  for (std::size_t i = 0; i < shards_.size(); ++i) {
    shards_.at(i)->begin(starts.at(i),
                         options_.tail.follow ? std::nullopt : std::optional(ends.at(i).watermark));
  }
  phase_ = Phase::kReading;
}

void TailReader::search_last(Moment now) {
  if (!last_) {
    TimeUs newest = 0;
    for (const TailBounds& bounds : bounds_) {
      newest = std::max(newest, bounds.closed);
    }
    newest = std::min(newest, options_.tail.until.value_or(newest));
    last_.emplace(options_.tail.start.count, bounds_, newest);
    locate(last_->window_start(), now);
    return;
  }
  if (last_->on_window(bounds_) == LastSearch::Verdict::kAskAgain) {
    locate(last_->window_start(), now);
    return;
  }
  for (std::size_t i = 0; i < shards_.size(); ++i) {
    shards_.at(i)->begin(last_->scan_start(i), last_->end(i));
  }
  phase_ = Phase::kScanning;
}

void TailReader::scan(Moment now) {
  while (true) {
    const MergeStep step = next_step(shards_, settings_.until);
    if (step.kind == MergeStep::Kind::kBlocked) {
      return;
    }
    if (step.kind == MergeStep::Kind::kDone) {
      break;
    }
    if (step.kind == MergeStep::Kind::kGap) {
      step.shard->clear_gap();  // trimmed meanwhile: no longer among the last
    } else if (const auto counted = count_batch(*step.shard); !counted) {
      fail(counted.error());
      return;
    }
  }
  if (const auto starts = last_->on_scanned()) {
    begin_reading(*starts, last_->ends());
  } else {
    locate(last_->window_start(), now);
  }
}

Result<void> TailReader::count_batch(TailShard& shard) {
  CHECK(last_.has_value());
  const std::size_t index = static_cast<std::size_t>(
      std::ranges::find(shards_, &shard, [](const auto& owned) { return owned.get(); }) -
      shards_.begin());
  TRY(open(shard));
  while (current_) {
    TRY_ASSIGN(record, next_record(*current_));
    if (record == nullptr) {
      current_.reset();
    } else {
      last_->on_record(index, record->offset);
    }
  }
  return {};
}

}  // namespace lignum::net
