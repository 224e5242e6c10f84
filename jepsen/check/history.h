#pragma once

// What clients and replicas of one run saw of its shards: what the log check judges.
//
// A harness (the simulator, or one with live processes) fills a History while it runs and reads
// the final log of every replica at the end. check_history() (log_check.h) then says whether all of
// it can have come from one log. history_text.h writes a history to a file and reads it back.
//
//   History history;
//   ShardHistory& shard = history.shard({StreamId(1), ShardNumber(0)});
//   shard.add(Append{.value = Value(3, 7), .outcome = Outcome::kOk, .invoked = 100,
//                    .returned = 180, .offset = Offset(0)});       // an append that was acked
//   shard.add(Read{.client = 9, .from = Offset(0), .end = Offset(1), .invoked = 190,
//                  .returned = 220}, values);                      // a linearizable read
//   shard.add_log({.replica = 1, .start = Offset(0)}, values);     // each replica's final log
//
// Times are of one clock for the whole run, taken before the request is sent and after its answer
// arrived: nanoseconds or ticks, it does not matter. Everything may be added in any order, but for
// the deliveries of one tail, the watermarks of one replica and the pieces of one replica's log.
// A plain value: no thread, no IO. Memory is what was added, 40 to 64 bytes an operation.

#include <compare>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "raft/check.h"
#include "raft/types.h"

namespace lignum::jepsen {

// A point in time of the run's one clock.
using Moment = std::int64_t;
// Of an operation that had not returned when the run ended.
inline constexpr Moment kNever = std::numeric_limits<Moment>::max();
// Of what happened before the run, such as a trim that was allowed from the start.
inline constexpr Moment kAlways = std::numeric_limits<Moment>::min();

// Clients are small numbers: checks keep an array of them.
inline constexpr std::uint32_t kHistoryClientsMax = std::uint32_t{1} << 22;
// Operations and offsets of one shard are counted in 32 bits.
inline constexpr std::size_t kHistoryItemsMax = std::size_t{1} << 31;
inline constexpr std::uint32_t kAppendRecordsMax = std::uint32_t{1} << 20;

// The identity that a harness writes into every record and finds again in what is read: the client
// that appended it and that client's sequence number, never used twice in a run.
// A client is one producer session: whoever goes on after an answer that cannot be known without
// an idempotent producer, or opens a new session, takes a new client number.
class Value {
 public:
  static constexpr unsigned kSequenceBits = 42;
  static constexpr std::uint64_t kSequenceMax = (std::uint64_t{1} << kSequenceBits) - 1;

  // client < kHistoryClientsMax, sequence <= kSequenceMax (CHECKed).
  constexpr Value(std::uint32_t client, std::uint64_t sequence)
      : bits_(std::uint64_t{client} << kSequenceBits | sequence) {
    CHECK(client < kHistoryClientsMax && sequence <= kSequenceMax);
  }
  // A record whose bytes do not hold a value any more. Reading one is always a violation.
  static constexpr Value unreadable() { return Value(kHistoryClientsMax - 1, kSequenceMax); }

  [[nodiscard]] constexpr std::uint32_t client() const {
    return static_cast<std::uint32_t>(bits_ >> kSequenceBits);
  }
  [[nodiscard]] constexpr std::uint64_t sequence() const { return bits_ & kSequenceMax; }
  // The value `n` appends later, of the same client.
  [[nodiscard]] constexpr Value plus(std::uint64_t n) const {
    return Value(client(), sequence() + n);
  }
  friend constexpr auto operator<=>(Value, Value) = default;

 private:
  std::uint64_t bits_;
};

enum class Outcome : std::uint8_t {
  kOk,        // answered; `offset` is where the first record went
  kFailed,    // provably never admitted: nothing of it may ever be in the log
  kMismatch,  // conditional append refused, because the shard's next offset was another one
  kUnknown,   // anything else, also never answered: it may have happened, at most once
};

enum class Promise : std::uint8_t {
  kNone,
  // Of an idempotent producer: the appends of one client take effect in the order of their
  // sequence numbers, also when they were in flight together.
  kInOrder,
};

// One append as the application called it: a batch of records that is stored whole or not at all.
// An idempotent producer's retries are one append, from the first send to the final answer.
struct Append {
  Value value{0, 0};  // of the first record; the others count up from it
  std::uint32_t count = 1;
  Outcome outcome = Outcome::kUnknown;
  Promise promise = Promise::kNone;
  Moment invoked = 0;
  Moment returned = kNever;  // of kUnknown it says nothing: the append may still take effect later
  // kOk: offset of the first record. kMismatch: the next offset that the server named, if it did.
  std::optional<Offset> offset{};
  // Of a conditional append: admitted only where the shard's next offset is this one.
  std::optional<Offset> expected{};
};

// One answered read of `count` records from an offset.
struct Read {
  std::uint32_t client = 0;
  Offset from;
  // A linearizable read names the log's end (watermark) that it saw, also where a limit cut its
  // records short: it must be the end at some moment between call and answer. Without it (a read
  // of a follower) the records must only have been there by the time of the answer.
  std::optional<Offset> end{};
  Moment invoked = 0;
  Moment returned = 0;
};

// A read that was answered "trimmed": its offset lies below the first one kept.
struct Trimmed {
  std::uint32_t client = 0;
  Offset from;
  Offset first_kept;
  Moment invoked = 0;
  Moment returned = 0;
};

enum class TailEvent : std::uint8_t {
  kStart,    // begins, or seeks, to `from` by its user's will
  kRecords,  // delivers records from `from` on
  kGap,      // says that the records from `from` to before `to` are trimmed
};

// One event of a tail, in the order in which its user saw them.
struct Tail {
  std::uint32_t client = 0;  // one tail; a number of its own
  TailEvent event = TailEvent::kRecords;
  Offset from;
  Offset to;  // of kGap
  Moment at = 0;
};

// From this moment on retention or a user's trim allowed the shard to begin at `start`.
struct Trim {
  Offset start;
  Moment at = kAlways;
};

// The committed end that a replica reported, in the order of its reports, across its restarts.
// A wiped disk is a new replica with a number of its own.
struct Watermark {
  std::uint32_t replica = 0;
  Offset end;
  Moment at = 0;
};

// The shard chain that somebody was given, or computed, for all records before `end`: with an ack,
// a read, a watermark, a final log.
struct Chain {
  std::uint32_t who = 0;  // client or replica, for the report
  Offset end;
  Hash128 hash;
};

// A part of one replica's log at the end of the run, after everything was healed.
struct LogPiece {
  std::uint32_t replica = 0;
  Offset start;
};

// Everything of one shard. Records that somebody read lie in `values`, one after another; a read,
// tail event or piece names its part of them.
class ShardHistory {
 public:
  // A part of values().
  struct Slice {
    std::uint64_t first = 0;
    std::uint32_t count = 0;
  };
  struct ReadRecords : Read, Slice {};
  struct TailRecords : Tail, Slice {};
  struct LogRecords : LogPiece, Slice {};

  // Each CHECKs the limits above, and that sequence numbers stay below Value::kSequenceMax - 1.
  void add(const Append& append);
  void add(const Read& read, std::span<const Value> values);
  void add(const Trimmed& trimmed);
  // Values only with kRecords.
  void add(const Tail& tail, std::span<const Value> values = {});
  void add(const Trim& trim);
  void add(const Watermark& watermark);
  void add(const Chain& chain);
  // One replica's log may come in several pieces, in order and without holes; the first begins at
  // the first record kept. An empty log is one piece without values.
  void add_log(const LogPiece& piece, std::span<const Value> values);

  [[nodiscard]] const std::vector<Append>& appends() const { return appends_; }
  [[nodiscard]] const std::vector<ReadRecords>& reads() const { return reads_; }
  [[nodiscard]] const std::vector<Trimmed>& trimmed() const { return trimmed_; }
  [[nodiscard]] const std::vector<TailRecords>& tails() const { return tails_; }
  [[nodiscard]] const std::vector<Trim>& trims() const { return trims_; }
  [[nodiscard]] const std::vector<Watermark>& watermarks() const { return watermarks_; }
  [[nodiscard]] const std::vector<Chain>& chains() const { return chains_; }
  [[nodiscard]] const std::vector<LogRecords>& logs() const { return logs_; }
  [[nodiscard]] std::span<const Value> values(const Slice& slice) const;
  // Operations of clients: appends, reads (also trimmed ones) and tail events.
  [[nodiscard]] std::uint64_t operations() const;

 private:
  Slice keep(std::span<const Value> values);

  std::vector<Append> appends_;
  std::vector<ReadRecords> reads_;
  std::vector<Trimmed> trimmed_;
  std::vector<TailRecords> tails_;
  std::vector<Trim> trims_;
  std::vector<Watermark> watermarks_;
  std::vector<Chain> chains_;
  std::vector<LogRecords> logs_;
  std::vector<Value> values_;
};

// The shards of one run, in the order of their keys.
class History {
 public:
  // Made empty where it does not exist yet; the reference stays valid.
  ShardHistory& shard(const ShardKey& key) { return shards_[key]; }
  [[nodiscard]] const std::map<ShardKey, ShardHistory>& shards() const { return shards_; }

 private:
  std::map<ShardKey, ShardHistory> shards_;
};

}  // namespace lignum::jepsen
