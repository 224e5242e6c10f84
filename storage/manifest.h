#pragma once

// The list of a group's live segments: what is in it is the log, what is not is debris.
//
// One file, `manifest`, replaced as a whole: written under another name, synced, renamed, the
// directory synced. It holds two self-checking copies in different blocks, so that one bad block
// costs nothing; both bad is damage and stops the group, because a shorter list would lose records
// in silence. docs/log_format.md gives the bytes.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "raft/entry.h"
#include "raft/error.h"
#include "raft/mutex.h"
#include "raft/types.h"
#include "storage/file.h"
#include "storage/log_mark.h"

namespace lignum::storage {

inline constexpr const char* kManifestName = "manifest";

struct SegmentRecord {
  SegmentId id;
  // The log before the first entry of the segment.
  LogMark before;
  // The file is never shorter than this.
  std::uint64_t file_bytes = 0;
  // The rest only of sealed segments.
  bool sealed = false;
  // The cleaner left skip frames in it.
  bool holes = false;
  // The log was truncated to `after`: frames that are no longer of the log may lie behind
  // frames_end, and the footer may tell of them.
  bool cut = false;
  LogMark after;
  std::uint64_t frames_end = 0;
  std::uint64_t footer_at = 0;
  std::uint64_t footer_bytes = 0;
  friend bool operator==(const SegmentRecord&, const SegmentRecord&) = default;
};

struct Manifest {
  GroupId group;
  GroupIncarnation incarnation;
  // Times the log was truncated (rule B3).
  std::uint64_t truncation = 0;
  SegmentId next_segment;
  // In log order; the last one is the active one.
  std::vector<SegmentRecord> segments;
  friend bool operator==(const Manifest&, const Manifest&) = default;
};

[[nodiscard]] std::string segment_file_name(SegmentId id);

// The file as it lies there, its two copies judged.
struct ManifestRead {
  // A good copy: `bytes` of content in whole blocks from `position` on.
  struct Copy {
    std::uint64_t position = 0;
    std::uint64_t bytes = 0;
  };
  Manifest manifest;
  // One or two.
  std::vector<Copy> good;
  std::uint64_t file_bytes = 0;
};
// kNotFound when there is no manifest; kCorrupt, naming file and byte, when neither copy checks.
// Changes nothing.
[[nodiscard]] Result<ManifestRead> read_manifest(Directory& directory);

// Loads, makes and replaces the manifest of one directory. Safe from any thread: a flush that rolls
// and a cleaner may both edit it.
class ManifestFile {
 public:
  struct Loaded {
    std::unique_ptr<ManifestFile> file;
    // Set when one of the two copies was bad; the file was rewritten.
    std::optional<std::string> remark;
  };
  // As read_manifest(); one bad copy is mended. `directory` outlives the object.
  static Result<Loaded> load(Directory& directory);
  // Makes one durably where there is none.
  static Result<std::unique_ptr<ManifestFile>> create(Directory& directory, Manifest manifest);

  [[nodiscard]] Manifest current() const EXCLUDES(mutex_);
  // Applies `change` to a copy, makes it durable, then takes it over. On an error the file is as
  // before, and so is current().
  Result<void> edit(const std::function<void(Manifest&)>& change) EXCLUDES(mutex_);
  // Prepares the file that the next edit writes to, so that it needs no space then: rolling must
  // work on a full disk. kNoSpace or kIo.
  Result<void> reserve() EXCLUDES(mutex_);

 private:
  ManifestFile(Directory& directory, Manifest manifest)
      : directory_(directory), manifest_(std::move(manifest)) {}
  Result<void> store(const Manifest& manifest) REQUIRES(mutex_);
  Result<void> prepare(std::size_t bytes) REQUIRES(mutex_);

  Directory& directory_;
  mutable Mutex mutex_;
  Manifest manifest_ GUARDED_BY(mutex_);
  // An open, zero-filled file under kManifestSpareName.
  std::unique_ptr<File> spare_ GUARDED_BY(mutex_);
  std::uint64_t spare_bytes_ GUARDED_BY(mutex_) = 0;
};

inline constexpr const char* kManifestSpareName = "manifest.new";

}  // namespace lignum::storage
