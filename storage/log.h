#pragma once

// The log of one group: entries by index, kept once, served by index and by shard offset.
//
// A Log belongs to one replica and is called from its lane; the two kinds of value it hands out,
// FlushJob and ReadPlan, do the input and output and may run on any thread. Nothing here blocks
// the lane. Rules B, C, E of the contract are kept below this interface: docs/log_format.md tells
// the bytes, segmented_log.h the life of a directory.
//
// Durability: append() and truncate_after() only stage. take_flush() hands over everything staged
// as one job; the job is run once, elsewhere; complete_flush() is then called on the lane, and
// durable() has risen. At most one job of a log is out at a time: what is staged meanwhile goes
// with the next one (group commit).

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "raft/entry.h"
#include "raft/error.h"
#include "raft/types.h"
#include "storage/log_mark.h"

namespace lignum::storage {

// Writes and syncs staged changes. Owned by whoever runs it; touches no state of the lane.
class FlushJob {
 public:
  virtual ~FlushJob() = default;
  // Runs once. An error means a failed write or sync of live data: the caller stops the process.
  virtual Result<void> run() = 0;
};

// Why a read ends before it has all that was asked for.
struct ReadTrouble {
  // kCorrupt (naming file and byte) or kIo.
  Error error;
  // Of a read by shard: the offsets [from, to) of what cannot be read. What lies behind was not
  // looked at further than to find where it begins.
  struct Offsets {
    Offset from;
    Offset to;
  };
  std::optional<Offsets> offsets = std::nullopt;
};

// Reads entries that were looked up on the lane. Holds the segments it needs open.
class ReadPlan {
 public:
  virtual ~ReadPlan() = default;
  // True when run() does no input: the lane may run it inline.
  [[nodiscard]] virtual bool in_memory() const = 0;
  // The entries in order, every checksum verified, up to the first one that cannot be read. Fails,
  // as trouble() says, only where that is the first one asked for. Called once.
  virtual Result<std::vector<Entry>> run() = 0;
  // After run(): what it met.
  [[nodiscard]] virtual const std::optional<ReadTrouble>& trouble() const = 0;
};

// Whether `append` can take more bytes now.
enum class Room : std::uint8_t {
  kReady,
  kPreparing,  // a segment is being pre-written; ask again soon
  kNoSpace,    // the disk is full: refuse appends, keep serving reads and trims
  kFailed,     // a segment cannot be prepared for another reason: the same
};

struct ShardReadOptions {
  Offset from;
  // Entries whose first offset is at or above this are not returned: the watermark.
  Offset below;
  // At least one entry is returned where one exists, however large.
  std::size_t bytes_max = 1 << 20;
  // Entries whose level mask has no bit of this are skipped.
  std::uint32_t level_mask = kLevelMaskAll;
};

// Each does input and may run on any thread, once; it holds the segments it needs open. kCorrupt
// (naming file and byte) or kIo.
using KeptRead = std::move_only_function<Result<std::vector<KeptItem>>()>;
using MarkSearch = std::move_only_function<Result<std::optional<LogMark>>()>;

class LogStage;

class Log {
 public:
  virtual ~Log() = default;

  // Contents, staged entries included.
  [[nodiscard]] virtual Index first_index() const = 0;   // lowest index that can be read
  [[nodiscard]] virtual LogId last() const = 0;          // index 0 when empty
  [[nodiscard]] virtual Hash128 last_chain() const = 0;  // group chain after last()
  [[nodiscard]] virtual TimeUs last_append_time() const = 0;
  [[nodiscard]] virtual Index durable() const = 0;

  // Asks for room before admitting `bytes` of entries (headers included). Starts the preparation
  // of a segment where one will be needed.
  [[nodiscard]] virtual Room room(std::size_t bytes) = 0;
  // The same for a small entry that helps to give space back (a trim, a dropped shard): it may take
  // half of what is kept for the node's own entries, so that a full disk does not refuse it.
  [[nodiscard]] virtual Room upkeep_room(std::size_t bytes) = 0;
  // Stages entries with consecutive indexes after last(); each header's previous_chain equals the
  // chain so far (CHECKed). The caller has asked room().
  virtual void append(std::span<const Entry> entries) = 0;
  // Why the last try to prepare a segment failed; none once one succeeded. What room() calls
  // kNoSpace or kFailed, and known as soon as it happens: appends go on while the active segment
  // has room.
  [[nodiscard]] virtual const std::optional<Error>& prepare_error() const = 0;
  // A sync of the directory failed, and why (Directory::sync_error()): the process has to end.
  [[nodiscard]] virtual std::optional<Error> sync_error() const { return std::nullopt; }
  // Tries again what failed. Without it only an append that needs the segment does.
  virtual void retry_preparation() = 0;
  // Called on the lane whenever prepare_error() was set, or reset.
  virtual void on_preparation(std::function<void()> changed) = 0;
  // Stages the removal of every entry above `last_kept`, which is not below the commit index (nor
  // below first_index() - 1). Precondition: everything else is flushed and no job is out (CHECKed).
  // Reads the last frame that is kept: kCorrupt, kIo, kTooManyFiles, and then nothing has changed.
  [[nodiscard]] virtual Result<void> truncate_after(Index last_kept) = 0;

  // Nothing when nothing is staged, or when it is better gathered while earlier jobs are out, of
  // which there are kFlushesOutMax at most. Jobs are run one after the other, in the order in which
  // they were taken, and none after one that failed.
  static constexpr std::size_t kFlushesOutMax = 2;
  [[nodiscard]] virtual std::unique_ptr<FlushJob> take_flush() = 0;
  // `job` came from take_flush() and ran ok; jobs are completed in the order of taking.
  virtual void complete_flush(std::unique_ptr<FlushJob> job) = 0;
  // Stages a marker frame covering durable(), if none does yet; called when the log has been idle
  // for kMarkerDelayMs and at shutdown. True when there is something to flush.
  virtual bool stage_marker() = 0;

  // Gives back what was prepared for entries to come; called when none came for a while.
  virtual void release_spare() = 0;

  // Term and chain of one entry; none below first_index() - 1 or above last().
  [[nodiscard]] virtual std::optional<LogId> id_at(Index index) const = 0;
  // Entries [from, to], fewer once bytes_max is passed, at least one.
  [[nodiscard]] virtual std::unique_ptr<ReadPlan> read(Index from, Index to,
                                                       std::size_t bytes_max) = 0;
  // Entries of one shard. An entry that contains `from` in its middle is returned whole.
  [[nodiscard]] virtual std::unique_ptr<ReadPlan> read_shard(ShardKey shard,
                                                             const ShardReadOptions& options) = 0;
  // First offset of the first entry of the shard whose append time is >= `time`; none if no such
  // entry is in the log.
  [[nodiscard]] virtual std::optional<Offset> find_time(ShardKey shard, TimeUs time) const = 0;

  // Tells what no reader needs any more: records of `shard` below `start` (an entry that holds
  // `start` is kept whole), as the state after entry `at` says; `at` never falls. A dropped shard
  // is trimmed to the highest offset.
  virtual void set_shard_start(ShardKey shard, Offset start, Index at) = 0;
  // Frees sealed segments that hold nothing alive and lie wholly at or below `durable_image`, and
  // rewrites those under half alive. Only what the state of that image does not need counts as
  // dead: whoever starts from it, here or elsewhere, must find in the log what it promises to
  // readers. Returns a job (input and output, any thread) or nothing.
  [[nodiscard]] virtual std::unique_ptr<FlushJob> take_clean(Index durable_image) = 0;
  // `job` came from take_clean() and ran; on failure the log is as before.
  virtual void complete_clean(std::unique_ptr<FlushJob> job, bool ok) = 0;

  // ---- Snapshots: a log with holes goes to another replica, and takes the place of one here.

  // Where sealed segments end, newest first, as many as `count_max`.
  [[nodiscard]] virtual std::vector<LogMark> boundaries(std::size_t count_max) const = 0;
  // Finds the first of `known` (newest first) after which this log stands, too: the same bytes lie
  // before it here and there. None where that can be said of none of them.
  [[nodiscard]] virtual MarkSearch find_mark(std::vector<LogMark> known) = 0;
  // What is kept of (after, to], in order, up to about `bytes_max`, at least one item; two holes
  // never follow one another. `to` is durable, above `after`, and not inside a hole.
  [[nodiscard]] virtual KeptRead read_kept(Index after, Index to, std::size_t bytes_max) = 0;
  // Begins a log that is to continue this one's at `after` (one of boundaries(), or index 0) and
  // then to take its place. Nothing of it is in the log before take_restore().
  [[nodiscard]] virtual std::unique_ptr<LogStage> begin_stage(const LogMark& after) = 0;
  // Called before every LogStage::add, from the lane.
  virtual void extend(LogStage& stage) = 0;
  // The log becomes what is kept of it up to stage->after(), and then what was staged, which was
  // finished. One switch: after a crash it is the old log or the new one. Preconditions: everything
  // is flushed, no job of any kind is out (CHECKed). Until complete_restore() the log is as it was
  // and nothing is appended or truncated.
  [[nodiscard]] virtual std::unique_ptr<FlushJob> take_restore(std::unique_ptr<LogStage> stage) = 0;
  // `job` came from take_restore() and ran ok.
  virtual void complete_restore(std::unique_ptr<FlushJob> job) = 0;

  struct Usage {
    std::uint64_t bytes = 0;       // on disk, segments only
    std::uint64_t live_bytes = 0;  // of entries still needed
    std::uint64_t segments = 0;
  };
  [[nodiscard]] virtual Usage usage() const = 0;
  // Every shard of which the log holds entries, alive or not. A state machine that forgot a
  // dropped shard finds out here, after a restart, what set_shard_start() must be told again.
  [[nodiscard]] virtual std::vector<ShardKey> shards() const = 0;
  // Bytes of live entries of one shard at or above its start.
  [[nodiscard]] virtual std::uint64_t shard_bytes(ShardKey shard) const = 0;
  // Of these, the bytes of entries that lie wholly below `offset`: what a trim to it would free.
  [[nodiscard]] virtual std::uint64_t shard_bytes_below(ShardKey shard, Offset offset) const = 0;
};

// How long a log is idle before its marker is written (rules of the torn tail).
inline constexpr std::uint32_t kMarkerDelayMs = 10;

}  // namespace lignum::storage
