#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "net/backoff.h"
#include "net/call.h"
#include "net/client.h"
#include "net/moment.h"
#include "net/proto/client.pb.h"
#include "raft/check.h"
#include "raft/error.h"
#include "raft/payload.h"
#include "raft/types.h"

namespace lignum::net {

// A request of a tail; its answer comes back with the token.
struct TailRequest {
  std::uint64_t token;
  wire::Request request;
  std::optional<ShardKey> shard;
  Retry retry = Retry::kNever;
  Moment deadline;
};

// One shard of a tail: fetches ahead within its share of memory, and knows until when it is
// complete.
//
// Owned by TailReader; sans-IO. It knows nothing of the other shards: TailReader merges. Two reads
// are under way at most: a poll, which waits at the watermark while following, and a close, which
// asks that the group's time go on because other shards have records waiting.
//
//     handed out | current and queued batches | fetched up to here | not fetched
//                position()                                fetch_  : stamped later than bound()
class TailShard {
 public:
  struct Settings {
    // Share of the tail's memory; one batch is always fetched, however large.
    std::size_t buffer_bytes = std::size_t{1} << 20;
    std::uint32_t level_mask = 0xFFFFFFFFU;
    bool follow = false;
    std::optional<TimeUs> until;
    Backoff::Options backoff;
  };

  struct Batch {
    Payload bytes;
    Offset base;
    std::uint32_t record_count = 0;
    TimeUs append_time = 0;
    std::uint32_t level_mask = 0;
  };

  // What an answer means to the tail as a whole.
  enum class Effect : std::uint8_t {
    kNone,
    kStreamMayBeGone,  // kNotFound: resolve the name again
    kFailed,           // error() ends the tail
  };

  static constexpr std::uint32_t kPollWaitMs = 10'000;
  static constexpr std::uint32_t kReadBytesMax = 4U << 20;
  static constexpr std::uint32_t kReadBytesMin = 64U << 10;

  // `token_base`: the upper half of every token.
  TailShard(const Settings& settings, ShardKey key, std::string stream, std::uint32_t token_base,
            std::uint64_t seed);

  // Reads from here, up to but without `end` (none: for ever). What was fetched before is dropped;
  // answers to earlier requests are ignored.
  void begin(Offset from, std::optional<Offset> end);

  // Sends the poll where it is due and there is room.
  void turn(Moment now, std::vector<TailRequest>& requests);
  // The merge waits for this shard: ask that everything up to `target` be closed.
  void ask_close(TimeUs target, Moment now, std::vector<TailRequest>& requests);
  [[nodiscard]] Effect on_reply(std::uint64_t token, const CallResult& result, Moment now);
  [[nodiscard]] Moment next_wakeup() const { return wakeup_; }

  // The first batch not taken; none while nothing is fetched.
  [[nodiscard]] const Batch* head() const { return queue_.empty() ? nullptr : &queue_.front(); }
  [[nodiscard]] TimeUs last_queued_time() const { return queue_.back().append_time; }
  // Takes the head.
  [[nodiscard]] Batch take();
  // Everything before `offset` has been handed out.
  void advance(Offset offset) { position_ = offset; }
  // Records lie between this and the next batch that do not exist any more, or that the node cannot
  // read. Only where no head is.
  [[nodiscard]] const std::optional<Gap>& gap() const { return gap_; }
  // What the node said of it.
  [[nodiscard]] const Error& gap_error() const {
    CHECK(gap_error_.has_value());
    return *gap_error_;
  }
  void clear_gap();
  // Nothing will come after what is queued.
  [[nodiscard]] bool finished() const { return finished_; }
  // Ends the shard here; drops what is queued.
  void finish();
  // Every batch not yet fetched is stamped later than this.
  [[nodiscard]] TimeUs bound() const { return bound_; }
  // First offset not fetched.
  [[nodiscard]] Offset fetched() const { return fetch_; }
  // First offset not handed out.
  [[nodiscard]] Offset position() const { return position_; }
  // Where to resume while no batch taken from here is being handed out: what was skipped unread
  // counts as handed out.
  [[nodiscard]] Offset resume_from() const;
  [[nodiscard]] std::optional<Offset> end() const { return end_; }

  [[nodiscard]] ShardKey key() const { return key_; }
  [[nodiscard]] const std::string& stream() const { return stream_; }
  [[nodiscard]] const Error& error() const {
    CHECK(error_.has_value());
    return *error_;
  }
  // What holds this shard up at present.
  [[nodiscard]] const std::optional<Error>& stalled() const { return stalled_; }

 private:
  struct Read {
    std::uint64_t token;
    Offset from;
    Moment sent;
  };

  [[nodiscard]] TailRequest read(Moment now, std::uint32_t wait_ms);
  [[nodiscard]] std::uint32_t read_bytes() const;
  [[nodiscard]] Effect on_read(const Read& read, const CallResult& result);
  [[nodiscard]] Effect on_trouble(const Error& error, const wire::Response& response, Moment now,
                                  std::optional<Moment>& retry);
  // Nothing up to `to` can be had, says a node.
  void meet_gap(Offset to, const Error& error);
  [[nodiscard]] Result<void> take_batches(const wire::ReadReply& reply, const Payload& payload);
  void check_end();
  // Only a filter may make the node leave records out; anything else would be a silent hole.
  [[nodiscard]] bool skips_allowed() const { return settings_.level_mask != 0xFFFFFFFFU; }
  [[nodiscard]] std::string place() const;

  const Settings& settings_;
  const ShardKey key_;
  const std::string stream_;
  std::uint64_t next_token_;
  Backoff backoff_;
  Offset position_;
  Offset fetch_;
  // Where reading began, or began again behind a gap: only there a batch may start earlier.
  Offset entry_;
  std::optional<Offset> end_;
  TimeUs bound_ = std::numeric_limits<TimeUs>::min();
  bool finished_ = false;
  std::deque<Batch> queue_;
  std::size_t queued_bytes_ = 0;
  std::optional<Gap> gap_;
  std::optional<Error> gap_error_;
  std::optional<Read> poll_;
  std::optional<Read> close_;
  std::optional<Moment> poll_at_;
  std::optional<Moment> close_at_;
  Moment wakeup_ = kMomentMax;
  std::optional<Error> stalled_;
  std::optional<Error> error_;
};

}  // namespace lignum::net
