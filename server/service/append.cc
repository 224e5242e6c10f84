#include "server/service/append.h"

#include <expected>
#include <memory>
#include <optional>
#include <utility>

#include <fmt/format.h>
#include "net/proto/client.pb.h"
#include "raft/types.h"
#include "server/group/data_group.h"
#include "server/group/requests.h"
#include "server/router.h"
#include "server/service/call.h"
#include "server/service/lookup.h"
#include "storage/record_batch.h"

namespace lignum::server {

namespace {

Answer encode(const AppendOutcome& outcome) {
  Answer answer;
  wire::AppendReply& reply = *answer.response.mutable_append();
  reply.set_base_offset(outcome.base_offset.value());
  reply.set_append_time_us(outcome.append_time);
  reply.set_shard_chain(chain_bytes(outcome.shard_chain));
  reply.set_duplicate(outcome.duplicate);
  return answer;
}

}  // namespace

void serve_append(const Router& router, Call call, Respond respond) {
  const wire::AppendRequest& wanted = call.request.append();
  const ShardKey shard{.stream = StreamId(wanted.stream()), .shard = ShardNumber(wanted.shard())};
  const auto group = find_group(router, shard);
  if (!group) return respond(failure(group.error()));
  const auto summary = validate_batch(call.payload.bytes());
  if (!summary) return respond(failure(summary.error()));
  if (const auto& producer = summary->producer; producer) {
    const auto known = check_producer(router, producer->id);
    if (!known) return respond(failure(known.error()));
  }
  AppendRequest request{.shard = shard,
                        .batch = std::move(call.payload),
                        .summary = *summary,
                        .expected_offset = std::nullopt,
                        .deadline_monotonic_us = call.deadline_monotonic_us};
  if (wanted.has_expected_offset()) request.expected_offset = Offset(wanted.expected_offset());
  // Shared with the refusal below: exactly one of the two ways uses it.
  auto back = std::make_shared<Respond>(std::move(respond));
  const auto sent =
      router.on_group(*group, [request = std::move(request), back](DataGroup& data_group) mutable {
        data_group.append(std::move(request),
                          [back](const std::expected<AppendOutcome, Refusal>& outcome) {
                            (*back)(outcome ? encode(*outcome) : failure(outcome.error()));
                          });
      });
  if (!sent) (*back)(failure(sent.error()));
}

}  // namespace lignum::server
