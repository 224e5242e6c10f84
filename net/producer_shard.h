#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "net/backoff.h"
#include "net/call.h"
#include "net/moment.h"
#include "net/producer_batch.h"
#include "raft/error.h"
#include "raft/payload.h"
#include "raft/types.h"
#include "storage/compression.h"
#include "storage/record.h"
#include "storage/record_batch.h"

namespace lignum::net {

// What every shard of a producer goes by.
struct ProducerSettings {
  std::size_t batch_bytes = std::size_t{256} << 10;
  Moment linger = 0;
  Moment append_deadline = 30 * kSecond;
  // Of one attempt; then the batch is sent again.
  Moment attempt_timeout = 10 * kSecond;
  Codec codec = Codec::kNone;
  BatchLimits limits;
  Backoff::Options backoff;
};

// A producer id as handed out by the cluster. Generations count the ids this client was given.
// Each shard counts its epochs on from there.
struct ProducerIdentity {
  ProducerId id;
  std::int16_t epoch = 0;
  std::uint64_t generation = 0;
};

// What a producer wants done.
struct SendBatch {
  std::uint64_t attempt;
  ShardKey shard;
  std::optional<Offset> expected;
  Payload batch;
  Moment deadline;
};
struct ProducerOutput {
  std::vector<SendBatch> sends;
  std::vector<AppendOutcome> outcomes;
  std::size_t released_bytes = 0;
  std::uint64_t next_attempt = 1;
};

// One producer's session with one shard: coalesces records into batches, stamps them with (id,
// epoch, sequence), keeps at most five unacknowledged, sends the same bytes again until they are
// acknowledged, refused for good, or too late. Follows KIP-98 and the rules of admission
// (docs/ARCHITECTURE.md): three outcomes, none of them a guess.
//
// Owned by Producer and called under its owner's lock; sans-IO. It never sends a record under a
// second sequence number or id unless every attempt of its first was answered with a refusal; so
// nothing is ever in the log twice.
//
//     append --> [open] --> closed ... closed --stamp, send--> sent (<= 5) --ack--> outcome
//                              ^                                 |
//                              +---- provably not admitted, -----+
//                                    and the session is lost
//
// Recovery: after any attempt that failed nothing more leaves until every attempt has ended; after
// a pause all unacknowledged batches are sent again in order. So order survives every retry.
//
// The session is lost when its sequence has a hole: a batch ended (refused for good, or out of
// time) while later ones were on their way. What was provably not admitted is stamped anew, under
// the next epoch of the same id, once everything of the old session has ended. So whatever of it is
// still on its way is fenced by the first batch behind it and can not step into the log later
// (KIP-360). Only where the server refuses even sequence 0, as it has forgotten the id, the session
// goes on under a fresh one: the old one is refused for good (docs/design/0009-next-epoch.md).
class ProducerShard {
 public:
  static constexpr std::size_t kUnacknowledgedMax = 5;
  // Batches on their way up to which a batch that is not full leaves at once (linger zero).
  static constexpr std::size_t kEagerMax = 2;

  // Settings and spares outlive it.
  ProducerShard(const ProducerSettings& settings, SpareBuilders& spares, ShardKey key,
                std::uint64_t seed)
      : settings_(settings), spares_(spares), key_(key), backoff_(settings.backoff, seed) {}

  // Encodes the record into the open batch. kTooLarge, kInvalidArgument: nothing has changed.
  [[nodiscard]] Result<void> append(const RecordInput& record, AppendWaiter waiter,
                                    std::size_t accounted_bytes, Moment now);
  // One batch of its own, refused unless `expected` is the shard's next offset. One waiter for
  // all. Everything else waits until it has its outcome.
  [[nodiscard]] Result<void> append_alone(std::span<const RecordInput> records, Offset expected,
                                          AppendWaiter waiter, std::size_t accounted_bytes,
                                          Moment now);

  // Lets the open batch leave without waiting for linger.
  void flush();

  // The answer to a SendBatch. True: the stream may be gone and should be resolved again.
  [[nodiscard]] bool on_reply(std::uint64_t attempt, const CallResult& result, Moment now,
                              ProducerOutput& output);

  // Whatever is due: expires, sends again, stamps and sends. `identity` is the newest one.
  void turn(const std::optional<ProducerIdentity>& identity, Moment now, ProducerOutput& output);

  // Ends everything with `error`, or as unknown where it may have been admitted.
  void fail_all(const Error& error, ProducerOutput& output);

  // It has batches to stamp and cannot without an identity newer than this one.
  [[nodiscard]] std::optional<std::uint64_t> wants_identity_after() const;
  // Something may leave at once: the owner should take a turn.
  [[nodiscard]] bool ready() const;
  [[nodiscard]] bool idle() const { return queue_.empty() && sent_.empty(); }
  // When turn() has something to do next; kMomentMax: only after an event.
  [[nodiscard]] Moment next_wakeup() const;
  [[nodiscard]] ShardKey key() const { return key_; }

  // The owner's mark that this shard is on its list.
  bool active = false;

 private:
  enum class Session : std::uint8_t {
    kNone,       // no identity was adopted
    kOpen,       //
    kLost,       // goes on under the next epoch
    kForgotten,  // goes on under another id
  };

  ProducerBatch& open_batch(Moment now);
  [[nodiscard]] bool may_leave(const ProducerBatch& batch, Moment now) const;
  // None: the batch could not be built and has ended.
  void stamp_and_send(const ProducerIdentity& identity, Moment now, ProducerOutput& output);
  void send(ProducerBatch& batch, Moment now, ProducerOutput& output);
  void expire(Moment now, ProducerOutput& output);
  void resend(Moment now, ProducerOutput& output);
  void adopt(const std::optional<ProducerIdentity>& identity);
  void lose_session();

  // Sorts a refusal; `position` is in sent_.
  void on_refusal(std::size_t position, const Error& error, Moment now, ProducerOutput& output);
  void recover(Moment now);
  [[nodiscard]] bool attempt_open() const;
  // The batch at `position` ends for good with `error`, or as unknown.
  void end_sent(std::size_t position, const Error& error, ProducerOutput& output);
  // From `position` on nothing was admitted nor will be under the present numbers: back to the
  // queue with them. Numbers are used again only where no attempt of theirs is left open.
  void unstamp_from(std::size_t position, std::int32_t next_sequence);
  static void end(ProducerBatch batch, Result<AppendAck> outcome, ProducerOutput& output);

  const ProducerSettings& settings_;
  SpareBuilders& spares_;
  const ShardKey key_;
  Backoff backoff_;
  Session session_ = Session::kNone;
  ProducerIdentity identity_;
  std::int32_t next_sequence_ = 0;
  // Not stamped, oldest first; only the last may be open.
  std::deque<ProducerBatch> queue_;
  // Stamped and not acknowledged, by sequence.
  std::deque<ProducerBatch> sent_;
  // Set while recovering: nothing is sent before.
  std::optional<Moment> resume_at_;
};

}  // namespace lignum::net
