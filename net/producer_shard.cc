#include "net/producer_shard.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "net/call.h"
#include "net/client.h"
#include "net/moment.h"
#include "net/producer_batch.h"
#include "net/producer_stamp.h"
#include "net/proto/client.pb.h"
#include "raft/buggify.h"
#include "raft/error.h"
#include "raft/mutant.h"
#include "raft/payload.h"
#include "raft/types.h"
#include "storage/record.h"
#include "storage/record_batch.h"

namespace lignum::net {

namespace {

// Of an attempt that is given up early.
constexpr Moment kAttemptTimeoutMin = 10 * kMillisecond;

// What an answer to an attempt says about the batch.
enum class Verdict : std::uint8_t {
  kAgain,       // this attempt did nothing; the next may succeed
  kOpen,        // it may have been admitted; only another attempt can tell
  kSessionEnd,  // the server does not expect this number
  kFinal,       // this attempt did nothing and no other can
};

Verdict verdict_of(const Error& error) {
  switch (error.code()) {
    case Errc::kUnknownOutcome:
    case Errc::kInternal:
    case Errc::kIo:
    case Errc::kProtocol:
      return Verdict::kOpen;
    case Errc::kOutOfSequence:
    case Errc::kUnknownProducer:
    case Errc::kProducerFenced:
      return Verdict::kSessionEnd;
    case Errc::kNotFound:  // the shard may have moved; the stream is resolved again
    case Errc::kCorrupt:   // damaged on the way: the bytes here are whole
    case Errc::kNotLeader:
    case Errc::kUnavailable:
    case Errc::kTimeout:
    case Errc::kOverloaded:
    case Errc::kNoSpace:
    case Errc::kShuttingDown:
    case Errc::kSkew:
    case Errc::kTooManyFiles:
      return Verdict::kAgain;
    case Errc::kInvalidArgument:
    case Errc::kAlreadyExists:
    case Errc::kTooLarge:
    case Errc::kOffsetOutOfRange:
    case Errc::kTrimmed:
    case Errc::kOffsetMismatch:
    case Errc::kUnsupported:
    case Errc::kLocked:
    case Errc::kPermissionDenied:
    case Errc::kCancelled:
    case Errc::kHalted:  // until somebody acts
      return Verdict::kFinal;
  }
  return Verdict::kOpen;
}

// What a batch ends with whose time is up. A full disk keeps its name, because that is something
// the caller can mend.
Error expired(std::string text, const ProducerBatch& batch) {
  const bool no_space = batch.trouble && batch.trouble->code() == Errc::kNoSpace;
  if (batch.trouble) {
    text += "; the last attempt ended with " + batch.trouble->describe();
  }
  return {no_space ? Errc::kNoSpace : Errc::kTimeout, std::move(text)};
}

}  // namespace

ProducerBatch& ProducerShard::open_batch(Moment now) {
  if (queue_.empty() || !queue_.back().open) {
    ProducerBatch& batch = queue_.emplace_back(spares_.take());
    batch.created = now;
    batch.deadline = now + settings_.append_deadline;
  }
  return queue_.back();
}

Result<void> ProducerShard::append(const RecordInput& record, AppendWaiter waiter,
                                   std::size_t accounted_bytes, Moment now) {
  ProducerBatch* batch = &open_batch(now);
  Result<void> added = batch->builder.add(record);
  if (!added && added.error().code() == Errc::kTooLarge && !batch->builder.empty()) {
    batch->open = false;
    batch = &open_batch(now);
    added = batch->builder.add(record);
  }
  if (!added) {
    if (batch->builder.empty()) {
      queue_.pop_back();
    }
    return added;
  }
  batch->waiters.add(std::move(waiter));
  batch->accounted_bytes += accounted_bytes;
  if (batch->builder.bytes() >= settings_.batch_bytes || buggify(Buggify::kNetBatchClosed)) {
    batch->open = false;
  }
  return {};
}

Result<void> ProducerShard::append_alone(std::span<const RecordInput> records, Offset expected,
                                         AppendWaiter waiter, std::size_t accounted_bytes,
                                         Moment now) {
  flush();
  ProducerBatch& batch = open_batch(now);
  for (const RecordInput& record : records) {
    if (const auto added = batch.builder.add(record); !added) {
      queue_.pop_back();
      return added;
    }
  }
  batch.waiters.add(std::move(waiter));
  batch.accounted_bytes = accounted_bytes;
  batch.expected = expected;
  batch.open = false;
  return {};
}

void ProducerShard::flush() {
  if (!queue_.empty()) {
    queue_.back().open = false;
  }
}

bool ProducerShard::may_leave(const ProducerBatch& batch, Moment now) const {
  if (sent_.size() >= kUnacknowledgedMax) {
    return false;
  }
  if (!sent_.empty() && buggify(Buggify::kNetOneInFlight)) {
    return false;
  }
  const bool alone = batch.expected || (!sent_.empty() && sent_.back().expected);
  if (alone && !sent_.empty()) {
    return false;
  }
  if (!batch.open) {
    return true;
  }
  return settings_.linger == 0 ? sent_.size() < kEagerMax : now >= batch.created + settings_.linger;
}

bool ProducerShard::ready() const {
  if (queue_.empty() || resume_at_) {
    return false;
  }
  // A batch that lingers needs a turn once, for its timer.
  const ProducerBatch& front = queue_.front();
  return may_leave(front, front.created) ||
         (settings_.linger > 0 && front.open && front.waiters.size() == 1);
}

Moment ProducerShard::next_wakeup() const {
  Moment at = kMomentMax;
  if (!sent_.empty()) {
    at = sent_.front().deadline;
  }
  if (!queue_.empty()) {
    const ProducerBatch& front = queue_.front();
    at = std::min(at, front.deadline);
    const Moment leaves = front.created + settings_.linger;
    if (session_ == Session::kOpen && !resume_at_ && may_leave(front, leaves)) {
      at = std::min(at, leaves);
    }
  }
  if (resume_at_ && !attempt_open()) {
    at = std::min(at, *resume_at_);
  }
  return at;
}

bool ProducerShard::attempt_open() const {
  return std::ranges::any_of(sent_,
                             [](const ProducerBatch& batch) { return batch.attempt.has_value(); });
}

std::optional<std::uint64_t> ProducerShard::wants_identity_after() const {
  const bool wanted = session_ == Session::kNone || session_ == Session::kForgotten;
  if (!wanted || queue_.empty() || !sent_.empty()) {
    return std::nullopt;
  }
  return identity_.generation;
}

void ProducerShard::adopt(const std::optional<ProducerIdentity>& identity) {
  if (queue_.empty() || !sent_.empty()) return;
  if (session_ == Session::kLost) {
    ++identity_.epoch;
  } else if (wants_identity_after() && identity && identity->generation > identity_.generation) {
    identity_ = *identity;
  } else {
    return;
  }
  next_sequence_ = 0;
  session_ = Session::kOpen;
}

void ProducerShard::lose_session() {
  if (session_ != Session::kOpen) return;
  const bool last_epoch = identity_.epoch == std::numeric_limits<std::int16_t>::max();
  session_ = last_epoch || mutant(Mutant::kLostSessionTakesAFreshId) ? Session::kForgotten
                                                                     : Session::kLost;
}

void ProducerShard::turn(const std::optional<ProducerIdentity>& identity, Moment now,
                         ProducerOutput& output) {
  expire(now, output);
  if (resume_at_) {
    if (attempt_open() || now < *resume_at_) {
      return;
    }
    resume_at_.reset();
    resend(now, output);
  }
  adopt(identity);
  while (session_ == Session::kOpen && !queue_.empty() && may_leave(queue_.front(), now)) {
    stamp_and_send(identity_, now, output);
  }
}

void ProducerShard::stamp_and_send(const ProducerIdentity& identity, Moment now,
                                   ProducerOutput& output) {
  ProducerBatch batch = std::move(queue_.front());
  queue_.pop_front();
  batch.open = false;
  const ProducerStamp stamp{
      .id = identity.id, .epoch = identity.epoch, .base_sequence = next_sequence_};
  if (batch.bytes.empty()) {
    batch.record_count = batch.builder.record_count();
    auto built = batch.builder.build(stamp, settings_.codec);
    if (!built) {
      end(std::move(batch), std::unexpected(built.error()), output);
      return;
    }
    batch.bytes = Payload(std::move(*built));
    spares_.give_back(std::move(batch.builder));
  } else {
    batch.bytes = restamp(batch.bytes, stamp);
  }
  batch.base_sequence = next_sequence_;
  next_sequence_ = sequence_after(next_sequence_, batch.record_count);
  sent_.push_back(std::move(batch));
  send(sent_.back(), now, output);
}

void ProducerShard::send(ProducerBatch& batch, Moment now, ProducerOutput& output) {
  batch.attempt = output.next_attempt++;
  const Moment patience =
      buggify(Buggify::kNetShortAttempt) ? kAttemptTimeoutMin : settings_.attempt_timeout;
  output.sends.push_back({.attempt = *batch.attempt,
                          .shard = key_,
                          .expected = batch.expected,
                          .batch = batch.bytes,
                          .deadline = std::min(batch.deadline, now + patience)});
}

void ProducerShard::resend(Moment now, ProducerOutput& output) {
  if (mutant(Mutant::kRetryUnderNewNumber)) return unstamp_from(0, next_sequence_);
  for (ProducerBatch& batch : sent_) {
    send(batch, now, output);
  }
}

void ProducerShard::expire(Moment now, ProducerOutput& output) {
  // Deadlines rise along both queues, and every batch in sent_ is older than those in queue_.
  while (!sent_.empty() && sent_.front().deadline <= now) {
    end_sent(0, expired("not appended before the deadline", sent_.front()), output);
  }
  while (!queue_.empty() && queue_.front().deadline <= now) {
    Error error = expired("the deadline passed before it could be sent", queue_.front());
    end(std::move(queue_.front()), std::unexpected(std::move(error)), output);
    queue_.pop_front();
  }
}

bool ProducerShard::on_reply(std::uint64_t attempt, const CallResult& result, Moment now,
                             ProducerOutput& output) {
  const auto found = std::ranges::find_if(
      sent_, [&](const ProducerBatch& batch) { return batch.attempt == attempt; });
  if (found == sent_.end()) {
    return false;  // its batch has ended already
  }
  const auto position = static_cast<std::size_t>(found - sent_.begin());
  found->attempt.reset();
  if (!result.error) {
    if (!result.response.has_append()) {
      found->unresolved = true;
      found->trouble = Error(Errc::kProtocol, "the answer to an append is none");
      recover(now);
      return false;
    }
    backoff_.reset();
    ProducerBatch batch = std::move(*found);
    sent_.erase(found);
    const wire::AppendReply& reply = result.response.append();
    end(std::move(batch),
        AppendAck{.stream = key_.stream,
                  .shard = key_.shard,
                  .offset = Offset(reply.base_offset()),
                  .append_time = reply.append_time_us()},
        output);
    return false;
  }
  found->trouble = result.error;
  if (!result.response.has_failure()) {
    found->unresolved = found->unresolved || result.maybe_processed;
    recover(now);
    return false;
  }
  on_refusal(position, *result.error, now, output);
  return result.error->code() == Errc::kNotFound;
}

void ProducerShard::on_refusal(std::size_t position, const Error& error, Moment now,
                               ProducerOutput& output) {
  ProducerBatch& batch = sent_.at(position);
  switch (verdict_of(error)) {
    case Verdict::kOpen:
      batch.unresolved = true;
      recover(now);
      return;
    case Verdict::kAgain:
      recover(now);
      return;
    case Verdict::kSessionEnd:
      // Behind an unacknowledged batch it only says that the one before was not admitted.
      if (position == 0) {
        lose_session();
        // Behind a first batch it may say no more than that this one has not arrived yet.
        if (error.code() == Errc::kUnknownProducer && batch.base_sequence == 0) {
          session_ = Session::kForgotten;
        }
        if (batch.unresolved) {
          end_sent(position, error, output);
        } else {
          unstamp_from(position, batch.base_sequence);
        }
      }
      recover(now);
      return;
    case Verdict::kFinal:
      end_sent(position, error, output);
      return;
  }
}

void ProducerShard::recover(Moment now) {
  if (!resume_at_) {
    const Moment pause = backoff_.next();
    resume_at_ = buggify(Buggify::kNetRetryAtOnce) ? now : now + pause;
  }
}

void ProducerShard::end_sent(std::size_t position, const Error& error, ProducerOutput& output) {
  ProducerBatch batch = std::move(sent_.at(position));
  sent_.erase(sent_.begin() + static_cast<std::ptrdiff_t>(position));
  if (batch.maybe_admitted() && !mutant(Mutant::kClientCallsUnknownFailed)) {
    // Later batches may have been admitted as well: they go on under their numbers, and what turns
    // out not to follow comes back as out of sequence.
    lose_session();
    end(std::move(batch),
        fail(Errc::kUnknownOutcome, "an attempt was not answered; " + error.describe()), output);
    return;
  }
  const std::int32_t sequence = batch.base_sequence;
  end(std::move(batch), std::unexpected(error), output);
  unstamp_from(position, sequence);
}

void ProducerShard::unstamp_from(std::size_t position, std::int32_t next_sequence) {
  bool numbers_are_free = true;
  while (sent_.size() > position) {
    ProducerBatch batch = std::move(sent_.back());
    sent_.pop_back();
    numbers_are_free = numbers_are_free && !batch.maybe_admitted();
    batch.attempt.reset();
    batch.unresolved = false;
    queue_.push_front(std::move(batch));
  }
  if (numbers_are_free && session_ == Session::kOpen) {
    next_sequence_ = next_sequence;
  } else {
    lose_session();
  }
}

void ProducerShard::fail_all(const Error& error, ProducerOutput& output) {
  while (!sent_.empty()) {
    ProducerBatch batch = std::move(sent_.front());
    sent_.pop_front();
    const bool unknown = batch.maybe_admitted();
    end(std::move(batch),
        unknown ? fail(Errc::kUnknownOutcome, "an attempt was not answered; " + error.describe())
                : Result<AppendAck>(std::unexpected(error)),
        output);
  }
  while (!queue_.empty()) {
    end(std::move(queue_.front()), std::unexpected(error), output);
    queue_.pop_front();
  }
  lose_session();
  resume_at_.reset();
}

void ProducerShard::end(ProducerBatch batch, Result<AppendAck> outcome, ProducerOutput& output) {
  output.released_bytes += batch.accounted_bytes;
  output.outcomes.push_back({.waiters = std::move(batch.waiters),
                             .first = std::move(outcome),
                             .accounted_bytes = batch.accounted_bytes});
}

}  // namespace lignum::net
