#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "net/backoff.h"
#include "net/call.h"
#include "net/client.h"
#include "net/moment.h"
#include "net/producer_batch.h"
#include "net/producer_shard.h"
#include "net/proto/client.pb.h"
#include "raft/error.h"
#include "raft/types.h"
#include "storage/record.h"

namespace lignum::net {

// The appending side of a client: finds the shard of each record, encodes it into that shard's open
// batch in the caller's thread, and runs the sessions (ProducerShard).
//
// Owned by the shell, which calls it under one lock from any thread; sans-IO. Callbacks are never
// run here: outcomes are moved out and delivered without the lock. Bounded by
// Options::buffer_bytes_max over everything that has no outcome yet.
//
// The owner takes a turn (turn(), then take_output()) whenever an append says wants_turn(), after
// every reply, and at next_wakeup(). One turn serves any number of appends, so a burst costs one
// lock and one wake-up, not one per record.
class Producer {
 public:
  struct Options {
    ProducerSettings settings;
    std::size_t buffer_bytes_max = std::size_t{64} << 20;
    std::uint64_t seed = 0;
  };

  // The two times an append needs: one to measure by, one to write down.
  struct Now {
    Moment moment = 0;
    TimeMs wall = 0;
  };

  struct Output {
    // Names to resolve; each is answered by on_stream or on_stream_failed.
    std::vector<std::string> resolve;
    // Answered by on_identity or on_identity_failed.
    bool init_producer = false;
    std::vector<SendBatch> sends;
    std::vector<AppendOutcome> outcomes;
  };

  // Streams one client appends to; beyond it append fails with kOverloaded.
  static constexpr std::size_t kStreamsMax = 65536;
  // Counted per record besides its bytes.
  static constexpr std::size_t kRecordOverhead = 64;

  explicit Producer(Options options);

  // Takes one record; it has exactly one outcome unless this returns an error: kOverloaded (the
  // buffer is full), kTooLarge, kInvalidArgument.
  [[nodiscard]] Result<void> append(std::string_view stream, const BorrowedRecord& record,
                                    AppendWaiter waiter, Now now);
  // The stream must have been resolved (kNotFound otherwise). One waiter for all records.
  [[nodiscard]] Result<void> append_expecting(std::string_view stream, ShardNumber shard,
                                              Offset expected, const std::vector<Record>& records,
                                              AppendWaiter waiter, Now now);
  // Every open batch may leave.
  void flush();

  // Events.
  void on_stream(const wire::StreamInfo& stream, Now now);
  // kNotFound: nothing of that name; its records end with that.
  void on_stream_failed(std::string_view name, const Error& error);
  void on_identity(ProducerId id, std::int16_t epoch);
  void on_identity_failed(Moment now);
  void on_reply(ShardKey shard, std::uint64_t attempt, const CallResult& result, Moment now);

  void turn(Moment now);
  [[nodiscard]] Output take_output();
  [[nodiscard]] Moment next_wakeup() const { return next_wakeup_; }
  // Something has happened that a turn would act on.
  [[nodiscard]] bool wants_turn() const { return wants_turn_; }

  // Ends everything: kCancelled, or kUnknownOutcome where it had left.
  void stop();

  [[nodiscard]] std::size_t buffered_bytes() const { return buffered_bytes_; }
  [[nodiscard]] bool idle() const { return buffered_bytes_ == 0; }

 private:
  // Where the records of a conditional append go.
  struct Condition {
    ShardNumber shard;
    Offset expected;
  };
  // A record that waits until its stream, or the first producer id, is known; or a conditional
  // append that came behind such a record and does not overtake it.
  struct Staged {
    std::vector<Record> records;
    std::optional<Condition> condition;
    AppendWaiter waiter;
    std::size_t bytes;
    Moment deadline;
  };
  struct Stream {
    std::string name;
    bool resolving = false;
    StreamId id;
    // Empty until the stream is known.
    std::vector<ProducerShard*> shards;
    std::vector<Staged> staged;
    // A flush came while they waited: they do not linger.
    bool flush_staged = false;
  };
  struct NameHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view name) const {
      return std::hash<std::string_view>{}(name);
    }
  };

  // None: too many streams.
  [[nodiscard]] Stream* stream_of(std::string_view name);
  void want_stream(Stream& stream);
  [[nodiscard]] Result<void> check_room(std::size_t bytes) const;
  [[nodiscard]] bool direct(const Stream& stream) const;
  [[nodiscard]] Result<void> add(Stream& stream, const BorrowedRecord& record, AppendWaiter waiter,
                                 std::size_t bytes, Now now);
  [[nodiscard]] Result<void> stage(Stream& stream, const BorrowedRecord& record,
                                   AppendWaiter waiter, std::size_t bytes, Now now);
  void unstage(Stream& stream, Now now);
  // What was staged goes to its shard. Fails as append() and append_expecting().
  [[nodiscard]] Result<void> release(const Stream& stream, Staged& staged, Now now);
  [[nodiscard]] Result<void> add_expecting(const Stream& stream, const Condition& condition,
                                           const std::vector<Record>& records, AppendWaiter waiter,
                                           Now now);
  void fail_staged(Stream& stream, const Error& error);
  void expire_staged(Moment now);
  void drop_shards(Stream& stream, const Error& error);
  [[nodiscard]] ProducerShard& shard_for(const Stream& stream, const BorrowedRecord& record) const;
  // The record in the codec's words; views into record and headers_.
  [[nodiscard]] RecordInput input_of(const BorrowedRecord& record, TimeMs wall);
  [[nodiscard]] static std::size_t bytes_of(const BorrowedRecord& record);
  void activate(ProducerShard& shard);
  void fail_now(AppendWaiter waiter, std::size_t bytes, const Error& error);
  void want_identity(Moment now);
  void settle();

  Options options_;
  SpareBuilders spares_;
  std::uint64_t seed_;
  std::unordered_map<std::string, std::unique_ptr<Stream>, NameHash, std::equal_to<>> streams_;
  // The stream of the last append: bursts go to one.
  Stream* last_stream_ = nullptr;
  std::vector<Stream*> staging_;
  std::unordered_map<ShardKey, std::unique_ptr<ProducerShard>> shards_;
  std::vector<ProducerShard*> active_;
  // The first identity chooses the shard of records without a key, for the client's life.
  std::optional<ProducerId> first_id_;
  std::optional<ProducerIdentity> identity_;
  std::uint64_t next_generation_ = 1;
  bool identity_requested_ = false;
  std::optional<Moment> identity_retry_at_;
  Backoff identity_backoff_;
  std::size_t buffered_bytes_ = 0;
  bool wants_turn_ = false;
  bool stopped_ = false;
  Moment next_wakeup_ = kMomentMax;
  ProducerOutput output_;
  std::vector<std::string> resolve_;
  bool init_producer_ = false;
  std::vector<HeaderView> headers_;
};

}  // namespace lignum::net
