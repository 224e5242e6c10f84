#include "net/producer.h"

#include <algorithm>
#include <array>
#include <cstddef>
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
#include "net/partitioner.h"
#include "net/producer_batch.h"
#include "net/producer_shard.h"
#include "net/proto/client.pb.h"
#include "raft/check.h"
#include "raft/error.h"
#include "raft/payload.h"
#include "raft/types.h"
#include "storage/byte_order.h"
#include "storage/level.h"
#include "storage/record.h"
#include "storage/record_batch_builder.h"

namespace lignum::net {

namespace {

std::optional<Bytes> view_of(const std::optional<std::vector<std::byte>>& bytes) {
  return bytes ? std::optional<Bytes>(*bytes) : std::nullopt;
}

std::vector<FieldView> fields_of(const Record& record) {
  std::vector<FieldView> fields;
  fields.reserve(record.fields.size());
  for (const Field& field : record.fields) {
    fields.push_back({.name = field.name, .value = field.value});
  }
  return fields;
}

BorrowedRecord borrow(const Record& record, const std::vector<FieldView>& fields) {
  return {.time = record.time,
          .key = view_of(record.key),
          .value = record.value,
          .level = record.level,
          .fields = fields};
}

Record keep(const BorrowedRecord& record, TimeMs wall) {
  Record kept{.time = record.time.value_or(wall),
              .key = std::nullopt,
              .value = {record.value.begin(), record.value.end()},
              .level = record.level,
              .fields = {}};
  if (record.key) {
    kept.key.emplace(record.key->begin(), record.key->end());
  }
  for (const FieldView& field : record.fields) {
    kept.fields.push_back({.name = std::string(field.name), .value = std::string(field.value)});
  }
  return kept;
}

Bytes bytes_of_text(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

// A record without a key is keyed by its producer's id.
std::array<std::byte, sizeof(std::int64_t)> identity_key(ProducerId id) {
  std::array<std::byte, sizeof(std::int64_t)> key{};
  store_be<std::int64_t>(key, 0, id.value());
  return key;
}

Error not_found(std::string_view name) {
  return {Errc::kNotFound, "stream '" + std::string(name) + "' does not exist"};
}

}  // namespace

Producer::Producer(Options options)
    : options_(options),
      spares_(options.settings.limits),
      seed_(options.seed),
      identity_backoff_(options.settings.backoff, seed_) {}

Producer::Stream* Producer::stream_of(std::string_view name) {
  if (last_stream_ != nullptr && last_stream_->name == name) {
    return last_stream_;
  }
  auto found = streams_.find(name);
  if (found == streams_.end()) {
    if (streams_.size() >= kStreamsMax) {
      return nullptr;
    }
    auto stream = std::make_unique<Stream>();
    stream->name = name;
    found = streams_.emplace(std::string(name), std::move(stream)).first;
  }
  last_stream_ = found->second.get();
  return last_stream_;
}

void Producer::want_stream(Stream& stream) {
  if (!stream.resolving) {
    stream.resolving = true;
    resolve_.push_back(stream.name);
    wants_turn_ = true;
  }
}

std::size_t Producer::bytes_of(const BorrowedRecord& record) {
  std::size_t bytes = kRecordOverhead + record.value.size() + (record.key ? record.key->size() : 0);
  for (const FieldView& field : record.fields) {
    bytes += field.name.size() + field.value.size();
  }
  return bytes;
}

bool Producer::direct(const Stream& stream) const {
  return !stream.shards.empty() && first_id_ && stream.staged.empty();
}

Result<void> Producer::check_room(std::size_t bytes) const {
  if (bytes > options_.buffer_bytes_max) {
    return fail(Errc::kTooLarge, "larger than the append buffer");
  }
  if (buffered_bytes_ + bytes > options_.buffer_bytes_max) {
    return fail(Errc::kOverloaded, "the append buffer is full; wait for outcomes");
  }
  return {};
}

Result<void> Producer::append(std::string_view stream, const BorrowedRecord& record,
                              AppendWaiter waiter, Now now) {
  if (stopped_) {
    return fail(Errc::kCancelled, "the client is closed");
  }
  const bool level_field = std::ranges::any_of(
      record.fields, [](const FieldView& field) { return field.name == kLevelHeader; });
  if (level_field) {
    return fail(Errc::kInvalidArgument, "a field must not be named 'level': set the level instead");
  }
  const std::size_t bytes = bytes_of(record);
  TRY(check_room(bytes));
  Stream* const found = stream_of(stream);
  if (found == nullptr) {
    return fail(Errc::kOverloaded, "one client appends to at most 65536 streams");
  }
  return direct(*found) ? add(*found, record, std::move(waiter), bytes, now)
                        : stage(*found, record, std::move(waiter), bytes, now);
}

RecordInput Producer::input_of(const BorrowedRecord& record, TimeMs wall) {
  headers_.clear();
  if (record.level) {
    headers_.push_back(level_header(*record.level));
  }
  for (const FieldView& field : record.fields) {
    headers_.push_back({.key = field.name, .value = bytes_of_text(field.value)});
  }
  return {.timestamp = record.time.value_or(wall),
          .key = record.key,
          .value = record.value,
          .headers = headers_};
}

ProducerShard& Producer::shard_for(const Stream& stream, const BorrowedRecord& record) const {
  CHECK(first_id_.has_value());
  const auto count = static_cast<std::uint32_t>(stream.shards.size());
  const ShardNumber shard =
      record.key ? shard_of_key(*record.key, count) : shard_of_key(identity_key(*first_id_), count);
  return *stream.shards.at(shard.value());
}

Result<void> Producer::add(Stream& stream, const BorrowedRecord& record, AppendWaiter waiter,
                           std::size_t bytes, Now now) {
  ProducerShard& shard = shard_for(stream, record);
  TRY(shard.append(input_of(record, now.wall), std::move(waiter), bytes, now.moment));
  buffered_bytes_ += bytes;
  // A shard that was idle has no timer yet, even where a pause keeps it from being ready.
  wants_turn_ = wants_turn_ || !shard.active || shard.ready();
  activate(shard);
  return {};
}

Result<void> Producer::stage(Stream& stream, const BorrowedRecord& record, AppendWaiter waiter,
                             std::size_t bytes, Now now) {
  // Judged now, so that what is refused is refused in the same way as later.
  BatchBuilder trial(options_.settings.limits);
  TRY(trial.add(input_of(record, now.wall)));
  if (stream.staged.empty()) {
    staging_.push_back(&stream);
  }
  stream.staged.push_back({.records = {keep(record, now.wall)},
                           .condition = std::nullopt,
                           .waiter = std::move(waiter),
                           .bytes = bytes,
                           .deadline = now.moment + options_.settings.append_deadline});
  buffered_bytes_ += bytes;
  if (stream.shards.empty()) {
    want_stream(stream);
  }
  wants_turn_ = true;
  return {};
}

void Producer::unstage(Stream& stream, Now now) {
  if (stream.shards.empty() || !first_id_ || stream.staged.empty()) {
    return;
  }
  std::erase(staging_, &stream);
  for (Staged& staged : std::exchange(stream.staged, {})) {
    buffered_bytes_ -= staged.bytes;
    // The waiter is moved only where the record is taken.
    AppendWaiter waiter = staged.waiter;
    if (const auto added = release(stream, staged, now); !added) {
      fail_now(std::move(waiter), 0, added.error());
    }
  }
  if (std::exchange(stream.flush_staged, false)) {
    for (ProducerShard* shard : stream.shards) {
      shard->flush();
    }
  }
  wants_turn_ = true;
}

Result<void> Producer::release(const Stream& stream, Staged& staged, Now now) {
  const Now since{.moment = staged.deadline - options_.settings.append_deadline, .wall = now.wall};
  if (staged.condition) {
    return add_expecting(stream, *staged.condition, staged.records, std::move(staged.waiter),
                         since);
  }
  const std::vector<FieldView> fields = fields_of(staged.records.front());
  const BorrowedRecord record = borrow(staged.records.front(), fields);
  ProducerShard& shard = shard_for(stream, record);
  TRY(shard.append(input_of(record, now.wall), std::move(staged.waiter), staged.bytes,
                   since.moment));
  buffered_bytes_ += staged.bytes;
  activate(shard);
  return {};
}

void Producer::fail_now(AppendWaiter waiter, std::size_t bytes, const Error& error) {
  AppendWaiters waiters;
  waiters.add(std::move(waiter));
  output_.outcomes.push_back(
      {.waiters = std::move(waiters), .first = std::unexpected(error), .accounted_bytes = bytes});
  output_.released_bytes += bytes;
}

void Producer::fail_staged(Stream& stream, const Error& error) {
  std::erase(staging_, &stream);
  for (Staged& staged : std::exchange(stream.staged, {})) {
    fail_now(std::move(staged.waiter), staged.bytes, error);
  }
}

void Producer::expire_staged(Moment now) {
  for (Stream* stream : std::vector<Stream*>(staging_)) {
    auto& staged = stream->staged;
    const auto late =
        std::ranges::find_if(staged, [&](const Staged& record) { return record.deadline > now; });
    for (auto record = staged.begin(); record != late; ++record) {
      fail_now(std::move(record->waiter), record->bytes,
               Error(Errc::kTimeout, "the deadline passed before it could be sent"));
    }
    staged.erase(staged.begin(), late);
    if (staged.empty()) {
      std::erase(staging_, stream);
    }
  }
}

Result<void> Producer::append_expecting(std::string_view stream, ShardNumber shard, Offset expected,
                                        const std::vector<Record>& records, AppendWaiter waiter,
                                        Now now) {
  const auto found = streams_.find(stream);
  if (found == streams_.end() || found->second->shards.empty()) {
    return std::unexpected(not_found(stream));
  }
  if (records.empty()) {
    return fail(Errc::kInvalidArgument, "a conditional append needs at least one record");
  }
  const Condition condition{.shard = shard, .expected = expected};
  std::vector<Staged>& staged = found->second->staged;
  if (staged.empty()) {
    return add_expecting(*found->second, condition, records, std::move(waiter), now);
  }
  std::size_t bytes = 0;
  for (const Record& record : records) bytes += bytes_of(borrow(record, fields_of(record)));
  TRY(check_room(bytes));
  staged.push_back({.records = records,
                    .condition = condition,
                    .waiter = std::move(waiter),
                    .bytes = bytes,
                    .deadline = now.moment + options_.settings.append_deadline});
  buffered_bytes_ += bytes;
  return {};
}

Result<void> Producer::add_expecting(const Stream& stream, const Condition& condition,
                                     const std::vector<Record>& records, AppendWaiter waiter,
                                     Now now) {
  if (condition.shard.value() >= stream.shards.size()) {
    return fail(Errc::kNotFound, "stream '" + stream.name + "' has only " +
                                     std::to_string(stream.shards.size()) + " shards");
  }
  std::vector<std::vector<HeaderView>> headers(records.size());
  std::vector<std::vector<FieldView>> fields(records.size());
  std::vector<RecordInput> inputs;
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < records.size(); ++i) {
    fields.at(i) = fields_of(records.at(i));
    const BorrowedRecord record = borrow(records.at(i), fields.at(i));
    bytes += bytes_of(record);
    inputs.push_back(input_of(record, now.wall));
    headers.at(i) = headers_;
    inputs.back().headers = headers.at(i);
  }
  TRY(check_room(bytes));
  ProducerShard& target = *stream.shards.at(condition.shard.value());
  TRY(target.append_alone(inputs, condition.expected, std::move(waiter), bytes, now.moment));
  buffered_bytes_ += bytes;
  activate(target);
  wants_turn_ = true;
  return {};
}

void Producer::flush() {
  for (Stream* stream : staging_) {
    stream->flush_staged = true;
  }
  for (ProducerShard* shard : active_) {
    shard->flush();
  }
  wants_turn_ = true;
}

void Producer::on_stream(const wire::StreamInfo& info, Now now) {
  Stream* const stream = stream_of(info.name());
  if (stream == nullptr || stopped_) {
    return;
  }
  stream->resolving = false;
  const StreamId id(info.id());
  if (!stream->shards.empty() && stream->id == id) {
    return;
  }
  drop_shards(*stream, Error(Errc::kNotFound, "stream '" + stream->name + "' was deleted"));
  stream->id = id;
  for (int i = 0; i < info.shards_size(); ++i) {
    const ShardKey key{.stream = id, .shard = ShardNumber(static_cast<std::uint32_t>(i))};
    auto shard = std::make_unique<ProducerShard>(options_.settings, spares_, key, ++seed_);
    stream->shards.push_back(shard.get());
    shards_.emplace(key, std::move(shard));
  }
  unstage(*stream, now);
}

void Producer::on_stream_failed(std::string_view name, const Error& error) {
  const auto found = streams_.find(name);
  if (found == streams_.end()) {
    return;
  }
  Stream& stream = *found->second;
  stream.resolving = false;
  fail_staged(stream, error);
  if (error.code() == Errc::kNotFound) {
    drop_shards(stream, error);
  }
  wants_turn_ = true;
}

void Producer::drop_shards(Stream& stream, const Error& error) {
  // Should the stream come back, its shards begin at sequence 0: under an id that was used there
  // before, their first batches would be taken for duplicates and be acknowledged, but not stored.
  if (!stream.shards.empty()) identity_.reset();
  for (ProducerShard* shard : std::exchange(stream.shards, {})) {
    shard->fail_all(error, output_);
    std::erase(active_, shard);
    shards_.erase(ShardKey(shard->key()));
  }
  wants_turn_ = true;
}

void Producer::on_identity(ProducerId id, std::int16_t epoch) {
  identity_requested_ = false;
  identity_backoff_.reset();
  identity_ = ProducerIdentity{.id = id, .epoch = epoch, .generation = next_generation_++};
  first_id_ = first_id_.value_or(id);
  wants_turn_ = true;
}

void Producer::on_identity_failed(Moment now) {
  identity_requested_ = false;
  identity_retry_at_ = now + identity_backoff_.next();
}

void Producer::on_reply(ShardKey shard, std::uint64_t attempt, const CallResult& result,
                        Moment now) {
  const auto found = shards_.find(shard);
  if (found == shards_.end()) {
    return;
  }
  if (found->second->on_reply(attempt, result, now, output_)) {
    for (const auto& [name, stream] : streams_) {
      if (stream->id == shard.stream && !stream->shards.empty()) {
        want_stream(*stream);
      }
    }
  }
  wants_turn_ = true;
}

void Producer::activate(ProducerShard& shard) {
  if (!shard.active) {
    shard.active = true;
    active_.push_back(&shard);
  }
}

void Producer::want_identity(Moment now) {
  const std::uint64_t generation = identity_ ? identity_->generation : 0;
  const bool wanted = (!first_id_ && !staging_.empty()) ||
                      std::ranges::any_of(active_, [&](const ProducerShard* shard) {
                        const auto after = shard->wants_identity_after();
                        return after && *after >= generation;
                      });
  if (!wanted || identity_requested_) {
    return;
  }
  if (identity_retry_at_ && now < *identity_retry_at_) {
    next_wakeup_ = std::min(next_wakeup_, *identity_retry_at_);
    return;
  }
  identity_retry_at_.reset();
  identity_requested_ = true;
  init_producer_ = true;
}

void Producer::turn(Moment now) {
  wants_turn_ = false;
  expire_staged(now);
  if (first_id_) {
    for (Stream* stream : std::vector<Stream*>(staging_)) {
      unstage(*stream, {.moment = now, .wall = 0});
    }
  }
  next_wakeup_ = kMomentMax;
  for (const Stream* stream : staging_) {
    next_wakeup_ = std::min(next_wakeup_, stream->staged.front().deadline);
  }
  std::erase_if(active_, [&](ProducerShard* shard) {
    shard->turn(identity_, now, output_);
    next_wakeup_ = std::min(next_wakeup_, shard->next_wakeup());
    shard->active = !shard->idle();
    return !shard->active;
  });
  want_identity(now);
  wants_turn_ = false;
}

Producer::Output Producer::take_output() {
  buffered_bytes_ -= std::exchange(output_.released_bytes, 0);
  return {.resolve = std::exchange(resolve_, {}),
          .init_producer = std::exchange(init_producer_, false),
          .sends = std::exchange(output_.sends, {}),
          .outcomes = std::exchange(output_.outcomes, {})};
}

void Producer::stop() {
  stopped_ = true;
  const Error error(Errc::kCancelled, "the client was closed");
  for (const auto& [name, stream] : streams_) {
    fail_staged(*stream, error);
  }
  for (ProducerShard* shard : active_) {
    shard->fail_all(error, output_);
    shard->active = false;
  }
  active_.clear();
  next_wakeup_ = kMomentMax;
}

}  // namespace lignum::net
