#include "server/shard/shard_records.h"

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "net/proto/commands.pb.h"
#include "raft/error.h"
#include "raft/mutant.h"
#include "raft/payload.h"
#include "raft/types.h"
#include "server/shard/producer_table.h"
#include "server/shard/shard_state.h"
#include "storage/byte_order.h"

namespace lignum::server {

namespace {

constexpr std::size_t kShardKeyBytes = 13;
constexpr std::size_t kProducerKeyBytes = 21;
constexpr std::size_t kShardAt = 9;
constexpr std::size_t kProducerAt = 13;

std::string key_text(std::size_t bytes, ShardKey key) {
  std::string text(bytes, '\0');
  text[0] = 's';
  const auto raw = std::as_writable_bytes(std::span(text));
  store_be<std::uint64_t>(raw, 1, key.stream.value());
  store_be<std::uint32_t>(raw, kShardAt, key.shard.value());
  return text;
}

constexpr std::uint32_t kSequenceMax = std::numeric_limits<std::int32_t>::max();

}  // namespace

std::string shard_key_text(ShardKey key) { return key_text(kShardKeyBytes, key); }

std::string producer_key_text(ShardKey key, ProducerId producer) {
  std::string text = key_text(kProducerKeyBytes, key);
  store_be<std::int64_t>(std::as_writable_bytes(std::span(text)), kProducerAt, producer.value());
  return text;
}

Result<StateKey> parse_state_key(std::string_view text) {
  const Bytes raw = std::as_bytes(std::span(text));
  const bool is_producer = text.size() == kProducerKeyBytes;
  if ((text.size() != kShardKeyBytes && !is_producer) || text[0] != 's')
    return fail(Errc::kCorrupt, "a state key has an unknown form");
  StateKey key{.shard = {.stream = StreamId(load_be<std::uint64_t>(raw, 1)),
                         .shard = ShardNumber(load_be<std::uint32_t>(raw, kShardAt))},
               .producer = std::nullopt};
  if (!is_producer) return key;
  const auto producer = load_be<std::int64_t>(raw, kProducerAt);
  // Big-endian bytes sort as numbers only where there is no sign.
  if (producer < 0) return fail(Errc::kCorrupt, "a state key names a negative producer");
  key.producer = ProducerId(producer);
  return key;
}

std::string encode_shard_record(const Shard& shard) {
  schema::ShardRecord record;
  record.set_start(shard.start.value());
  record.set_next(shard.next.value());
  record.set_chain_low(shard.chain.low);
  record.set_chain_high(shard.chain.high);
  record.set_last_append_us(shard.last_append);
  record.set_retention_ms(shard.retention_ms);
  record.set_retention_bytes(shard.retention_bytes);
  const auto evicted = shard.producers.evicted();
  if (evicted && !mutant(Mutant::kEvictionsNotKept)) {
    record.set_evicted_producer(evicted->value());
  }
  return record.SerializeAsString();
}

Result<void> decode_shard_record(std::string_view bytes, Shard& shard) {
  schema::ShardRecord record;
  if (!record.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return fail(Errc::kCorrupt, "a shard's record cannot be read");
  }
  if (record.start() > record.next()) {
    return fail(Errc::kCorrupt, "a shard's record begins after its end");
  }
  if (record.has_evicted_producer() && record.evicted_producer() < 0) {
    return fail(Errc::kCorrupt, "a shard's record names a negative producer");
  }
  shard.start = Offset(record.start());
  shard.next = Offset(record.next());
  shard.chain = {.low = record.chain_low(), .high = record.chain_high()};
  shard.last_append = record.last_append_us();
  shard.retention_ms = record.retention_ms();
  shard.retention_bytes = record.retention_bytes();
  if (record.has_evicted_producer()) {
    shard.producers.restore_evicted(ProducerId(record.evicted_producer()));
  }
  return {};
}

std::string encode_producer_record(const ProducerSession& session) {
  schema::ProducerRecord record;
  record.set_epoch(session.epoch);
  record.set_last_index(session.last_index.value());
  for (const ProducedBatch& batch : session.batches) {
    schema::ProducerBatch& out = *record.add_batches();
    out.set_first_sequence(static_cast<std::uint32_t>(batch.first_sequence));
    out.set_last_sequence(static_cast<std::uint32_t>(batch.last_sequence));
    out.set_base_offset(batch.base_offset.value());
    out.set_append_time_us(batch.append_time);
    out.set_chain_low(batch.chain.low);
    out.set_chain_high(batch.chain.high);
  }
  return record.SerializeAsString();
}

Result<ProducerSession> decode_producer_record(std::string_view bytes) {
  schema::ProducerRecord record;
  if (!record.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return fail(Errc::kCorrupt, "a producer's record cannot be read");
  }
  const auto count = static_cast<std::size_t>(record.batches_size());
  if (count == 0 || count > ProducerSession::kBatchesMax || record.epoch() < 0 ||
      record.epoch() > std::numeric_limits<std::int16_t>::max()) {
    return fail(Errc::kCorrupt, "a producer's record is out of bounds");
  }
  ProducerSession session;
  session.epoch = static_cast<std::int16_t>(record.epoch());
  session.last_index = Index(record.last_index());
  for (const schema::ProducerBatch& batch : record.batches()) {
    if (batch.first_sequence() > kSequenceMax || batch.last_sequence() > kSequenceMax) {
      return fail(Errc::kCorrupt, "a producer's sequence number is out of bounds");
    }
    session.batches.push_back({.first_sequence = static_cast<std::int32_t>(batch.first_sequence()),
                               .last_sequence = static_cast<std::int32_t>(batch.last_sequence()),
                               .base_offset = Offset(batch.base_offset()),
                               .append_time = batch.append_time_us(),
                               .chain = {.low = batch.chain_low(), .high = batch.chain_high()}});
  }
  return session;
}

}  // namespace lignum::server
