#pragma once

// The one seam to the file system: POSIX stands behind it in production (posix_file.h), a
// simulated disk in tests (jepsen/sim/sim_disk.h). Crash semantics are part of the contract:
//
//   - Bytes written are durable after File::sync() returned ok. Before that a crash may keep any
//     subset of the 512-byte sectors written since, each old or new.
//   - A file's existence and its name are durable after Directory::sync() of the directory that
//     holds it. Before that a crash may lose a creation, a removal or a rename; a rename is never
//     half done.
//   - A process may open so many files; more fail with kTooManyFiles, and nothing was changed.
//   - The size of a file is durable with the bytes that extended it.
//   - After a failed write or sync nothing is known about the bytes concerned, now or later: the
//     caller stops the process and never retries.
//
// Paths are relative to a Directory, one component each; nothing climbs out of it.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "raft/error.h"
#include "raft/mutex.h"
#include "raft/payload.h"

namespace lignum::storage {

// The unit of direct writes. Buffers for a direct File are aligned to it, and so are positions
// and lengths.
inline constexpr std::size_t kBlockBytes = 4096;

// An open file. write_at, sync and resize are called by one thread at a time; read_at by any
// thread at any time, also while a write runs (it then sees old or new bytes, sector by sector).
class File {
 public:
  virtual ~File() = default;
  // Fills `out` from `position` on; returns the bytes read, fewer than asked only at the end of
  // the file. Fails with kIo.
  virtual Result<std::size_t> read_at(std::uint64_t position, std::span<std::byte> out) const = 0;
  // Writes all of `data`, extending the file where it must. Fails with kNoSpace or kIo; then part
  // of it may have been written.
  virtual Result<void> write_at(std::uint64_t position, Bytes data) = 0;
  // Makes all completed writes of this file durable (fdatasync). Fails with kIo also where the file
  // was removed meanwhile: its bytes go when it is closed.
  virtual Result<void> sync() = 0;
  virtual Result<std::uint64_t> size() const = 0;
  // Cuts, or extends with zeros for which there is room: writing them later does not fail with
  // kNoSpace. Fails with kUnsupported where the file system cannot promise that.
  virtual Result<void> resize(std::uint64_t bytes) = 0;
  // True when writes need kBlockBytes alignment of address, position and length (O_DIRECT).
  [[nodiscard]] virtual bool direct() const = 0;
};

enum class OpenMode : std::uint8_t {
  kRead,         // must exist; buffered
  kReadWrite,    // must exist; buffered
  kWriteDirect,  // must exist; direct where the file system allows it, else buffered
  kWriteSynced,  // as kWriteDirect, of which each write is synced soon: large ones may be buffered
  kCreate,       // must not exist; buffered
};

// Exclusive ownership of a directory between processes; released by the destructor.
class DirectoryLock {
 public:
  virtual ~DirectoryLock() = default;
  // Fails with kNotFound where what was locked has been removed or replaced, so that another
  // process could lock the directory, too.
  [[nodiscard]] virtual Result<void> check() const = 0;
};

// One directory. Safe to call from any thread.
class Directory {
 public:
  virtual ~Directory() = default;
  // Fails with kNotFound, kAlreadyExists, kNoSpace or kIo.
  virtual Result<std::unique_ptr<File>> open(std::string_view name, OpenMode mode) = 0;
  // Replaces `to` atomically where it exists.
  virtual Result<void> rename(std::string_view from, std::string_view to) = 0;
  // Removes a file, or an empty directory. An open file keeps its bytes until it is closed.
  virtual Result<void> remove(std::string_view name) = 0;
  [[nodiscard]] virtual Result<bool> exists(std::string_view name) const = 0;
  // Names of files and subdirectories, sorted.
  [[nodiscard]] virtual Result<std::vector<std::string>> list() const = 0;
  // Makes creations, removals and renames in this directory durable. Where it failed once it fails
  // for ever, with the same error: the next one might succeed and save nothing of what the first
  // one lost, whichever of the users of this directory that was.
  Result<void> sync() EXCLUDES(sync_mutex_);
  // A sync failed, and why: the process has to end.
  [[nodiscard]] std::optional<Error> sync_error() const EXCLUDES(sync_mutex_);
  // Opens a subdirectory; makes it (and syncs this directory) where it does not exist.
  virtual Result<std::unique_ptr<Directory>> open_directory(std::string_view name) = 0;
  // Fails with kLocked when another process holds the lock.
  virtual Result<std::unique_ptr<DirectoryLock>> lock() = 0;
  // Bytes that can still be written to this file system.
  [[nodiscard]] virtual Result<std::uint64_t> free_bytes() const = 0;
  // Fails with kNotFound where path() leads nowhere any more, or to another directory: this one was
  // removed, moved or replaced.
  [[nodiscard]] virtual Result<void> check_place() const = 0;
  // For messages only: never parsed.
  [[nodiscard]] virtual std::string path() const = 0;

 private:
  virtual Result<void> sync_names() = 0;

  // One at a time: the kernel tells of what is lost only once.
  mutable Mutex sync_mutex_;
  std::optional<Error> sync_error_ GUARDED_BY(sync_mutex_);
  // So that nobody has to wait for a sync in order to ask.
  std::atomic<bool> sync_failed_ = false;
};

}  // namespace lignum::storage
