#include "tests/net/model_cluster.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "net/proto/client.pb.h"
#include "raft/check.h"
#include "raft/error.h"
#include "raft/payload.h"
#include "raft/types.h"
#include "storage/record_batch.h"
#include "storage/record_batch_reader.h"

namespace lignum::net {

StreamId ModelCluster::create(const std::string& name, std::uint32_t shards, std::uint32_t groups) {
  const StreamId id(next_stream_++);
  streams_.emplace(id, Stream{.name = name, .shards = shards});
  for (std::uint32_t i = 0; i < shards; ++i) {
    Shard shard;
    shard.group = GroupId(1 + (i + static_cast<std::uint32_t>(id.value())) % groups);
    shards_.emplace(ShardKey{.stream = id, .shard = ShardNumber(i)}, std::move(shard));
  }
  return id;
}

void ModelCluster::remove(const std::string& name) {
  std::erase_if(streams_, [&](const auto& item) {
    if (item.second.name != name) {
      return false;
    }
    std::erase_if(shards_, [&](const auto& shard) { return shard.first.stream == item.first; });
    return true;
  });
}

TimeUs ModelCluster::stamp(GroupId group) {
  TimeUs& last = closed_[group];
  last = std::max(wall_, last + 1);
  return last;
}

ModelCluster::Answer ModelCluster::failure(const wire::Request& request, Errc code) {
  Answer answer;
  answer.response.set_id(request.id());
  answer.response.mutable_failure()->set_code(static_cast<std::uint32_t>(code));
  answer.response.mutable_failure()->set_message("model");
  return answer;
}

void ModelCluster::describe(StreamId id, wire::StreamInfo& info) {
  const Stream& stream = streams_.at(id);
  info.set_id(id.value());
  info.set_name(stream.name);
  info.set_retention_ms(-1);
  info.set_retention_bytes(-1);
  for (std::uint32_t i = 0; i < stream.shards; ++i) {
    wire::ShardPlacement& placement = *info.add_shards();
    placement.set_shard(i);
    placement.set_group(shard(id, i).group.value());
  }
}

void ModelCluster::resolve(const wire::ResolveRequest& request, wire::ResolveReply& reply) {
  int left = request.names_size();
  for (const std::string& name : request.names()) {
    if (reply.streams_size() == page_) {
      break;
    }
    --left;
    for (const auto& [id, stream] : streams_) {
      if (stream.name == name) {
        describe(id, *reply.add_streams());
      }
    }
  }
  reply.set_names_left(static_cast<std::uint32_t>(left));
}

std::optional<ModelCluster::Answer> ModelCluster::handle(const wire::Request& request,
                                                         Bytes payload) {
  Answer answer;
  answer.response.set_id(request.id());
  if (request.has_hello()) {
    answer.response.mutable_hello()->set_protocol_version(1);
    return answer;
  }
  if (request.has_routing()) {
    answer.response.mutable_routing()->set_epoch(1);
    return answer;
  }
  if (request.has_init_producer()) {
    answer.response.mutable_init_producer()->set_producer_id(next_producer_++);
    return answer;
  }
  if (request.has_resolve()) {
    resolve(request.resolve(), *answer.response.mutable_resolve());
    return answer;
  }
  const auto place = [](const auto& body) {
    return ShardKey{.stream = StreamId(body.stream()), .shard = ShardNumber(body.shard())};
  };
  const ShardKey key = request.has_append() ? place(request.append())
                       : request.has_read() ? place(request.read())
                                            : place(request.offsets());
  const auto found = shards_.find(key);
  if (found == shards_.end()) {
    return failure(request, Errc::kNotFound);
  }
  if (request.has_read()) {
    return read(found->second, request);
  }
  answer.response = request.has_append() ? append(found->second, request, payload)
                                         : offsets(found->second, request);
  return answer;
}

Offset ModelCluster::store(Shard& shard, std::vector<std::byte> batch,
                           const BatchSummary& summary) {
  const Offset base = shard.next;
  patch_base_offset(batch, base);
  shard.next = base + summary.record_count;
  shard.batches.push_back({.base = base,
                           .count = summary.record_count,
                           .append_time = stamp(shard.group),
                           .level_mask = summary.level_mask,
                           .bytes = std::move(batch)});
  return base;
}

void ModelCluster::append(StreamId stream, std::uint32_t number, std::vector<std::byte> batch) {
  const auto summary = validate_batch(batch);
  CHECK(summary.has_value());
  store(shard(stream, number), std::move(batch), *summary);
}

wire::Response ModelCluster::append(Shard& shard, const wire::Request& request, Bytes payload) {
  wire::Response response;
  response.set_id(request.id());
  const auto refuse = [&](Errc code) { return failure(request, code).response; };
  const auto summary = validate_batch(payload);
  if (!summary) {
    return refuse(summary.error().code());
  }
  const ProducerStamp stamp = *summary->producer;
  auto session = shard.sessions.find(stamp.id);
  const bool forgotten = shard.evicted && stamp.id <= *shard.evicted;
  if (session == shard.sessions.end() && (stamp.base_sequence != 0 || forgotten)) {
    return refuse(Errc::kUnknownProducer);
  }
  if (session != shard.sessions.end() && stamp.epoch < session->second.epoch) {
    return refuse(Errc::kProducerFenced);
  }
  if (session != shard.sessions.end() && stamp.epoch > session->second.epoch) {
    if (stamp.base_sequence != 0) return refuse(Errc::kOutOfSequence);
  } else if (session != shard.sessions.end()) {
    for (const auto& done : session->second.window) {
      if (done.first == stamp.base_sequence && done.count == summary->record_count) {
        response.mutable_append()->set_base_offset(done.base.value());
        response.mutable_append()->set_append_time_us(done.time);
        response.mutable_append()->set_duplicate(true);
        return response;
      }
    }
    if (session->second.next_sequence != stamp.base_sequence) {
      return refuse(Errc::kOutOfSequence);
    }
  }
  if (request.append().has_expected_offset() &&
      Offset(request.append().expected_offset()) != shard.next) {
    return refuse(Errc::kOffsetMismatch);
  }
  auto& state = shard.sessions[stamp.id];
  if (stamp.epoch != state.epoch) state = {};
  state.epoch = stamp.epoch;
  const Offset base = store(shard, {payload.begin(), payload.end()}, *summary);
  state.next_sequence = static_cast<std::int32_t>(
      (static_cast<std::uint64_t>(stamp.base_sequence) + summary->record_count) & 0x7FFFFFFFU);
  state.window.push_back({.first = stamp.base_sequence,
                          .count = summary->record_count,
                          .base = base,
                          .time = shard.batches.back().append_time});
  if (state.window.size() > 5) {
    state.window.pop_front();
  }
  response.mutable_append()->set_base_offset(base.value());
  response.mutable_append()->set_append_time_us(shard.batches.back().append_time);
  return response;
}

std::optional<ModelCluster::Answer> ModelCluster::refuse_read(const Shard& shard,
                                                              const wire::Request& request) {
  const Offset from(request.read().from_offset());
  if (from < shard.start || from > shard.next) {
    Answer refused =
        failure(request, from < shard.start ? Errc::kTrimmed : Errc::kOffsetOutOfRange);
    refused.response.mutable_failure()->set_start_offset(shard.start.value());
    refused.response.mutable_failure()->set_next_offset(shard.next.value());
    return refused;
  }
  if (shard.damaged_from <= from && from < shard.damaged_to) {
    Answer refused = failure(request, Errc::kCorrupt);
    refused.response.mutable_failure()->set_message("file: byte 7: it fails its checksum");
    refused.response.mutable_failure()->set_readable_offset(shard.damaged_to.value());
    return refused;
  }
  return std::nullopt;
}

std::optional<ModelCluster::Answer> ModelCluster::read(Shard& shard, const wire::Request& request) {
  const wire::ReadRequest& body = request.read();
  const Offset from(body.from_offset());
  if (auto refused = refuse_read(shard, request)) return refused;
  if (body.has_close_us() && closed_[shard.group] < body.close_us()) {
    if (body.close_us() > wall_ + 500'000) {
      return failure(request, Errc::kSkew);
    }
    closed_[shard.group] = body.close_us();  // a mark
  }
  if (from == shard.next && body.wait_ms() > 0 && !body.has_close_us()) {
    return std::nullopt;
  }
  Answer answer;
  answer.response.set_id(request.id());
  wire::ReadReply& reply = *answer.response.mutable_read();
  std::vector<std::byte> bytes;
  Offset next = from;
  for (const Batch& batch : shard.batches) {
    if (batch.base + batch.count <= from) {
      continue;
    }
    if (shard.damaged_from <= batch.base && batch.base < shard.damaged_to) {
      break;
    }
    if (!bytes.empty() && bytes.size() + batch.bytes.size() > body.bytes_max()) {
      break;
    }
    next = batch.base + batch.count;
    if (body.level_mask() != 0 && (batch.level_mask & body.level_mask()) == 0) {
      continue;
    }
    wire::BatchInfo& info = *reply.add_batches();
    info.set_base_offset(batch.base.value());
    info.set_record_count(batch.count);
    info.set_append_time_us(batch.append_time);
    info.set_level_mask(batch.level_mask);
    info.set_bytes(static_cast<std::uint32_t>(batch.bytes.size()));
    bytes.insert(bytes.end(), batch.bytes.begin(), batch.bytes.end());
  }
  reply.set_next_offset(next.value());
  reply.set_start_offset(shard.start.value());
  reply.set_watermark(shard.next.value());
  reply.set_closed_time_us(closed_[shard.group]);
  answer.payload = Payload(std::move(bytes));
  return answer;
}

wire::Response ModelCluster::offsets(Shard& shard, const wire::Request& request) {
  wire::Response response;
  response.set_id(request.id());
  wire::OffsetsReply& reply = *response.mutable_offsets();
  reply.set_start_offset(shard.start.value());
  reply.set_watermark(shard.next.value());
  reply.set_closed_time_us(closed_[shard.group]);
  if (request.offsets().has_at_us()) {
    for (const Batch& batch : shard.batches) {
      if (batch.append_time >= request.offsets().at_us() &&
          batch.base + batch.count > shard.start) {
        reply.set_offset(std::max(batch.base, shard.start).value());
        break;
      }
    }
  }
  return response;
}

void ModelCluster::trim(StreamId stream, std::uint32_t number, Offset before) {
  Shard& target = shard(stream, number);
  target.start = std::max(target.start, std::min(before, target.next));
  std::erase_if(target.batches,
                [&](const Batch& batch) { return batch.base + batch.count <= target.start; });
}

void ModelCluster::evict(StreamId stream, std::uint32_t number) {
  Shard& target = shard(stream, number);
  for (const auto& [id, session] : target.sessions) {
    target.evicted = std::max(target.evicted.value_or(id), id);
  }
  target.sessions.clear();
}

std::vector<std::string> ModelCluster::values(StreamId stream, std::uint32_t number) {
  std::vector<std::string> values;
  for (const Batch& batch : shard(stream, number).batches) {
    auto reader = BatchReader::open(batch.bytes);
    CHECK(reader.has_value());
    for (auto record = reader->next(); record && *record != nullptr; record = reader->next()) {
      std::string value;
      for (const std::byte byte : *(*record)->value) {
        value += static_cast<char>(byte);
      }
      values.push_back(std::move(value));
    }
  }
  return values;
}

}  // namespace lignum::net
