#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "net/backoff.h"
#include "net/call.h"
#include "net/client.h"
#include "net/moment.h"
#include "net/proto/client.pb.h"
#include "net/tail_cursor.h"
#include "net/tail_last.h"
#include "net/tail_merge.h"
#include "net/tail_shard.h"
#include "raft/error.h"
#include "raft/types.h"
#include "storage/record_batch_reader.h"

namespace lignum::net {

// A tail without sockets: finds where each shard begins, reads all of them side by side, hands out
// their records in one order (tail_merge.h), and says where to resume.
//
// Owned by the shell's Tail and called under its lock; sans-IO. Memory: buffer_bytes_max split over
// the shards (each always has room for one batch), one batch being taken apart, and for kLast one
// place per record asked for. It never skips silently: a hole is a Gap, or an error.
//
//     kResolving --names--> kLocating --bounds--> kReading
//                              |   ^                 ^
//                              v   | window too small|
//                           kScanning ---------------+      (kLast only)
class TailReader {
 public:
  static constexpr std::size_t kShardsMax = 4096;
  static constexpr std::uint64_t kLastMax = 1'000'000;
  // Names in one request to resolve them take this many bytes, or are one.
  static constexpr std::size_t kNamesBytesMax = std::size_t{64} << 10;

  struct Options {
    TailOptions tail;
    // Of requests, and of silence: a tail that does not follow, or still looks for its beginning,
    // fails with kTimeout where it waits and nothing arrives for this long.
    Moment request_timeout = 10 * kSecond;
    Backoff::Options backoff;
    std::uint64_t seed = 0;
  };

  explicit TailReader(Options options);

  // Events. A turn follows every event, and whatever leaves wants_turn() set.
  void on_reply(std::uint64_t token, const CallResult& result, Moment now);
  void turn(Moment now);
  [[nodiscard]] Moment next_wakeup() const { return next_wakeup_; }
  [[nodiscard]] std::vector<TailRequest> take_requests() { return std::exchange(requests_, {}); }

  // next() made room, or ran dry.
  [[nodiscard]] bool wants_turn() const { return wants_turn_; }
  // Every shard has its beginning, or the tail has failed.
  [[nodiscard]] bool settled() const { return phase_ == Phase::kReading || error_; }
  [[nodiscard]] const std::optional<Error>& error() const { return error_; }

  // The next record, gap or the end; none while there is nothing yet. Views live until the next
  // call. After an error every call returns it.
  [[nodiscard]] Result<std::optional<Tail::Item>> next();

  [[nodiscard]] std::string cursor() const;
  // What holds the tail up.
  [[nodiscard]] std::optional<Error> stalled() const;
  // The tail ends with this error at the next call of next().
  void fail(Error error);

 private:
  enum class Phase : std::uint8_t { kStart, kResolving, kLocating, kScanning, kReading };

  // The batch being taken apart.
  struct Current {
    TailShard* shard;
    TailShard::Batch batch;
    BatchReader reader;
  };

  [[nodiscard]] Result<void> check_options() const;
  void send_resolve(Moment now);
  // Asks for the names behind those that were looked up, as many as one request may hold.
  void send_names(Moment now);
  void on_own_reply(std::uint64_t token, const CallResult& result, Moment now);
  void on_resolve(const CallResult& result, Moment now);
  void on_all_resolved(Moment now);
  [[nodiscard]] Result<void> add_shards(const wire::StreamInfo& stream);
  // kNotFound for a stream that is not what it was when the tail began.
  [[nodiscard]] Result<void> check_alive() const;
  void locate(std::optional<TimeUs> at, Moment now);
  void on_offsets(std::size_t shard, const CallResult& result, Moment now);
  void on_all_located(Moment now);
  void follow_up(Moment now);
  // Where the merge waits for a shard without batches: asks how far that shard is closed.
  void ask_for_closing(Moment now);
  // A tail that has an end must come to it: fails where nothing arrives for too long.
  void watch_silence(Moment now);
  [[nodiscard]] Result<Offset> start_of(std::size_t shard) const;
  // kNotFound where it names a shard that is not read here.
  [[nodiscard]] Result<void> check_cursor() const;
  void begin_reading(const std::vector<Offset>& starts, const std::vector<TailBounds>& ends);
  // kLast: one window after the other.
  void search_last(Moment now);
  void scan(Moment now);
  [[nodiscard]] Result<void> count_batch(TailShard& shard);

  // Begins to take apart the shard's head. Batches that cannot match stay closed.
  [[nodiscard]] Result<void> open(TailShard& shard);
  // None at the end of the batch, which is then put away, and after fail().
  [[nodiscard]] std::optional<Tail::Item> take_record(Current& current);
  // None after fail(), where gaps are not to be skipped.
  [[nodiscard]] std::optional<Tail::Item> take_gap(TailShard& shard);
  // The next of the batch that is wanted; nullptr ends it.
  [[nodiscard]] Result<const RecordView*> next_record(Current& current) const;
  [[nodiscard]] ReadRecord show(const Current& current, const RecordView& record);

  Options options_;
  TailShard::Settings settings_;
  Phase phase_ = Phase::kStart;
  bool resolving_ = false;
  // While resolving: what is known so far, of the first names_done_ names.
  std::map<std::string, wire::StreamInfo, std::less<>> resolved_;
  std::size_t names_done_ = 0;
  std::size_t names_asked_ = 0;
  std::optional<Moment> resolve_at_;
  Backoff backoff_;
  std::vector<std::unique_ptr<TailShard>> shards_;
  // By shard: the last OffsetsReply.
  std::vector<TailBounds> bounds_;
  std::size_t located_ = 0;
  std::uint32_t locate_round_ = 0;
  std::optional<TailPositions> cursor_;
  std::optional<LastSearch> last_;
  std::optional<Current> current_;
  std::vector<FieldView> fields_;
  // Since when the merge waits for a shard of which nothing arrives.
  std::optional<Moment> silent_since_;
  // Records wait for the time up to here to be closed.
  std::optional<TimeUs> close_target_;
  std::vector<TailRequest> requests_;
  bool wants_turn_ = false;
  Moment next_wakeup_ = kMomentMax;
  std::optional<Error> error_;
};

}  // namespace lignum::net
