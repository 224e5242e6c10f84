#include "server/shard/shard_state.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "net/proto/commands.pb.h"
#include "raft/entry.h"
#include "raft/error.h"
#include "raft/mutant.h"
#include "raft/payload.h"
#include "raft/types.h"
#include "server/shard/producer_table.h"
#include "server/shard/shard_records.h"
#include "storage/chain.h"
#include "storage/record_batch.h"
#include "storage/state_store.h"

namespace lignum::server {

namespace {

Payload encode(const schema::ShardCommand& command) {
  std::vector<std::byte> bytes(command.ByteSizeLong());
  command.SerializeToArray(bytes.data(), static_cast<int>(bytes.size()));
  return Payload(std::move(bytes));
}

template <class Body>
ShardKey key_of(const Body& body) {
  return {.stream = StreamId(body.stream()), .shard = ShardNumber(body.shard())};
}

}  // namespace

Payload encode_open_shard(const ShardSettings& settings) {
  schema::ShardCommand command;
  schema::OpenShard& open = *command.mutable_open();
  open.set_stream(settings.key.stream.value());
  open.set_shard(settings.key.shard.value());
  open.set_start(settings.start.value());
  open.set_chain_low(settings.chain.low);
  open.set_chain_high(settings.chain.high);
  open.set_retention_ms(settings.retention_ms);
  open.set_retention_bytes(settings.retention_bytes);
  return encode(command);
}

Payload encode_drop_shard(ShardKey shard) {
  schema::ShardCommand command;
  command.mutable_drop()->set_stream(shard.stream.value());
  command.mutable_drop()->set_shard(shard.shard.value());
  return encode(command);
}

Payload encode_trim_shard(ShardKey shard, Offset start) {
  schema::ShardCommand command;
  command.mutable_trim()->set_stream(shard.stream.value());
  command.mutable_trim()->set_shard(shard.shard.value());
  command.mutable_trim()->set_start(start.value());
  return encode(command);
}

std::optional<ShardKey> shard_of_command(Bytes payload) {
  schema::ShardCommand command;
  if (!command.ParseFromArray(payload.data(), static_cast<int>(payload.size()))) {
    return std::nullopt;
  }
  if (command.has_trim()) return key_of(command.trim());
  if (command.has_drop()) return key_of(command.drop());
  return std::nullopt;
}

Result<void> ShardState::apply(const Entry& entry) {
  switch (entry.header.kind) {
    case EntryKind::kBatch:
      return apply_batch(entry);
    case EntryKind::kCommand:
      return apply_command(entry);
    case EntryKind::kNoOp:
    case EntryKind::kMembership:
      return {};
  }
  return fail(Errc::kCorrupt,
              fmt::format("entry {} is of unknown kind {}", entry.header.index.value(),
                          static_cast<unsigned>(entry.header.kind)));
}

Result<void> ShardState::apply_batch(const Entry& entry) {
  const EntryHeader& header = entry.header;
  const auto found = shards_.find(header.shard);
  if (found == shards_.end()) {
    return fail(Errc::kCorrupt, fmt::format("entry {} is a batch of shard {}/{}, which is not open",
                                            header.index.value(), header.shard.stream.value(),
                                            header.shard.shard.value()));
  }
  Shard& shard = found->second;
  if (header.base_offset != shard.next || header.record_count == 0) {
    return fail(
        Errc::kCorrupt,
        fmt::format("entry {} holds {} records from offset {} of shard {}/{}, whose next "
                    "offset is {}",
                    header.index.value(), header.record_count, header.base_offset.value(),
                    header.shard.stream.value(), header.shard.shard.value(), shard.next.value()));
  }
  const auto parsed = parse_batch_header(entry.payload.bytes());
  if (!parsed || parsed->base_offset != static_cast<std::int64_t>(header.base_offset.value()) ||
      parsed->record_count != static_cast<std::int64_t>(header.record_count)) {
    return fail(Errc::kCorrupt, fmt::format("entry {} does not hold the batch its header describes",
                                            header.index.value()));
  }
  shard.chain = shard_chain(
      shard.chain,
      {.base = header.base_offset, .count = header.record_count, .append_time = header.append_time},
      entry.payload.bytes());
  shard.next = shard.next + header.record_count;
  shard.last_append = header.append_time;
  changed_shards_.insert(header.shard);
  const auto producer = parsed->producer();
  if (!producer) return {};
  const auto evicted = shard.producers.record(
      *producer,
      {.first_sequence = producer->base_sequence,
       .last_sequence = sequence_after(producer->base_sequence, header.record_count - 1),
       .base_offset = header.base_offset,
       .append_time = header.append_time,
       .chain = shard.chain},
      header.index);
  changed_producers_.emplace(header.shard, producer->id);
  if (evicted) changed_producers_.emplace(header.shard, *evicted);
  return {};
}

Result<void> ShardState::apply_command(const Entry& entry) {
  schema::ShardCommand command;
  const Bytes bytes = entry.payload.bytes();
  if (!command.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return fail(Errc::kCorrupt,
                fmt::format("entry {} is not a shard command", entry.header.index.value()));
  }
  switch (command.body_case()) {
    case schema::ShardCommand::kOpen:
      open(command);
      return {};
    case schema::ShardCommand::kDrop:
      drop(key_of(command.drop()));
      return {};
    case schema::ShardCommand::kTrim: {
      const auto found = shards_.find(key_of(command.trim()));
      if (found == shards_.end()) return {};
      Shard& shard = found->second;
      const Offset kept = mutant(Mutant::kTrimGoesBack) ? Offset() : shard.start;
      shard.start = std::max(kept, std::min(Offset(command.trim().start()), shard.next));
      changed_shards_.insert(found->first);
      return {};
    }
    case schema::ShardCommand::BODY_NOT_SET:
      break;
  }
  return fail(Errc::kCorrupt, fmt::format("entry {} is a shard command of an unknown kind",
                                          entry.header.index.value()));
}

void ShardState::open(const schema::ShardCommand& command) {
  const schema::OpenShard& body = command.open();
  const auto [at, fresh] = shards_.try_emplace(key_of(body));
  Shard& shard = at->second;
  if (fresh) {
    shard.producers = ProducerTable(sessions_max_);
    shard.start = shard.next = Offset(body.start());
    shard.chain = {.low = body.chain_low(), .high = body.chain_high()};
  }
  shard.retention_ms = body.retention_ms();
  shard.retention_bytes = body.retention_bytes();
  changed_shards_.insert(at->first);
}

void ShardState::drop(ShardKey key) {
  const auto found = shards_.find(key);
  if (found == shards_.end()) return;
  for (const auto& [producer, session] : found->second.producers.sessions()) {
    changed_producers_.emplace(key, producer);
  }
  changed_shards_.insert(key);
  shards_.erase(found);
}

const Shard* ShardState::find(ShardKey key) const {
  const auto found = shards_.find(key);
  return found == shards_.end() ? nullptr : &found->second;
}

std::vector<storage::StateWrite> ShardState::take_changes() {
  std::vector<storage::StateWrite> writes;
  writes.reserve(changed_shards_.size() + changed_producers_.size());
  for (const ShardKey& key : std::exchange(changed_shards_, {})) {
    const Shard* shard = find(key);
    writes.push_back(
        {.key = shard_key_text(key),
         .value = shard == nullptr ? std::nullopt : std::optional(encode_shard_record(*shard))});
  }
  for (const auto& [key, producer] : std::exchange(changed_producers_, {})) {
    if (mutant(Mutant::kSessionsNotCheckpointed)) continue;
    const Shard* shard = find(key);
    const ProducerSession* session = shard == nullptr ? nullptr : shard->producers.find(producer);
    writes.push_back({.key = producer_key_text(key, producer),
                      .value = session == nullptr
                                   ? std::nullopt
                                   : std::optional(encode_producer_record(*session))});
  }
  return writes;
}

void ShardState::for_each(
    const std::function<void(std::string_view, std::string_view)>& visit) const {
  for (const auto& [key, shard] : shards_) {
    visit(shard_key_text(key), encode_shard_record(shard));
    if (mutant(Mutant::kSessionsNotInImage)) continue;
    for (const auto& [producer, session] : shard.producers.sessions()) {
      visit(producer_key_text(key, producer), encode_producer_record(session));
    }
  }
}

Result<void> ShardState::restore(std::string_view key, std::string_view value) {
  TRY_ASSIGN(parsed, parse_state_key(key));
  const auto found = shards_.find(parsed.shard);
  if (!parsed.producer) {
    if (found != shards_.end()) return fail(Errc::kCorrupt, "a shard's record is there twice");
    Shard shard;
    shard.producers = ProducerTable(sessions_max_);
    TRY(decode_shard_record(value, shard));
    shards_.emplace(parsed.shard, std::move(shard));
    return {};
  }
  if (found == shards_.end()) {
    return fail(Errc::kCorrupt, "a producer's record stands without its shard's");
  }
  TRY_ASSIGN(session, decode_producer_record(value));
  return found->second.producers.restore(*parsed.producer, std::move(session));
}

void ShardState::reset() {
  shards_.clear();
  changed_shards_.clear();
  changed_producers_.clear();
}

}  // namespace lignum::server
