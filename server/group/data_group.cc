#include "server/group/data_group.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/format.h>
#include "raft/buggify.h"
#include "raft/check.h"
#include "raft/entry.h"
#include "raft/error.h"
#include "raft/mutant.h"
#include "raft/payload.h"
#include "raft/types.h"
#include "server/group/checkpoints.h"
#include "server/group/ports.h"
#include "server/group/replica.h"
#include "server/group/requests.h"
#include "server/group/retainer.h"
#include "server/group/upkeep.h"
#include "server/group/waiters.h"
#include "server/shard/admission.h"
#include "server/shard/producer_table.h"
#include "server/shard/shard_state.h"
#include "storage/crc32c.h"
#include "storage/log.h"
#include "storage/record_batch.h"

namespace lignum::server {

namespace {

constexpr std::size_t kCopyBelowBytes = std::size_t{16} << 10;

// The batch with its base offset filled in. A small batch is copied, so that it does not keep the
// connection's read buffer alive; a large one is the request's own buffer and is patched in place.
Payload with_base_offset(const Payload& batch, Offset base) {
  if (batch.size() < kCopyBelowBytes) {
    std::vector<std::byte> copy(batch.bytes().begin(), batch.bytes().end());
    patch_base_offset(copy, base);
    return Payload(std::move(copy));
  }
  // The bytes lie in a buffer that was made for this request and that nobody else looks at.
  auto* const bytes = const_cast<std::byte*>(batch.bytes().data());
  patch_base_offset(std::span(bytes, batch.size()), base);
  return batch;
}

Refusal not_applied(Fate fate) {
  if (fate == Fate::kLost || mutant(Mutant::kUnknownCalledFailed)) {
    return {.error = Error(Errc::kNotLeader, "the entry was replaced and never happened")};
  }
  return {.error = Error(Errc::kUnknownOutcome,
                         "it was proposed, and whether it was committed is not known")};
}

Error not_open(ShardKey shard) {
  return {Errc::kUnavailable, fmt::format("shard {}/{} is not open here yet; retry",
                                          shard.stream.value(), shard.shard.value())};
}

AdmissionRequest admission_request(const AppendRequest& request) {
  return {.shard = request.shard,
          .record_count = request.summary.record_count,
          .producer = request.summary.producer,
          .expected_offset = request.expected_offset};
}

AppendOutcome duplicate_of(const ProducedBatch& original) {
  return {.base_offset = original.base_offset,
          .append_time = original.append_time,
          .shard_chain = original.chain,
          .duplicate = true};
}

}  // namespace

DataGroup::DataGroup(ReplicaParts parts, const AppliedMark& applied,
                     std::unique_ptr<ShardState> state, Ports& ports, std::function<void()> leads,
                     std::function<void()> damaged)
    : ports_(ports),
      leads_(std::move(leads)),
      damaged_(std::move(damaged)),
      state_(std::move(state)),
      replica_(std::move(parts), applied, *state_, ports, *this),
      admission_(*state_),
      reader_(replica_, ports,
              [this](ShardKey key) -> std::optional<ShardBounds> {
                const Shard* shard = state_->find(key);
                if (shard == nullptr) return std::nullopt;
                return ShardBounds{.start = shard->start, .next = shard->next};
              }),
      retainer_(replica_, *state_, [this](ShardKey shard, Offset start) {
        // A trim that cannot be proposed now is found again by a later tick.
        const auto proposed =
            propose_command(encode_trim_shard(shard, start), EntryUse::kGivesSpaceBack);
        static_cast<void>(proposed);
      }) {}

DataGroup::~DataGroup() = default;

void DataGroup::start(Task settled) {
  settled_ = std::move(settled);
  replica_.start();
  replica_.wake_by(ports_.now().monotonic_us + Retainer::kTickUs);
  // Nobody waits for other nodes.
  if (!replica_.alone()) settle();
}

void DataGroup::stop(Task done) {
  refuse_queue({.error = Error(Errc::kShuttingDown, "the node is shutting down")});
  reader_.stop();
  replica_.stop(std::move(done));
}

void DataGroup::settle() {
  if (settled_) std::exchange(settled_, nullptr)();
}

void DataGroup::on_admitting() {
  forget_below_starts();
  admission_.begin();
  settle();
  leads_();
}

void DataGroup::on_leadership_lost() {
  admission_.end();
  refuse_queue({.error = Error(Errc::kNotLeader, "leadership of the group ended"),
                .leader = replica_.other_leader()});
}

Refusal DataGroup::not_admitting() const {
  return {.error = replica_.refusal(), .leader = replica_.other_leader()};
}

void DataGroup::on_halted() {
  settle();
  if (replica_.log_damaged()) damaged_();
}

void DataGroup::append(AppendRequest request, Reply<AppendOutcome> reply) {
  if (!replica_.admitting()) return reply(std::unexpected(not_admitting()));
  if (!queue_.empty() || buggify(Buggify::kServerAppendQueued)) {
    return enqueue(std::move(request), std::move(reply));
  }
  const storage::Room room = replica_.room(request.batch.size());
  disk_full_ = room == storage::Room::kNoSpace;
  switch (room) {
    case storage::Room::kReady:
      return admit(request, std::move(reply));
    case storage::Room::kPreparing:
      if (const auto stall = replica_.checkpoint_stall()) return reply(refuse(*stall));
      return enqueue(std::move(request), std::move(reply));
    case storage::Room::kNoSpace:
    case storage::Room::kFailed:
      return reply(refuse(replica_.room_error()));
  }
}

void DataGroup::enqueue(AppendRequest request, Reply<AppendOutcome> reply) {
  const bool full = queued_bytes_ + request.batch.size() > kQueuedBytesMax;
  if (full || buggify(Buggify::kServerQueueFull)) {
    return reply(refuse(Errc::kOverloaded, "too many appends wait for a segment; retry"));
  }
  queued_bytes_ += request.batch.size();
  queue_.push_back({.request = std::move(request), .reply = std::move(reply)});
  replica_.wake_by(ports_.now().monotonic_us + kRoomPollUs);
}

void DataGroup::drain_queue(const Now& now) {
  while (!queue_.empty()) {
    const std::size_t bytes = queue_.front().request.batch.size();
    const bool late = queue_.front().request.deadline_monotonic_us <= now.monotonic_us;
    const storage::Room room = late ? storage::Room::kPreparing : replica_.room(bytes);
    const auto stall = replica_.checkpoint_stall();
    if (!late && room == storage::Room::kPreparing && !stall) return;
    Queued next = std::move(queue_.front());
    queue_.pop_front();
    queued_bytes_ -= bytes;
    if (late) {
      next.reply(refuse(Errc::kTimeout, "the disk prepared no segment in time"));
    } else if (room == storage::Room::kPreparing) {
      next.reply(refuse(*stall));
    } else if (room == storage::Room::kReady) {
      admit(next.request, std::move(next.reply));
    } else {
      disk_full_ = room == storage::Room::kNoSpace;
      next.reply(refuse(replica_.room_error()));
    }
  }
}

void DataGroup::refuse_queue(const Refusal& refusal) {
  std::deque<Queued> all = std::exchange(queue_, {});
  queued_bytes_ = 0;
  for (Queued& each : all) each.reply(std::unexpected(refusal));
}

void DataGroup::admit(const AppendRequest& request, Reply<AppendOutcome> reply) {
  if (!replica_.can_wait() || buggify(Buggify::kServerWaitersFull)) {
    return reply(refuse(Errc::kOverloaded, "too many appends wait in this group; retry"));
  }
  const AdmissionVerdict verdict = admission_.decide(admission_request(request));
  if (const auto* admitted = std::get_if<Admitted>(&verdict)) {
    return propose_batch(request, std::move(reply), admitted->base_offset);
  }
  if (const auto* applied = std::get_if<DuplicateApplied>(&verdict)) {
    return reply(duplicate_of(applied->original));
  }
  if (const auto* in_flight = std::get_if<DuplicateInFlight>(&verdict)) {
    return await_original(in_flight->original, request, std::move(reply));
  }
  refuse_when_applied(std::get<Refused>(verdict), request, std::move(reply));
}

void DataGroup::propose_batch(const AppendRequest& request, Reply<AppendOutcome> reply,
                              Offset base) {
  const BatchSummary& summary = request.summary;
  Entry entry;
  entry.payload = with_base_offset(request.batch, base);
  entry.header.kind = EntryKind::kBatch;
  entry.header.shard = request.shard;
  entry.header.base_offset = base;
  entry.header.record_count = summary.record_count;
  entry.header.level_mask = summary.level_mask;
  entry.header.event_time_min = summary.event_time_min;
  entry.header.event_time_max = summary.event_time_max;
  entry.header.payload_bytes = static_cast<std::uint32_t>(entry.payload.size());
  entry.header.payload_crc = crc32c(entry.payload.bytes());
  const auto id = replica_.propose(std::move(entry));
  if (!id) return reply(refuse(id.error()));
  admission_.accepted(admission_request(request), base, *id);
  const auto waits = replica_.wait_for(
      *id, request.deadline_monotonic_us,
      [this, shard = request.shard, base, reply = std::move(reply)](Fate fate) mutable {
        if (fate != Fate::kApplied) return reply(std::unexpected(not_applied(fate)));
        const Shard* state = state_->find(shard);
        reply(AppendOutcome{.base_offset = base,
                            .append_time = replica_.closed_time(),
                            .shard_chain = state == nullptr ? Hash128{} : state->chain});
      });
  CHECK(waits.has_value());
}

void DataGroup::await_original(LogId original, const AppendRequest& request,
                               Reply<AppendOutcome> reply) {
  const auto waits = replica_.wait_for(
      original, request.deadline_monotonic_us,
      [this, wanted = admission_request(request), reply = std::move(reply)](Fate fate) mutable {
        if (fate != Fate::kApplied) return reply(std::unexpected(not_applied(fate)));
        // Over what is applied alone, and whoever leads now.
        Admission judge(*state_);
        judge.begin();
        const AdmissionVerdict verdict = judge.decide(wanted);
        if (const auto* applied = std::get_if<DuplicateApplied>(&verdict)) {
          return reply(duplicate_of(applied->original));
        }
        // Five later batches of the same producer were applied meanwhile, or the shard went.
        reply(std::unexpected(not_applied(Fate::kUnknown)));
      });
  CHECK(waits.has_value());
}

void DataGroup::refuse_when_applied(const Refused& refused, const AppendRequest& request,
                                    Reply<AppendOutcome> reply) {
  const auto answer = [this, shard = request.shard, error = refused.error] {
    Refusal refusal{.error = error};
    if (const Shard* state = state_->find(shard)) {
      refusal.bounds = ShardBounds{.start = state->start, .next = state->next};
    }
    return refusal;
  };
  const std::int64_t deadline = request.deadline_monotonic_us;
  if (mutant(Mutant::kRefusalNotConfirmed)) return reply(std::unexpected(answer()));
  if (!refused.rests_on || refused.rests_on->index <= replica_.applied().index) {
    return refuse_when_confirmed<AppendOutcome>(deadline, answer, std::move(reply));
  }
  const auto waits = replica_.wait_for(
      *refused.rests_on, deadline,
      [this, answer, deadline, reply = std::move(reply)](Fate fate) mutable {
        if (fate == Fate::kApplied) {
          return refuse_when_confirmed<AppendOutcome>(deadline, answer, std::move(reply));
        }
        // This batch was never admitted, whatever became of those before it.
        reply(refuse(Errc::kUnavailable, "what the answer rests on was not committed; retry"));
      });
  CHECK(waits.has_value());
}

template <class T>
void DataGroup::refuse_when_confirmed(std::int64_t deadline_monotonic_us,
                                      std::function<Refusal()> answer, Reply<T> reply) {
  // Alone, nobody else can have led.
  if (replica_.alone()) return reply(std::unexpected(answer()));
  replica_.confirm_read(deadline_monotonic_us, [this, answer = std::move(answer),
                                                reply = std::move(reply)](
                                                   const Result<void>& confirmed) mutable {
    if (confirmed) return reply(std::unexpected(answer()));
    // It was never admitted, and may be tried elsewhere.
    reply(std::unexpected(Refusal{.error = confirmed.error(), .leader = replica_.other_leader()}));
  });
}

void DataGroup::read(const ReadRequest& request, Reply<ReadOutcome> reply) {
  if (!request.linearizable || replica_.alone()) return reader_.read(request, std::move(reply));
  replica_.confirm_read(
      request.confirm_by_monotonic_us,
      [this, request, reply = std::move(reply)](const Result<void>& confirmed) mutable {
        if (confirmed) return reader_.read(request, std::move(reply));
        reply(std::unexpected(
            Refusal{.error = confirmed.error(), .leader = replica_.other_leader()}));
      });
}

OffsetsOutcome DataGroup::offsets_now(const Shard& shard, const OffsetsRequest& request) const {
  OffsetsOutcome outcome{.bounds = {.start = shard.start, .next = shard.next},
                         .offset = std::nullopt,
                         .closed_time = replica_.closed_time()};
  if (request.at) {
    const auto found = replica_.log().find_time(request.shard, *request.at);
    // What is not applied is not there yet, and what was trimmed not any more.
    const Offset first = std::max(found.value_or(shard.next), shard.start);
    if (first < shard.next) outcome.offset = first;
  }
  return outcome;
}

void DataGroup::offsets(const OffsetsRequest& request, Reply<OffsetsOutcome> reply) {
  const auto answer = [this, request](Reply<OffsetsOutcome> back) {
    const Shard* shard = state_->find(request.shard);
    if (shard == nullptr) return back(refuse(not_open(request.shard)));
    back(offsets_now(*shard, request));
  };
  if (!request.linearizable || replica_.alone()) return answer(std::move(reply));
  replica_.confirm_read(
      request.confirm_by_monotonic_us,
      [this, answer, reply = std::move(reply)](const Result<void>& confirmed) mutable {
        if (confirmed) return answer(std::move(reply));
        reply(std::unexpected(
            Refusal{.error = confirmed.error(), .leader = replica_.other_leader()}));
      });
}

std::expected<ShardStatusOutcome, Refusal> DataGroup::shard_status(ShardKey key) const {
  const Shard* shard = state_->find(key);
  if (shard == nullptr) return refuse(not_open(key));
  return ShardStatusOutcome{.bounds = {.start = shard->start, .next = shard->next},
                            .bytes = replica_.log().shard_bytes(key),
                            .last_append = shard->last_append,
                            .chain = shard->chain,
                            .producers = static_cast<std::uint32_t>(shard->producers.size())};
}

void DataGroup::trim(ShardKey key, Offset before, std::int64_t deadline_monotonic_us,
                     Reply<TrimOutcome> reply) {
  if (!replica_.admitting()) return reply(std::unexpected(not_admitting()));
  const Shard* shard = state_->find(key);
  if (shard == nullptr) return reply(refuse(not_open(key)));
  // A slip: clamped, it would delete everything.
  if (before > shard->next) {
    return reply(std::unexpected(
        Refusal{.error = Error(Errc::kOffsetOutOfRange,
                               fmt::format("offset {} is above the end, {}: nothing was trimmed",
                                           before.value(), shard->next.value())),
                .bounds = ShardBounds{.start = shard->start, .next = shard->next}}));
  }
  if (before <= shard->start) return reply(TrimOutcome{.start = shard->start});
  const auto id = propose_command(encode_trim_shard(key, before), EntryUse::kGivesSpaceBack);
  if (!id) return reply(refuse(id.error()));
  const auto waits = replica_.wait_for(*id, deadline_monotonic_us,
                                       [before, reply = std::move(reply)](Fate fate) mutable {
                                         if (fate != Fate::kApplied)
                                           return reply(std::unexpected(not_applied(fate)));
                                         reply(TrimOutcome{.start = before});
                                       });
  CHECK(waits.has_value());
}

Result<LogId> DataGroup::propose_command(Payload command, EntryUse use) {
  if (!replica_.can_wait()) return fail(Errc::kOverloaded, "too many requests wait; retry");
  switch (replica_.room(command.size(), use)) {
    case storage::Room::kReady:
      break;
    case storage::Room::kPreparing:
      if (const auto stall = replica_.checkpoint_stall()) return std::unexpected(*stall);
      return fail(Errc::kOverloaded, "a segment is being prepared; retry");
    case storage::Room::kNoSpace:
    case storage::Room::kFailed:
      return std::unexpected(replica_.room_error());
  }
  Entry entry;
  entry.header.kind = EntryKind::kCommand;
  entry.header.payload_bytes = static_cast<std::uint32_t>(command.size());
  entry.header.payload_crc = crc32c(command.bytes());
  entry.payload = std::move(command);
  return replica_.propose(std::move(entry));
}

Result<std::optional<LogId>> DataGroup::propose_opens(const std::vector<ShardSettings>& wanted) {
  std::optional<LogId> last;
  for (const ShardSettings& settings : wanted) {
    if (state_->find(settings.key) != nullptr) continue;
    if (state_->shards().size() >= ShardState::kShardsMax) {
      return fail(Errc::kOverloaded, "the group holds as many shards as it may");
    }
    TRY_ASSIGN(id, propose_command(encode_open_shard(settings), EntryUse::kTakesSpace));
    last = id;
  }
  return last;
}

void DataGroup::open_shards(const std::vector<ShardSettings>& wanted,
                            std::int64_t deadline_monotonic_us, Reply<Done> reply) {
  if (!replica_.admitting()) return reply(std::unexpected(not_admitting()));
  answer_after(propose_opens(wanted), deadline_monotonic_us, std::move(reply));
}

void DataGroup::reconcile(const std::vector<ShardSettings>& wanted, StreamId next_stream,
                          std::int64_t deadline_monotonic_us, Reply<Done> reply) {
  if (!replica_.admitting()) return reply(std::unexpected(not_admitting()));
  auto last = propose_opens(wanted);
  std::set<ShardKey> keep;
  for (const ShardSettings& settings : wanted) keep.insert(settings.key);
  for (const auto& [key, shard] : state_->shards()) {
    if (!last) break;
    if (keep.contains(key) || key.stream >= next_stream) continue;
    const auto id = propose_command(encode_drop_shard(key), EntryUse::kGivesSpaceBack);
    if (id) {
      admission_.dropping(key, *id);
      last = *id;
    } else {
      last = std::unexpected(id.error());
    }
  }
  answer_after(last, deadline_monotonic_us, std::move(reply));
}

void DataGroup::answer_after(const Result<std::optional<LogId>>& last,
                             std::int64_t deadline_monotonic_us, Reply<Done> reply) {
  if (!last) return reply(refuse(last.error()));
  const std::optional<LogId>& id = *last;
  if (!id) return reply(Done{});
  const auto waits =
      replica_.wait_for(*id, deadline_monotonic_us, [reply = std::move(reply)](Fate fate) mutable {
        if (fate != Fate::kApplied) return reply(std::unexpected(not_applied(fate)));
        reply(Done{});
      });
  CHECK(waits.has_value());
}

void DataGroup::on_applied(const Entry& entry) {
  admission_.applied(entry);
  if (entry.header.kind == EntryKind::kBatch && replica_.admitting()) {
    counters_.appended_records += entry.header.record_count;
    counters_.appended_bytes += entry.payload.size();
  }
  if (entry.header.kind == EntryKind::kCommand) {
    if (const auto shard = shard_of_command(entry.payload.bytes())) {
      forget_below_start(*shard);
      reader_.on_bounds_changed(*shard);
    }
  }
  reader_.on_applied(entry);
}

std::optional<std::int64_t> DataGroup::on_timer(const Now& now) {
  drain_queue(now);
  if (starts_untold_) forget_below_starts();
  std::int64_t next = retainer_.on_timer(now);
  if (const auto reader_wants = reader_.on_timer(now)) next = std::min(next, *reader_wants);
  if (!queue_.empty()) next = std::min(next, now.monotonic_us + kRoomPollUs);
  return next;
}

}  // namespace lignum::server
