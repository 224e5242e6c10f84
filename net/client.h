#pragma once

// The client library: append records to streams, read and tail them, administer streams.
//
// A Client owns one thread that does all input and output; every method may be called from any
// thread. Callbacks run on that thread and must not block; the *_wait wrappers and Tail::next
// block the calling thread and must not be called from a callback. Nothing here throws.
//
//     auto client = lignum::Client::connect({.endpoints = {"127.0.0.1:7400"}});
//     auto ack = (*client)->append_wait("app", {.value = lignum::to_bytes("hello"),
//                                               .level = lignum::Level::kInfo});
//
// An append has three outcomes: ok (fsynced on a majority), failed (provably never happened), or
// unknown (Errc::kUnknownOutcome: the deadline passed while the outcome was open). The library
// retries by itself, without ever duplicating, until AppendOptions::deadline.
//
// Sources: producer sessions and the window of five batches follow KIP-98; the batch format is
// Kafka's record batch v2 (docs/log_format.md). docs/client.md is the guide.

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "raft/error.h"
#include "raft/payload.h"
#include "raft/types.h"
#include "storage/level.h"

namespace lignum {

struct Field {
  std::string name;
  std::string value;
};

// One record as the application sees it.
struct Record {
  // Event time; the time of append() where absent.
  std::optional<TimeMs> time;
  // Records of equal key keep their order: they share a shard. Without a key the client's
  // producer identity chooses the shard.
  std::optional<std::vector<std::byte>> key;
  std::vector<std::byte> value;
  std::optional<Level> level;
  // Names must not be "level".
  std::vector<Field> fields;
};

[[nodiscard]] std::vector<std::byte> to_bytes(std::string_view text);

// A record borrowed from the caller; what it points to must live until append_view returns.
struct FieldView {
  std::string_view name;
  std::string_view value;
};
struct BorrowedRecord {
  std::optional<TimeMs> time;
  std::optional<Bytes> key;
  Bytes value;
  std::optional<Level> level;
  std::span<const FieldView> fields;
};

// Where a record went.
struct AppendAck {
  StreamId stream;
  ShardNumber shard;
  Offset offset;
  TimeUs append_time = 0;
};

// Receiver of the outcomes of append_view: one or two calls per batch, not one per record. Owned by
// the caller; must outlive every append that names it. Called on the client's thread.
class AppendListener {
 public:
  virtual ~AppendListener() = default;
  // The outcome of tags.size() records which were appended with these tags, in the order of
  // append_view. `first` is the ack of tags[0]; tags[i] has offset first->offset + i.
  virtual void on_appended(std::span<const std::uint64_t> tags, const Result<AppendAck>& first) = 0;
};

struct ClientOptions {
  // host:port, tried in turn.
  std::vector<std::string> endpoints = {"127.0.0.1:7400"};
  std::string name = "lignum";
  std::chrono::milliseconds connect_timeout{5000};
  // Of requests other than appends and waiting reads; and how long a tail that does not follow
  // waits while nothing arrives.
  std::chrono::milliseconds request_timeout{10000};
  // An append that is not acknowledged by then ends as failed or unknown.
  std::chrono::milliseconds append_deadline{30000};
  // A batch leaves when it holds this many bytes or when linger has passed. With linger zero it
  // leaves as soon as fewer than two batches of its shard are on their way, so that a lone append
  // waits for nothing and a burst gathers behind the batches before it.
  std::size_t batch_bytes = 256 << 10;
  std::chrono::microseconds linger{0};
  // Bytes of records accepted and not yet acknowledged; append() beyond it fails with
  // kOverloaded, append_wait blocks.
  std::size_t buffer_bytes_max = std::size_t{64} << 20;
  // Compression of batches: none, gzip, snappy, lz4 or zstd.
  std::string compression = "none";
};

struct StreamOptions {
  std::optional<std::uint32_t> shards;
  std::optional<std::chrono::milliseconds> retention;  // negative: for ever
  std::optional<std::int64_t> retention_bytes;         // -1: unlimited
};

struct StreamDescription {
  StreamId id;
  std::string name;
  std::optional<std::chrono::milliseconds> retention;
  std::optional<std::uint64_t> retention_bytes;
  TimeUs created = 0;
  struct Shard {
    ShardNumber number;
    GroupId group;
    // The rest only from describe_stream.
    Offset start;
    Offset next;
    std::uint64_t bytes = 0;
    TimeUs last_append = 0;
    std::uint32_t producers = 0;
    std::optional<Error> unavailable;
  };
  std::vector<Shard> shards;
};

// A record as a reader receives it. Views live until the next call of Tail::next.
struct ReadRecord {
  std::string_view stream;
  StreamId stream_id;
  ShardNumber shard;
  Offset offset;
  TimeUs append_time = 0;
  TimeMs event_time = 0;
  std::optional<Bytes> key;
  Bytes value;
  std::optional<Level> level;
  // Without the level.
  std::span<const FieldView> fields;
};

// Records that a reader asked for and that are not there any more (kTrimmed), or that the node
// cannot read (kCorrupt, kIo).
struct Gap {
  std::string stream;
  ShardNumber shard;
  Offset from;  // first missing
  Offset to;    // first present again
  Errc reason = Errc::kTrimmed;
};

// Where a tail begins in each shard it reads.
struct TailStart {
  enum class Kind : std::uint8_t { kEarliest, kLatest, kTime, kLast, kOffset, kCursor };
  Kind kind = Kind::kLatest;
  TimeUs time = 0;          // kTime: first record appended at or after
  std::uint64_t count = 0;  // kLast: this many records of the merged order (after the filter)
  Offset offset;            // kOffset: one shard only
  std::string cursor;       // kCursor: text from Tail::cursor()
};

struct TailOptions {
  std::vector<std::string> streams;
  // Only this shard of the (single) stream.
  std::optional<ShardNumber> shard;
  TailStart start;
  // False: end at the watermarks found at the start; true: go on for ever.
  bool follow = false;
  // Only records appended before this.
  std::optional<TimeUs> until;
  // Records whose level is outside are skipped; whole batches are skipped on the server.
  std::uint32_t level_mask = 0xFFFFFFFFU;
  // Go on over gaps (each is reported once by next()) rather than stop with their reason.
  bool skip_gaps = false;
  // Bytes of batches held at once.
  std::size_t buffer_bytes_max = std::size_t{16} << 20;
};

// An ordered, merged reader of streams: records come by (append time, stream, shard, offset), the
// same on every run and every replica (docs/ARCHITECTURE.md, the merged tail). Not thread-safe:
// one thread calls it.
class Tail {
 public:
  virtual ~Tail() = default;
  struct End {};
  // Nothing within `wait`: output may be flushed. `stalled` says what holds the tail up where
  // something does: kSkew (a node's clock is behind), kUnavailable, kNotLeader ... It goes on by
  // itself when that passes.
  struct Idle {
    std::optional<Error> stalled;
  };
  using Item = std::variant<ReadRecord, Gap, Idle, End>;
  // The next item. Blocks up to `wait`. An error ends the tail; one that does not follow ends with
  // kTimeout where nothing arrives for ClientOptions::request_timeout.
  virtual Result<Item> next(std::chrono::milliseconds wait) = 0;
  // Text that resumes after the last record next() returned: versioned, one line, no spaces.
  [[nodiscard]] virtual std::string cursor() const = 0;
  // From any thread: next() returns End soon.
  virtual void stop() = 0;
};

struct NodeGroupStat {
  GroupId group;
  std::string role;
  Term term;
  Index commit, applied, durable, first, last;
  std::uint64_t log_bytes = 0, live_bytes = 0;
  std::uint32_t segments = 0, shards = 0;
  std::string damage;
  // Why its log cannot grow at present; empty where it can.
  std::string trouble;
};

struct NodeStat {
  std::string cluster_id;  // hexadecimal
  NodeId node;
  std::string version;
  std::chrono::milliseconds uptime{0};
  std::string data_directory;
  std::uint64_t disk_free_bytes = 0;
  bool disk_full = false;
  std::uint64_t resident_bytes = 0;
  std::chrono::microseconds cpu{0};
  std::uint32_t connections = 0;
  std::uint64_t appended_records = 0, appended_bytes = 0;
  std::vector<NodeGroupStat> groups;
};

class Client {
 public:
  using AppendCallback = std::function<void(Result<AppendAck>)>;

  // Connects and shakes hands with one endpoint. kUnavailable names each endpoint and its error.
  static Result<std::unique_ptr<Client>> connect(ClientOptions options);
  // Stops at once: an append without outcome ends as kCancelled if it never left, else as
  // kUnknownOutcome; open tails end with kCancelled. Call flush() first to keep them. Must not be
  // called from a callback.
  virtual ~Client() = default;

  // Queues one record; `done` is called exactly once, on the client's thread, unless this returns
  // an error (kOverloaded, kTooLarge, kInvalidArgument). The stream must exist.
  virtual Result<void> append(std::string_view stream, Record record, AppendCallback done) = 0;
  // The cheap path: nothing is allocated per record, the bytes are encoded into the batch before
  // this returns, and `listener` gets `tag` back together with its whole batch. Errors as append;
  // then the listener is not called for this record.
  virtual Result<void> append_view(std::string_view stream, const BorrowedRecord& record,
                                   AppendListener& listener, std::uint64_t tag) = 0;
  // Blocks while the buffer is full, then until the outcome.
  virtual Result<AppendAck> append_wait(std::string_view stream, Record record) = 0;
  // Conditional append of one batch to one shard: refused with kOffsetMismatch unless `expected`
  // is the shard's next offset. Not coalesced; returns the ack of the first record.
  virtual Result<AppendAck> append_expecting(std::string_view stream, ShardNumber shard,
                                             Offset expected, std::vector<Record> records) = 0;
  // Blocks until every append so far has its outcome.
  virtual void flush() = 0;

  virtual Result<std::unique_ptr<Tail>> tail(TailOptions options) = 0;

  // kInvalidArgument for a name that is none.
  virtual Result<StreamDescription> create_stream(std::string_view name, StreamOptions options) = 0;
  // All, by name in the order of its bytes. They are asked for page by page: a stream that is made
  // or deleted meanwhile may or may not be among them, every other is there once.
  virtual Result<std::vector<StreamDescription>> list_streams() = 0;
  virtual Result<StreamDescription> describe_stream(std::string_view name) = 0;
  // Deletes the records below `before`; returns the first offset kept. kOffsetOutOfRange above the
  // end of the shard, and nothing is deleted; below the first record there is nothing to do.
  virtual Result<Offset> trim(std::string_view stream, ShardNumber shard, Offset before) = 0;
  virtual Result<void> delete_stream(std::string_view name) = 0;
  virtual Result<NodeStat> stat() = 0;
  // Returns the previous level.
  virtual Result<std::string> set_log_level(std::string_view level) = 0;
};

}  // namespace lignum
