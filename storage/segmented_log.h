#pragma once

// The log of one group in a directory of its own.
//
//     manifest               the live segments, in order (manifest.h)
//     <segment id>.seg       a segment (frame_format.h)
//     manifest.new, other    debris: what a crash left half made; removed at boot
//
// The life of a segment. It is *prepared* in the background (segment_preparation.h), so that later
// writes only overwrite blocks, which makes their flush two to three times cheaper. The log *rolls*
// into it: in one flush, in this order, the old segment gets its last frames and its footer and is
// synced, the manifest is replaced, the new segment gets its header block and first frames and is
// synced. From then on it is *active*. Sealed by the next roll, it is read through its footer. When
// nothing in it is needed any more the *cleaner* takes it out of the manifest and deletes it; when
// less than half is, a copy with skip frames takes its place.
//
// Truncation overwrites nothing either: in one flush the manifest cuts the segment in which the log
// ends from now on, forgets those behind it, and lists a new active one; then their files go.
//
// A snapshot replaces the log's end: staged segments (log_stage.h) are written and synced unlisted,
// then one edit of the manifest lists them and a new active segment in place of what was there.
//
// What each crash leaves: a prepared file that the manifest does not list is debris. A listed
// active segment without a valid header block was rolled into and never flushed. A footer without
// its manifest entry is garbage behind the last frame.
//
// Recovery scans the active segment only. A bad region at P is a torn tail, cut with a report, only
// if no frame or marker behind it says that anything beyond P was flushed when it was written, and
// none lies further away than the largest flush, and nothing outside the log proves more to have
// been flushed (LogEvidence); otherwise it is damage, and the log does not open.
//
// See storage/log.h for threads and promises. Deviations: docs/design/0002-segmented-log.md.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "raft/entry.h"
#include "raft/error.h"
#include "raft/types.h"
#include "storage/file.h"
#include "storage/frame_codec.h"
#include "storage/frame_format.h"
#include "storage/kept_entries.h"
#include "storage/log.h"
#include "storage/log_mark.h"
#include "storage/manifest.h"
#include "storage/segment.h"
#include "storage/segment_index.h"
#include "storage/segment_preparation.h"
#include "storage/segment_writer.h"
#include "storage/tail_cache.h"

namespace lignum::storage {

// While one flush is out, a second one is taken once this much is staged, so that the disk need not
// wait for the lane between two. With less it is better to wait: what comes meanwhile shares the
// flush.
inline constexpr std::size_t kEarlyFlushBytes = std::size_t{320} << 10;

// While flushes are of this size, segments are prepared by reserving their blocks instead of
// writing zeros: the first write to a reserved block costs a journal commit (90 us where this was
// measured), which is less than writing every byte twice (docs/design/0002-segmented-log.md).
inline constexpr std::size_t kReserveFromBytes = std::size_t{32} << 10;

struct SegmentedLogOptions {
  GroupId group;
  GroupIncarnation incarnation;
  NodeIncarnation node;
  // Outlives the log.
  BackgroundRunner background;
  std::size_t segment_bytes_min = kSegmentBytesMin;
  std::size_t segment_bytes_max = kSegmentBytesMax;
  std::size_t tail_cache_bytes = std::size_t{8} << 20;
  std::size_t early_flush_bytes = kEarlyFlushBytes;
  std::size_t reserve_from_bytes = kReserveFromBytes;
  // No segment is prepared unless this much would stay free beside it.
  std::uint64_t free_bytes_min = std::uint64_t{16} << 20;

  [[nodiscard]] SegmentOwner owner() const { return {.group = incarnation, .node = node}; }
};

// What something outside the log proves to have been flushed: recovery cuts nothing at or below it.
struct LogEvidence {
  Index index;
  // A noun phrase for messages, such as "the checkpoint".
  std::string source;
  // The same place in full, where it is known: what repair may restore up to (log_repair.h).
  std::optional<LogMark> mark = std::nullopt;
  // How far the log was durable when it was last open in this process; not all of it is committed.
  // A repair that finds less asks how far the log reaches.
  Index flushed{};
};

// What recovery cut off: never acknowledged, as far as the bytes can tell.
struct TornTail {
  std::string file;
  std::uint64_t position = 0;
  std::uint64_t bytes = 0;  // up to the last byte that is not zero
  Index index;              // of the first entry that is gone
};

struct RecoveryReport {
  std::optional<TornTail> torn;
  // One sentence each: a damaged manifest copy that was rewritten, debris that was removed.
  std::vector<std::string> remarks;
  std::uint64_t scanned_bytes = 0;
};

class SegmentedLog final : public Log {
 public:
  // Makes an empty log, durably, in an empty directory.
  static Result<void> create(Directory& directory, const SegmentedLogOptions& options);

  struct Opened {
    std::unique_ptr<SegmentedLog> log;
    RecoveryReport report;
  };
  // Recovers the log, which must reach `evidence`. kCorrupt names file and byte: no segment was
  // changed and the group must not be served. `directory` outlives the log. Blocks; boot only.
  static Result<Opened> open(Directory& directory, const SegmentedLogOptions& options,
                             const LogEvidence& evidence = {});
  ~SegmentedLog() override;

  [[nodiscard]] Index first_index() const override;
  [[nodiscard]] LogId last() const override { return mark_.id; }
  [[nodiscard]] Hash128 last_chain() const override { return mark_.chain; }
  [[nodiscard]] TimeUs last_append_time() const override { return mark_.append_time; }
  [[nodiscard]] Index durable() const override { return durable_; }
  [[nodiscard]] Room room(std::size_t bytes) override;
  [[nodiscard]] Room upkeep_room(std::size_t bytes) override;
  void append(std::span<const Entry> entries) override;
  [[nodiscard]] std::optional<Error> sync_error() const override { return directory_.sync_error(); }
  [[nodiscard]] const std::optional<Error>& prepare_error() const override {
    return prepare_error_;
  }
  void retry_preparation() override;
  void on_preparation(std::function<void()> changed) override {
    preparation_changed_ = std::move(changed);
  }
  // First index of the active segment.
  [[nodiscard]] Index active_first_index() const {
    return segments_.back()->record().before.id.index.next();
  }
  [[nodiscard]] Result<void> truncate_after(Index last_kept) override;
  [[nodiscard]] std::unique_ptr<FlushJob> take_flush() override;
  void complete_flush(std::unique_ptr<FlushJob> job) override;
  bool stage_marker() override;
  [[nodiscard]] std::optional<LogId> id_at(Index index) const override;
  [[nodiscard]] std::unique_ptr<ReadPlan> read(Index from, Index to,
                                               std::size_t bytes_max) override;
  [[nodiscard]] std::unique_ptr<ReadPlan> read_shard(ShardKey shard,
                                                     const ShardReadOptions& options) override;
  [[nodiscard]] std::optional<Offset> find_time(ShardKey shard, TimeUs time) const override;
  void set_shard_start(ShardKey shard, Offset start, Index at) override;
  void release_spare() override;
  [[nodiscard]] std::unique_ptr<FlushJob> take_clean(Index durable_image) override;
  void complete_clean(std::unique_ptr<FlushJob> job, bool ok) override;
  [[nodiscard]] std::vector<LogMark> boundaries(std::size_t count_max) const override;
  [[nodiscard]] MarkSearch find_mark(std::vector<LogMark> known) override;
  [[nodiscard]] KeptRead read_kept(Index after, Index to, std::size_t bytes_max) override;
  [[nodiscard]] std::unique_ptr<LogStage> begin_stage(const LogMark& after) override;
  void extend(LogStage& stage) override;
  [[nodiscard]] std::unique_ptr<FlushJob> take_restore(std::unique_ptr<LogStage> stage) override;
  void complete_restore(std::unique_ptr<FlushJob> job) override;
  [[nodiscard]] Usage usage() const override;
  [[nodiscard]] std::vector<ShardKey> shards() const override;
  [[nodiscard]] std::uint64_t shard_bytes(ShardKey shard) const override;
  [[nodiscard]] std::uint64_t shard_bytes_below(ShardKey shard, Offset offset) const override;

 private:
  friend class LogRecovery;
  struct SegmentFiles {
    std::shared_ptr<File> writer;
    std::unique_ptr<File> reader;
  };
  // A prepared segment.
  struct Spare {
    SegmentId id;
    std::size_t bytes = 0;
    SegmentFiles files;
  };

  SegmentedLog(Directory& directory, const SegmentedLogOptions& options,
               std::unique_ptr<ManifestFile> manifest);

  void prepare_spare(std::size_t bytes);
  void prepared(const Result<void>& outcome);
  [[nodiscard]] static Result<SegmentFiles> open_segment_files(Directory& directory, SegmentId id);
  // Makes one on the lane, where none could be prepared.
  [[nodiscard]] Spare unprepared_segment();
  [[nodiscard]] std::size_t next_segment_bytes(std::size_t least) const;
  // Bytes that entries may still take in the active segment, `reserve` left aside.
  [[nodiscard]] std::size_t active_room(std::size_t reserve) const;
  [[nodiscard]] bool fits(std::size_t frame) const;
  void append_one(const Entry& entry);
  // Stages the sealing of the active segment as it stands and the switch to the spare.
  void roll();
  // Its two halves: the footer of the active segment, whose frames end at `frames_end`; and the
  // manifest, after `change`, then the header of the segment that goes on.
  [[nodiscard]] SegmentRecord seal_active(std::uint64_t frames_end);
  void begin_segment(std::function<void(Manifest&)> change);
  // Where a segment is cut so that it ends with an entry it holds.
  struct Cut {
    LogMark mark;
    std::uint64_t frames_end = 0;
    // Of a sealed segment: its shorter self.
    std::unique_ptr<File> reader{};
    std::shared_ptr<SegmentIndex> index{};
  };
  // Everything that may fail; nothing has changed.
  [[nodiscard]] static Result<Cut> cut_point(const Segment& segment, const SegmentIndex& index,
                                             Index last_kept);
  [[nodiscard]] Result<Cut> sealed_cut_point(const SegmentPtr& segment, Index last_kept) const;
  // Each makes the segment the log's last and returns its record.
  [[nodiscard]] SegmentRecord cut_sealed(SegmentPtr& segment, Cut cut);
  [[nodiscard]] SegmentRecord cut_active(const Cut& cut);
  [[nodiscard]] Envelope envelope(FrameKind kind) const;
  [[nodiscard]] KeptSource kept_source() const;
  using Starts = std::map<ShardKey, Offset>;
  [[nodiscard]] std::uint64_t live_bytes(const Segment& segment, const Starts& starts) const;
  [[nodiscard]] std::uint64_t bytes_below(const Segment& segment, ShardKey shard,
                                          Offset offset) const;
  [[nodiscard]] std::shared_ptr<const SegmentIndex> index_of(const SegmentPtr& segment) const;

  Directory& directory_;
  const SegmentedLogOptions options_;
  std::shared_ptr<ManifestFile> manifest_;
  std::shared_ptr<FooterCache> footers_ = std::make_shared<FooterCache>();

  // In log order; the last one is active.
  std::vector<SegmentPtr> segments_;
  SegmentIndex active_index_;
  std::unique_ptr<SegmentWriter> writer_;
  // Frames and footer of the active segment fit in here without growing the file.
  std::size_t capacity_ = 0;
  // Of the active segment: known flushed, and end of the newest marker.
  std::uint64_t flushed_end_ = kFramesStart;
  std::uint64_t marked_end_ = 0;
  LogMark mark_;
  Index durable_;
  std::uint64_t truncation_ = 0;
  SegmentId next_segment_;
  TailCache cache_;

  // Staged operations that come before the writer's own bytes, in order.
  class Flush;
  std::unique_ptr<Flush> staged_;
  std::size_t flushes_out_ = 0;
  // Of late: a moving average.
  std::size_t flush_bytes_ = 0;

  std::optional<Spare> spare_;
  // The spare to come.
  std::shared_ptr<SegmentPreparation> preparing_;
  std::optional<Error> prepare_error_;
  // What the segment that is, or was, prepared last has to hold at least.
  std::size_t wanted_bytes_ = 0;
  std::function<void()> preparation_changed_;
  // What no reader needs any more: as far as was told; as the image says up to which the log was
  // cleaned last; and what was told since, in the order of `at`.
  Starts starts_;
  Starts imaged_starts_;
  struct ToldStart {
    Index at;
    ShardKey shard;
    Offset start;
  };
  std::deque<ToldStart> told_starts_;
  bool clean_out_ = false;
  class Restore;
};

}  // namespace lignum::storage
