#include "server/shard/admission.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <span>
#include <utility>
#include <variant>

#include "raft/check.h"
#include "raft/entry.h"
#include "raft/error.h"
#include "raft/mutant.h"
#include "raft/types.h"
#include "server/shard/producer_table.h"
#include "server/shard/shard_state.h"

namespace lignum::server {

void Admission::begin() {
  CHECK(!active_ && in_flight_.empty() && dropping_.empty());
  active_ = true;
}

void Admission::end() {
  in_flight_.clear();
  dropping_.clear();
  active_ = false;
}

const Admission::Lane* Admission::lane_of(ShardKey shard) const {
  const auto found = in_flight_.find(shard);
  // Never an empty one: applied() removes it.
  return found == in_flight_.end() ? nullptr : &found->second;
}

std::span<const Admission::Stamped> Admission::Lane::of(ProducerId producer) const {
  const auto found = by_producer.find(producer);
  return found == by_producer.end() ? std::span<const Stamped>() : found->second;
}

AdmissionVerdict Admission::decide(const AdmissionRequest& request) const {
  if (!active_) return Refused{.error = Error(Errc::kNotLeader, "this replica does not admit")};
  CHECK(request.record_count > 0);
  const Shard* shard = state_.find(request.shard);
  // A batch behind the drop in the log could not be applied, and would halt the replica.
  if (shard == nullptr || dropping_.contains(request.shard)) {
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
  const Offset end = mutant(Mutant::kExpectedOffsetOfApplied) ? shard->next : next;
  if (request.expected_offset && *request.expected_offset != end) {
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
  const std::span<const Stamped> own =
      lane == nullptr ? std::span<const Stamped>() : lane->of(request.producer->id);
  for (const auto& [batch, stamp] : own) {
    if (stamp == *request.producer && batch.record_count == request.record_count) {
      if (mutant(Mutant::kInFlightForgotten)) return Admitted{.base_offset = next};
      return DuplicateInFlight{.original = batch.id};
    }
    if (stamp.epoch != session.epoch) session.batches.clear();
    session.epoch = stamp.epoch;
    session.batches.push_back(
        {.first_sequence = stamp.base_sequence,
         .last_sequence = sequence_after(stamp.base_sequence, batch.record_count - 1),
         .base_offset = batch.base_offset,
         .append_time = 0,
         .chain = {}});
    rests_on = batch.id;
  }
  const ProducerVerdict verdict =
      judge_producer(session.batches.empty() ? nullptr : &session, shard.producers.evicted(),
                     *request.producer, request.record_count);
  if (const auto* duplicate = std::get_if<ProducerDuplicate>(&verdict)) {
    return DuplicateApplied{.original = duplicate->original};
  }
  if (const auto* error = std::get_if<Error>(&verdict)) {
    return Refused{.error = *error, .rests_on = rests_on};
  }
  if (own.size() >= ProducerSession::kBatchesMax) {
    return Refused{.error = Error(Errc::kOverloaded,
                                  fmt::format("producer {} has {} unacknowledged batches in this "
                                              "shard; no more are taken",
                                              request.producer->id.value(), own.size()))};
  }
  return Admitted{.base_offset = next};
}

void Admission::accepted(const AdmissionRequest& request, Offset base_offset, LogId id) {
  CHECK(active_);
  Lane& lane = in_flight_[request.shard];
  std::deque<InFlight>& queue = lane.queue;
  CHECK(queue.empty() || queue.back().base_offset + queue.back().record_count == base_offset);
  InFlight batch{.id = id, .base_offset = base_offset, .record_count = request.record_count};
  if (request.producer) {
    batch.producer = request.producer->id;
    lane.by_producer[request.producer->id].push_back({.batch = batch, .stamp = *request.producer});
  }
  queue.push_back(batch);
}

void Admission::dropping(ShardKey shard, LogId id) {
  CHECK(active_);
  dropping_.insert_or_assign(shard, id);
}

void Admission::applied(const Entry& entry) {
  if (!active_) return;
  if (entry.header.kind == EntryKind::kBatch) retire(entry);
  if (entry.header.kind == EntryKind::kCommand) {
    const auto drop =
        std::find_if(dropping_.begin(), dropping_.end(),
                     [id = entry.header.id()](const auto& each) { return each.second == id; });
    if (drop != dropping_.end()) dropping_.erase(drop);
  }
}

void Admission::retire(const Entry& entry) {
  const auto found = in_flight_.find(entry.header.shard);
  // What a leader admits it sees applied in the same order.
  CHECK(found != in_flight_.end());
  Lane& lane = found->second;
  CHECK(!lane.queue.empty());
  const InFlight& oldest = lane.queue.front();
  CHECK(oldest.id == entry.header.id());
  if (oldest.producer) {
    const auto own = lane.by_producer.find(*oldest.producer);
    CHECK(own != lane.by_producer.end() && own->second.front().batch.id == oldest.id);
    own->second.erase(own->second.begin());
    if (own->second.empty()) lane.by_producer.erase(own);
  }
  lane.queue.pop_front();
  if (lane.queue.empty()) in_flight_.erase(found);
}

}  // namespace lignum::server
