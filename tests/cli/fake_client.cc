#include "tests/cli/fake_client.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "net/client.h"
#include "raft/error.h"
#include "raft/types.h"
#include "storage/level.h"

namespace lignum::cli {

namespace {

std::unexpected<Error> no_stream(std::string_view name) {
  return fail(Errc::kNotFound, fmt::format("stream '{}' does not exist", name));
}

// Walks over what was there when it was made.
class FakeTail final : public Tail {
 public:
  struct Entry {
    std::string stream;
    StreamId id;
    FakeClient::Stored stored;
  };
  FakeTail(std::vector<Entry> entries, std::vector<Gap> gaps, std::optional<Error> stalled)
      : entries_(std::move(entries)),
        gaps_(gaps.begin(), gaps.end()),
        stalled_(std::move(stalled)) {}

  Result<Item> next(std::chrono::milliseconds /*wait*/) override {
    if (stopped_) return End{};
    if (!gaps_.empty()) {
      Gap gap = gaps_.front();
      gaps_.pop_front();
      return gap;
    }
    if (at_ == entries_.size()) {
      if (!std::exchange(idled_, true)) return Idle{.stalled = stalled_};
      return End{};
    }
    const Entry& entry = entries_[at_++];
    const Record& record = entry.stored.record;
    fields_.clear();
    for (const Field& field : record.fields) {
      fields_.push_back({.name = field.name, .value = field.value});
    }
    ReadRecord read{.stream = entry.stream,
                    .stream_id = entry.id,
                    .shard = ShardNumber(entry.stored.shard),
                    .offset = Offset(entry.stored.offset),
                    .append_time = entry.stored.append_time,
                    .event_time = record.time.value_or(entry.stored.append_time / 1000),
                    .key = std::nullopt,
                    .value = record.value,
                    .level = record.level,
                    .fields = fields_};
    if (record.key) read.key = *record.key;
    return read;
  }
  [[nodiscard]] std::string cursor() const override { return fmt::format("v1:1:0={}", at_); }
  void stop() override { stopped_ = true; }

 private:
  const std::vector<Entry> entries_;
  std::deque<Gap> gaps_;
  const std::optional<Error> stalled_;
  std::vector<FieldView> fields_;
  std::size_t at_ = 0;
  bool idled_ = false;
  bool stopped_ = false;
};

bool wanted(const FakeTail::Entry& entry, const TailOptions& options) {
  const FakeClient::Stored& stored = entry.stored;
  if (options.shard && options.shard->value() != stored.shard) return false;
  if (options.until && stored.append_time >= *options.until) return false;
  if ((level_bit(stored.record.level) & options.level_mask) == 0) return false;
  if (options.start.kind == TailStart::Kind::kTime) {
    return stored.append_time >= options.start.time;
  }
  return options.start.kind != TailStart::Kind::kOffset ||
         stored.offset >= options.start.offset.value();
}

}  // namespace

FakeClient::Stream& FakeClient::make(const std::string& name, std::uint32_t shards) {
  Stream& stream = streams[name];
  stream.description = {.id = StreamId(streams.size()),
                        .name = name,
                        .retention = std::chrono::hours(24 * 7),
                        .retention_bytes = std::nullopt,
                        .created = now_,
                        .shards = {}};
  for (std::uint32_t shard = 0; shard < shards; ++shard) {
    StreamDescription::Shard described;
    described.number = ShardNumber(shard);
    described.group = GroupId(static_cast<std::uint32_t>(streams.size() % 8 + 1));
    stream.description.shards.push_back(described);
  }
  stream.next.resize(shards);
  return stream;
}

AppendAck FakeClient::store(Stream& stream, Record record, std::uint32_t shard) {
  const std::uint64_t offset = stream.next[shard]++;
  stream.description.shards[shard].next = Offset(offset + 1);
  stream.records.push_back(
      {.record = std::move(record), .append_time = ++now_, .offset = offset, .shard = shard});
  return {.stream = stream.description.id,
          .shard = ShardNumber(shard),
          .offset = Offset(offset),
          .append_time = now_};
}

Result<void> FakeClient::append(std::string_view stream, Record record, AppendCallback done) {
  const auto found = streams.find(stream);
  if (found == streams.end()) return no_stream(stream);
  if (refusal) {
    if (auto error = refusal(record)) return std::unexpected(*error);
  }
  std::optional<Error> error = outcome ? outcome(appends_++) : std::nullopt;
  Result<AppendAck> answer = error ? Result<AppendAck>(std::unexpected(*std::move(error)))
                                   : store(found->second, std::move(record), 0);
  answers_.emplace_back([done = std::move(done), answer = std::move(answer)] { done(answer); });
  if (!answers_at_flush) answer_all();
  return {};
}

void FakeClient::answer_all() {
  for (const auto& answer : std::exchange(answers_, {})) answer();
}

void FakeClient::flush() {
  calls.emplace_back("flush");
  answer_all();
}

Result<void> FakeClient::append_view(std::string_view stream, const BorrowedRecord& record,
                                     AppendListener& listener, std::uint64_t tag) {
  const auto found = streams.find(stream);
  if (found == streams.end()) return no_stream(stream);
  Record owned;
  owned.value.assign(record.value.begin(), record.value.end());
  told_.push_back(
      {.listener = &listener, .tag = tag, .ack = store(found->second, std::move(owned), 0)});
  // A listener appends from within its callback: told in turn, not deeper and deeper.
  if (std::exchange(telling_, true)) return {};
  while (!told_.empty()) {
    const Told told = told_.front();
    told_.pop_front();
    const std::array<std::uint64_t, 1> tags = {told.tag};
    told.listener->on_appended(tags, told.ack);
  }
  telling_ = false;
  return {};
}

Result<AppendAck> FakeClient::append_wait(std::string_view stream, Record record) {
  const auto found = streams.find(stream);
  if (found == streams.end()) return no_stream(stream);
  return store(found->second, std::move(record), 0);
}

Result<AppendAck> FakeClient::append_expecting(std::string_view stream, ShardNumber shard,
                                               Offset expected, std::vector<Record> records) {
  const auto found = streams.find(stream);
  if (found == streams.end()) return no_stream(stream);
  if (found->second.next.at(shard.value()) != expected.value()) {
    return fail(Errc::kOffsetMismatch, "the next offset is another one");
  }
  std::optional<AppendAck> first;
  for (Record& record : records) {
    const AppendAck ack = store(found->second, std::move(record), shard.value());
    if (!first) first = ack;
  }
  return *first;
}

Result<std::unique_ptr<Tail>> FakeClient::tail(TailOptions options) {
  std::vector<FakeTail::Entry> entries;
  for (const std::string& name : options.streams) {
    const auto found = streams.find(name);
    if (found == streams.end()) return no_stream(name);
    for (const Stored& stored : found->second.records) {
      FakeTail::Entry entry{.stream = name, .id = found->second.description.id, .stored = stored};
      if (wanted(entry, options)) entries.push_back(std::move(entry));
    }
  }
  std::ranges::sort(entries, {}, [](const auto& entry) { return entry.stored.append_time; });
  if (options.start.kind == TailStart::Kind::kLast && entries.size() > options.start.count) {
    entries.erase(entries.begin(),
                  entries.end() - static_cast<std::ptrdiff_t>(options.start.count));
  }
  if (options.start.kind == TailStart::Kind::kLatest) entries.clear();
  if (options.start.kind == TailStart::Kind::kCursor) {
    calls.push_back("cursor " + options.start.cursor);
  }
  return std::make_unique<FakeTail>(std::move(entries), gaps, stalled);
}

Result<StreamDescription> FakeClient::create_stream(std::string_view name, StreamOptions options) {
  if (streams.contains(name)) {
    return fail(Errc::kAlreadyExists, fmt::format("stream '{}' exists with other settings", name));
  }
  Stream& stream = make(std::string(name), options.shards.value_or(4));
  if (options.retention) stream.description.retention = options.retention;
  if (options.retention && options.retention->count() < 0) stream.description.retention.reset();
  return stream.description;
}

Result<std::vector<StreamDescription>> FakeClient::list_streams() {
  std::vector<StreamDescription> descriptions;
  for (const auto& [name, stream] : streams) descriptions.push_back(stream.description);
  return descriptions;
}

Result<StreamDescription> FakeClient::describe_stream(std::string_view name) {
  const auto found = streams.find(name);
  if (found == streams.end()) return no_stream(name);
  return found->second.description;
}

Result<Offset> FakeClient::trim(std::string_view stream, ShardNumber shard, Offset before) {
  calls.push_back(fmt::format("trim {}/{} {}", stream, shard.value(), before.value()));
  return before;
}

Result<void> FakeClient::delete_stream(std::string_view name) {
  calls.push_back(fmt::format("delete {}", name));
  if (streams.erase(std::string(name)) == 0) return no_stream(name);
  return {};
}

Result<std::string> FakeClient::set_log_level(std::string_view level) {
  return std::exchange(log_level, std::string(level));
}

}  // namespace lignum::cli
