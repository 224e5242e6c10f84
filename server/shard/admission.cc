#include "server/shard/admission.h"

#include <fmt/format.h>

#include <optional>
#include <utility>
#include <variant>

#include "raft/check.h"
#include "raft/entry.h"
#include "raft/error.h"
#include "raft/types.h"
#include "server/shard/producer_table.h"
#include "server/shard/shard_state.h"

namespace lignum::server {

void Admission::begin() {
  in_flight_.clear();
  active_ = true;
}

void Admission::end() {
  in_flight_.clear();
  active_ = false;
}

const Admission::Lane* Admission::lane_of(ShardKey shard) const {
  const auto found = in_flight_.find(shard);
  // Never an empty one: applied() removes it.
  return found == in_flight_.end() ? nullptr : &found->second;
}

AdmissionVerdict Admission::decide(const AdmissionRequest& request) const {
  if (!active_) return Refused{.error = Error(Errc::kNotLeader, "this replica does not admit")};
  const Shard* shard = state_.find(request.shard);
  if (shard == nullptr) {
    return Refused{.error =
                       Error(Errc::kUnavailable, fmt::format("shard {}/{} is not open here; retry",
                                                             request.shard.stream.value(),
                                                             request.shard.shard.value()))};
  }
  const Lane* lane = lane_of(request.shard);
  const Offset next = lane == nullptr
                          ? shard->next
                          : lane->queue.back().base_offset + lane->queue.back().record_count;
  // A repeated conditional append is a duplicate first: its own success moved the offset.
  AdmissionVerdict verdict = decide_producer(*shard, lane, request, next);
  if (!std::holds_alternative<Admitted>(verdict)) return verdict;
  if (request.expected_offset && *request.expected_offset != next) {
    return Refused{
        .error = Error(Errc::kOffsetMismatch,
                       fmt::format("offset {} was expected; the shard's next offset is {}",
                                   request.expected_offset->value(), next.value())),
        .rests_on = lane == nullptr ? std::nullopt : std::optional(lane->queue.back().id)};
  }
  return verdict;
}

AdmissionVerdict Admission::decide_producer(const Shard& shard, const Lane* lane,
                                            const AdmissionRequest& request, Offset next) const {
  if (!request.producer) return Admitted{.base_offset = next};
  // The session as it will be once everything in flight is applied.
  ProducerSession session;
  if (const ProducerSession* applied = shard.producers.find(request.producer->id)) {
    session = *applied;
  }
  std::optional<LogId> rests_on;
  const std::deque<InFlight>* own = nullptr;
  if (lane != nullptr) {
    const auto found = lane->by_producer.find(request.producer->id);
    if (found != lane->by_producer.end()) own = &found->second;
  }
  for (const InFlight& batch : own != nullptr ? *own : std::deque<InFlight>()) {
    if (*batch.producer == *request.producer && batch.record_count == request.record_count) {
      return DuplicateInFlight{.original = batch.id};
    }
    if (batch.producer->epoch != session.epoch) session.batches.clear();
    session.epoch = batch.producer->epoch;
    session.batches.push_back(
        {.first_sequence = batch.producer->base_sequence,
         .last_sequence = sequence_after(batch.producer->base_sequence, batch.record_count - 1),
         .base_offset = batch.base_offset,
         .append_time = 0,
         .chain = {}});
    rests_on = batch.id;
  }
  const ProducerVerdict verdict = judge_producer(session.batches.empty() ? nullptr : &session,
                                                 *request.producer, request.record_count);
  if (const auto* duplicate = std::get_if<ProducerDuplicate>(&verdict)) {
    return DuplicateApplied{.original = duplicate->original};
  }
  if (const auto* error = std::get_if<Error>(&verdict)) {
    return Refused{.error = *error, .rests_on = rests_on};
  }
  if (own != nullptr && own->size() >= ProducerSession::kBatchesMax) {
    return Refused{.error = Error(Errc::kOverloaded,
                                  fmt::format("producer {} has {} unacknowledged batches in this "
                                              "shard; no more are taken",
                                              request.producer->id.value(), own->size()))};
  }
  return Admitted{.base_offset = next};
}

void Admission::accepted(const AdmissionRequest& request, Offset base_offset, LogId id) {
  CHECK(active_);
  Lane& lane = in_flight_[request.shard];
  std::deque<InFlight>& queue = lane.queue;
  CHECK(queue.empty() || queue.back().base_offset + queue.back().record_count == base_offset);
  queue.push_back({.id = id,
                   .base_offset = base_offset,
                   .record_count = request.record_count,
                   .producer = request.producer});
  if (request.producer) lane.by_producer[request.producer->id].push_back(queue.back());
}

void Admission::applied(const Entry& entry) {
  if (!active_ || entry.header.kind != EntryKind::kBatch) return;
  const auto found = in_flight_.find(entry.header.shard);
  if (found == in_flight_.end()) return;
  Lane& lane = found->second;
  CHECK(!lane.queue.empty());
  const InFlight& oldest = lane.queue.front();
  CHECK(oldest.id == entry.header.id());
  if (oldest.producer) {
    const auto own = lane.by_producer.find(oldest.producer->id);
    CHECK(own != lane.by_producer.end() && own->second.front().id == oldest.id);
    own->second.pop_front();
    if (own->second.empty()) lane.by_producer.erase(own);
  }
  lane.queue.pop_front();
  if (lane.queue.empty()) in_flight_.erase(found);
}

}  // namespace lignum::server
