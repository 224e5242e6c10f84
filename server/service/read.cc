#include "server/service/read.h"

#include <algorithm>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <utility>

#include "net/proto/client.pb.h"
#include "raft/entry.h"
#include "raft/types.h"
#include "server/group/data_group.h"
#include "server/group/requests.h"
#include "server/router.h"
#include "server/service/call.h"
#include "server/service/lookup.h"

namespace lignum::server {

namespace {

Answer encode(ReadOutcome outcome) {
  Answer answer;
  wire::ReadReply& reply = *answer.response.mutable_read();
  answer.payload.reserve(outcome.batches.size());
  for (Entry& entry : outcome.batches) {
    wire::BatchInfo& info = *reply.add_batches();
    info.set_base_offset(entry.header.base_offset.value());
    info.set_record_count(entry.header.record_count);
    info.set_append_time_us(entry.header.append_time);
    info.set_level_mask(entry.header.level_mask);
    info.set_bytes(static_cast<std::uint32_t>(entry.payload.size()));
    answer.payload.push_back(std::move(entry.payload));
  }
  reply.set_next_offset(outcome.next.value());
  reply.set_start_offset(outcome.bounds.start.value());
  reply.set_watermark(outcome.bounds.next.value());
  reply.set_closed_time_us(outcome.closed_time);
  return answer;
}

Answer encode(const OffsetsOutcome& outcome) {
  Answer answer;
  wire::OffsetsReply& reply = *answer.response.mutable_offsets();
  reply.set_start_offset(outcome.bounds.start.value());
  reply.set_watermark(outcome.bounds.next.value());
  if (outcome.offset) reply.set_offset(outcome.offset->value());
  reply.set_closed_time_us(outcome.closed_time);
  return answer;
}

}  // namespace

void serve_read(const Router& router, const Call& call, Respond respond) {
  const wire::ReadRequest& wanted = call.request.read();
  const ShardKey shard{.stream = StreamId(wanted.stream()), .shard = ShardNumber(wanted.shard())};
  const auto group = find_group(router, shard);
  if (!group) return respond(failure(group.error()));
  const std::int64_t waits_until =
      router.now().monotonic_us + std::int64_t{wanted.wait_ms()} * 1000;
  ReadRequest request{.shard = shard,
                      .from = Offset(wanted.from_offset()),
                      .bytes_max = wanted.bytes_max(),
                      .deadline_monotonic_us = std::min(waits_until, call.deadline_monotonic_us),
                      .level_mask = wanted.level_mask() == 0 ? kLevelMaskAll : wanted.level_mask(),
                      .close = std::nullopt,
                      .linearizable = wanted.linearizable(),
                      .confirm_by_monotonic_us = call.deadline_monotonic_us};
  if (wanted.has_close_us()) request.close = wanted.close_us();
  auto back = std::make_shared<Respond>(std::move(respond));
  const auto sent = router.on_group(*group, [request, back](DataGroup& data_group) {
    data_group.read(request, [back](std::expected<ReadOutcome, Refusal> outcome) {
      (*back)(outcome ? encode(std::move(*outcome)) : failure(outcome.error()));
    });
  });
  if (!sent) (*back)(failure(sent.error()));
}

void serve_offsets(const Router& router, const Call& call, Respond respond) {
  const wire::OffsetsRequest& wanted = call.request.offsets();
  OffsetsRequest request{
      .shard = {.stream = StreamId(wanted.stream()), .shard = ShardNumber(wanted.shard())},
      .at = std::nullopt,
      .linearizable = wanted.linearizable(),
      .confirm_by_monotonic_us = call.deadline_monotonic_us};
  if (wanted.has_at_us()) request.at = wanted.at_us();
  const auto group = find_group(router, request.shard);
  if (!group) return respond(failure(group.error()));
  auto back = std::make_shared<Respond>(std::move(respond));
  const auto sent = router.on_group(*group, [request, back](DataGroup& data_group) {
    data_group.offsets(request, [back](const std::expected<OffsetsOutcome, Refusal>& outcome) {
      (*back)(outcome ? encode(*outcome) : failure(outcome.error()));
    });
  });
  if (!sent) (*back)(failure(sent.error()));
}

}  // namespace lignum::server
