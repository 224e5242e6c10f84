#pragma once

// A segment as readers see it: a file, its place in the log, and how to find things in it.
//
// Shared by the log and the ReadPlans that still read from it: a segment that the cleaner removed
// stays readable until the last of them is gone. Immutable once sealed; safe from any thread.

#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "raft/entry.h"
#include "raft/error.h"
#include "raft/mutex.h"
#include "raft/payload.h"
#include "raft/types.h"
#include "storage/file.h"
#include "storage/manifest.h"
#include "storage/segment_index.h"

namespace lignum::storage {

// What a sealed segment holds of one shard; kept in memory for every segment.
struct ShardSummary {
  Offset first;
  Offset end;  // one past the last
  std::uint64_t bytes = 0;
  TimeUs first_time = 0;
  TimeUs last_time = 0;
};

// A frame to read.
struct Location {
  std::uint32_t position = 0;
  std::uint32_t bytes = 0;
};

// Whose a segment is: others have segments of the same number.
struct SegmentOwner {
  GroupIncarnation group;
  // Of the data directory that it was written in.
  NodeIncarnation node;
};

class Segment {
 public:
  Segment(SegmentOwner owner, const SegmentRecord& record, std::unique_ptr<File> reader,
          std::string path)
      : owner_(owner),
        id_(record.id),
        path_(std::move(path)),
        reader_(std::move(reader)),
        record_(record) {}

  [[nodiscard]] const SegmentOwner& owner() const { return owner_; }
  [[nodiscard]] SegmentId id() const { return id_; }
  // The lane alone, until the segment is sealed.
  [[nodiscard]] const SegmentRecord& record() const { return record_; }
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] const std::map<ShardKey, ShardSummary>& shards() const { return shards_; }
  // Bytes of entry frames.
  [[nodiscard]] std::uint64_t entry_bytes() const { return entry_bytes_; }

  // By the lane, before anybody else sees the segment as sealed. The footer may still be on its
  // way to the disk: `index` stays in memory until release_index().
  void seal(const SegmentRecord& record, std::shared_ptr<const SegmentIndex> index);
  void release_index() EXCLUDES(mutex_);
  // True from seal() to release_index(): the manifest does not list it as sealed yet.
  [[nodiscard]] bool index_resident() const EXCLUDES(mutex_);

  // The index of a sealed segment, from memory or from the footer, checked; entries that a
  // truncation cut off are not in it. kCorrupt (also where another group's file lies there) or kIo.
  [[nodiscard]] Result<std::shared_ptr<const SegmentIndex>> load_index() const EXCLUDES(mutex_);

  // What read() found: entries, up to the first one that cannot be read.
  struct Reading {
    std::vector<Entry> entries;
    // kCorrupt (naming file and byte) or kIo, of the location behind the last entry.
    std::optional<Error> error;
  };
  // The entries at `locations`, ascending, every checksum verified, and that this segment's owner
  // wrote them: files may be mixed up while this process runs. Stops once bytes_max is passed,
  // after at least one.
  [[nodiscard]] Reading read(std::span<const Location> locations, std::size_t bytes_max) const;
  // The same; fails where one of them cannot be read.
  [[nodiscard]] Result<std::vector<Entry>> read_sound(std::span<const Location> locations,
                                                      std::size_t bytes_max) const;
  // `out.size()` bytes from `position`; kCorrupt when the file is too short.
  [[nodiscard]] Result<void> read_exactly(std::uint64_t position, std::span<std::byte> out) const;

 private:
  [[nodiscard]] Result<Entry> entry_in(const Payload& block, std::uint64_t begin,
                                       const Location& at) const;

  const SegmentOwner owner_;
  const SegmentId id_;
  const std::string path_;
  const std::unique_ptr<File> reader_;
  SegmentRecord record_;
  std::map<ShardKey, ShardSummary> shards_;
  std::uint64_t entry_bytes_ = 0;
  mutable Mutex mutex_;
  std::shared_ptr<const SegmentIndex> resident_ GUARDED_BY(mutex_);
};

using SegmentPtr = std::shared_ptr<Segment>;

// The footers read last, so that a reader does not read one for every request. Shared by the
// ReadPlans of one log; any thread. Known by segment and last entry: a truncation makes another.
class FooterCache {
 public:
  static constexpr std::size_t kFootersMax = 4;
  [[nodiscard]] Result<std::shared_ptr<const SegmentIndex>> get(const Segment& segment)
      EXCLUDES(mutex_);

 private:
  struct Cached {
    SegmentId id;
    Index last;
    std::shared_ptr<const SegmentIndex> index;
  };
  Mutex mutex_;
  // Newest first.
  std::list<Cached> cached_ GUARDED_BY(mutex_);
};

}  // namespace lignum::storage
