#include "net/tail_reader.h"

#include <algorithm>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "net/call.h"
#include "net/client.h"
#include "net/moment.h"
#include "net/tail_cursor.h"
#include "net/tail_merge.h"
#include "net/tail_shard.h"
#include "raft/check.h"
#include "raft/error.h"
#include "raft/payload.h"
#include "raft/types.h"
#include "storage/level.h"
#include "storage/record.h"
#include "storage/record_batch_reader.h"

namespace lignum::net {

namespace {

constexpr std::uint32_t kAllLevels = 0xFFFFFFFFU;

std::string_view text_of(const std::optional<Bytes>& bytes) {
  if (!bytes || bytes->empty()) {
    return {};
  }
  // NOLINTNEXTLINE(bugprone-casting-through-void): bytes are read as the text they hold.
  return {static_cast<const char*>(static_cast<const void*>(bytes->data())), bytes->size()};
}

}  // namespace

TailReader::TailReader(Options options)
    : options_(std::move(options)), backoff_(options_.backoff, options_.seed) {
  settings_.backoff = options_.backoff;
}

void TailReader::fail(Error error) {
  if (!error_) {
    error_ = std::move(error);
  }
}

void TailReader::on_reply(std::uint64_t token, const CallResult& result, Moment now) {
  if (error_) {
    return;
  }
  const std::uint64_t owner = token >> 32U;
  if (owner == 0) {
    on_own_reply(token, result, now);
    return;
  }
  TailShard& shard = *shards_.at(owner - 1);
  const Offset fetched = shard.fetched();
  const TailShard::Effect effect = shard.on_reply(token, result, now);
  if (shard.fetched() != fetched) {
    silent_since_.reset();
  }
  switch (effect) {
    case TailShard::Effect::kNone:
      return;
    case TailShard::Effect::kStreamMayBeGone:
      if (!resolving_ && !resolve_at_) {
        resolve_at_ = now + backoff_.next();
      }
      return;
    case TailShard::Effect::kFailed:
      fail(shard.error());
      return;
  }
}

void TailReader::turn(Moment now) {
  next_wakeup_ = kMomentMax;
  wants_turn_ = false;
  if (error_) {
    return;
  }
  switch (phase_) {
    case Phase::kStart:
      if (const auto checked = check_options(); !checked) {
        fail(checked.error());
        return;
      }
      send_resolve(now);
      return;
    case Phase::kResolving:
    case Phase::kLocating:
      return;
    case Phase::kScanning:
      scan(now);
      break;
    case Phase::kReading:
      break;
  }
  follow_up(now);
}

void TailReader::follow_up(Moment now) {
  if (phase_ != Phase::kScanning && phase_ != Phase::kReading) {
    return;
  }
  for (const auto& shard : shards_) {
    shard->turn(now, requests_);
  }
  close_target_.reset();
  if (phase_ == Phase::kReading && options_.tail.follow && !current_) {
    ask_for_closing(now);
  }
  for (const auto& shard : shards_) {
    next_wakeup_ = std::min(next_wakeup_, shard->next_wakeup());
  }
  if (resolve_at_) {
    if (now >= *resolve_at_) {
      resolve_at_.reset();
      send_resolve(now);
    } else {
      next_wakeup_ = std::min(next_wakeup_, *resolve_at_);
    }
  }
  watch_silence(now);
}

void TailReader::watch_silence(Moment now) {
  const bool endless = phase_ == Phase::kReading && options_.tail.follow;
  const bool waits = !endless && !current_ &&
                     next_step(shards_, settings_.until).kind == MergeStep::Kind::kBlocked;
  if (!waits) {
    // Whoever takes no records keeps the tail from asking.
    silent_since_.reset();
    return;
  }
  const Moment deadline = silent_since_.value_or(now) + options_.request_timeout;
  if (now < deadline) {
    silent_since_ = deadline - options_.request_timeout;
    next_wakeup_ = std::min(next_wakeup_, deadline);
    return;
  }
  const auto awaited = std::ranges::find_if(
      shards_, [](const auto& shard) { return shard->head() == nullptr && !shard->finished(); });
  CHECK(awaited != shards_.end());
  std::string why = "nothing arrived of " + (*awaited)->stream() + "/" +
                    std::to_string((*awaited)->key().shard.value()) + " for " +
                    std::to_string(options_.request_timeout / kMillisecond) + " ms";
  if (const std::optional<Error>& trouble = (*awaited)->stalled()) {
    why += "; the last attempt ended with " + trouble->describe();
  }
  fail(Error(Errc::kTimeout, std::move(why)));
}

void TailReader::ask_for_closing(Moment now) {
  const MergeStep step = next_step(shards_, settings_.until);
  if (step.kind != MergeStep::Kind::kBlocked) {
    return;
  }
  close_target_ = step.target;
  // Nobody waits, but the end can only be known by a clock that has passed it.
  const auto target =
      step.target || !settings_.until ? step.target : std::optional(*settings_.until - 1);
  for (const auto& shard : shards_) {
    if (target && shard->head() == nullptr) {
      shard->ask_close(*target, now, requests_);
    }
  }
}

Result<std::optional<Tail::Item>> TailReader::next() {
  while (!error_ && phase_ == Phase::kReading) {
    if (current_) {
      if (auto item = take_record(*current_)) {
        return item;
      }
      continue;
    }
    const MergeStep step = next_step(shards_, settings_.until);
    if (step.kind == MergeStep::Kind::kDone) {
      return Tail::Item(Tail::End{});
    }
    if (step.kind == MergeStep::Kind::kBlocked) {
      return std::optional<Tail::Item>();
    }
    if (step.kind == MergeStep::Kind::kGap) {
      if (auto item = take_gap(*step.shard)) {
        return item;
      }
    } else if (const auto opened = open(*step.shard); !opened) {
      fail(opened.error());
    }
  }
  if (error_) {
    return std::unexpected(*error_);
  }
  return std::optional<Tail::Item>();
}

std::optional<Tail::Item> TailReader::take_record(Current& current) {
  const auto record = next_record(current);
  if (!record) {
    fail(record.error());
    return std::nullopt;
  }
  if (*record != nullptr) {
    return Tail::Item(show(current, **record));
  }
  current_.reset();
  wants_turn_ = true;
  return std::nullopt;
}

std::optional<Tail::Item> TailReader::take_gap(TailShard& shard) {
  const std::optional<Gap> gap = shard.gap();
  CHECK(gap.has_value());
  if (options_.tail.skip_gaps) {
    shard.clear_gap();
    wants_turn_ = true;
    return Tail::Item(*gap);
  }
  const std::string place = gap->stream + "/" + std::to_string(gap->shard.value());
  if (gap->reason == Errc::kTrimmed) {
    fail(Error(Errc::kTrimmed, place + ": offsets " + std::to_string(gap->from.value()) + " to " +
                                   std::to_string(gap->to.value() - 1) + " are gone (trimmed)"));
  } else {
    fail(Error(gap->reason, place + " at offset " + std::to_string(gap->from.value()) + ": " +
                                shard.gap_error().message() + "; offset " +
                                std::to_string(gap->to.value()) + " and what follows is served"));
  }
  return std::nullopt;
}

Result<void> TailReader::open(TailShard& shard) {
  TailShard::Batch batch = shard.take();
  wants_turn_ = true;
  if ((batch.level_mask & settings_.level_mask) == 0) {
    shard.advance(batch.base + batch.record_count);
    return {};
  }
  auto reader = BatchReader::open(batch.bytes.bytes());
  if (!reader) {
    return std::unexpected(Error(reader.error().code(),
                                 shard.stream() + "/" + std::to_string(shard.key().shard.value()) +
                                     ": batch at offset " + std::to_string(batch.base.value()) +
                                     ": " + reader.error().message()));
  }
  if (Offset(static_cast<std::uint64_t>(reader->header().base_offset)) != batch.base) {
    return lignum::fail(Errc::kProtocol, shard.stream() + ": a batch is not the one announced");
  }
  current_.emplace(
      Current{.shard = &shard, .batch = std::move(batch), .reader = std::move(*reader)});
  return {};
}

Result<const RecordView*> TailReader::next_record(Current& current) const {
  TailShard& shard = *current.shard;
  const std::optional<Offset> end = shard.end();
  while (true) {
    TRY_ASSIGN(record, current.reader.next());
    if (record == nullptr || (end && record->offset >= *end)) {
      const Offset past = current.batch.base + current.batch.record_count;
      shard.advance(end ? std::min(past, *end) : past);
      return nullptr;
    }
    if (record->offset < shard.position()) {
      continue;  // the batch began before the place asked for
    }
    shard.advance(record->offset.next());
    if (settings_.level_mask == kAllLevels ||
        (level_bit(record->level()) & settings_.level_mask) != 0) {
      return record;
    }
  }
}

ReadRecord TailReader::show(const Current& current, const RecordView& record) {
  fields_.clear();
  for (const HeaderView& header : record.headers) {
    if (header.key != kLevelHeader) {
      fields_.push_back({.name = header.key, .value = text_of(header.value)});
    }
  }
  const TailShard& shard = *current.shard;
  return {.stream = shard.stream(),
          .stream_id = shard.key().stream,
          .shard = shard.key().shard,
          .offset = record.offset,
          .append_time = current.batch.append_time,
          .event_time = record.timestamp,
          .key = record.key,
          .value = record.value.value_or(Bytes()),
          .level = record.level(),
          .fields = fields_};
}

std::string TailReader::cursor() const {
  if (phase_ != Phase::kReading) {
    return cursor_ ? format_cursor(*cursor_) : std::string();
  }
  TailPositions positions;
  for (const auto& shard : shards_) {
    const bool taken = current_ && current_->shard == shard.get();
    positions.emplace(shard->key(), taken ? shard->position() : shard->resume_from());
  }
  return format_cursor(positions);
}

std::optional<Error> TailReader::stalled() const {
  for (const auto& shard : shards_) {
    const auto& stalled = shard->stalled();
    // Waiting for `until` is no stall, though the nodes call it skew.
    if (stalled && (stalled->code() != Errc::kSkew || close_target_)) {
      return stalled;
    }
  }
  return std::nullopt;
}

}  // namespace lignum::net
