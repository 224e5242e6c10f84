#pragma once

// The state of a SimDisk, shared by the disk and the handles it gave out.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "jepsen/sim/sim_disk.h"
#include "jepsen/sim/sim_tree.h"
#include "raft/error.h"
#include "raft/mutex.h"
#include "raft/payload.h"
#include "storage/file.h"

namespace lignum::jepsen {

// Every call of a File or Directory becomes one call here, under one lock. Paths are for messages
// and faults; entries are found by the directory's object.
class SimDisk::World : public std::enable_shared_from_this<SimDisk::World> {
 public:
  explicit World(const SimDiskOptions& options) : options_(options) {}
  World(const SimDiskOptions& options, std::shared_ptr<SimDirectory> tree)
      : options_(options), root_(std::move(tree)) {}

  [[nodiscard]] std::unique_ptr<storage::Directory> root();

  // File.
  Result<std::size_t> read(SimInode& inode, const std::string& path, std::uint64_t position,
                           std::span<std::byte> out) EXCLUDES(mutex_);
  Result<void> write(SimInode& inode, const std::string& path, std::uint64_t position, Bytes data)
      EXCLUDES(mutex_);
  Result<void> sync(SimInode& inode, const std::string& path) EXCLUDES(mutex_);
  Result<void> resize(SimInode& inode, const std::string& path, std::uint64_t bytes)
      EXCLUDES(mutex_);
  Result<std::uint64_t> size(const SimInode& inode, const std::string& path) EXCLUDES(mutex_);
  void close(SimInode& inode) EXCLUDES(mutex_);

  // Directory.
  struct Place {
    SimDirectory& directory;
    const std::string& path;
  };
  Result<std::unique_ptr<storage::File>> open(const Place& place, std::string_view name,
                                              storage::OpenMode mode) EXCLUDES(mutex_);
  Result<void> rename(const Place& place, std::string_view from, std::string_view to)
      EXCLUDES(mutex_);
  Result<void> remove(const Place& place, std::string_view name) EXCLUDES(mutex_);
  Result<bool> exists(const Place& place, std::string_view name) EXCLUDES(mutex_);
  Result<std::vector<std::string>> list(const Place& place) EXCLUDES(mutex_);
  Result<void> sync_directory(const Place& place) EXCLUDES(mutex_);
  Result<std::unique_ptr<storage::Directory>> open_directory(const Place& place,
                                                             std::string_view name)
      EXCLUDES(mutex_);
  Result<void> lock(const Place& place) EXCLUDES(mutex_);
  void unlock(SimDirectory& directory) EXCLUDES(mutex_);
  Result<std::uint64_t> free_bytes() EXCLUDES(mutex_);
  Result<void> check_place(const Place& place) EXCLUDES(mutex_);

  // SimDisk.
  [[nodiscard]] std::uint64_t operations() EXCLUDES(mutex_);
  [[nodiscard]] std::vector<DiskCall> calls() EXCLUDES(mutex_);
  void crash_at(std::uint64_t operation) EXCLUDES(mutex_);
  void restart() EXCLUDES(mutex_);
  [[nodiscard]] bool crashed() EXCLUDES(mutex_);
  [[nodiscard]] std::shared_ptr<World> crash(std::uint64_t seed, const CrashImage& image)
      EXCLUDES(mutex_);
  [[nodiscard]] std::shared_ptr<World> clone() EXCLUDES(mutex_);
  void fail(const DiskFault& fault) EXCLUDES(mutex_);
  void clear_faults() EXCLUDES(mutex_);
  [[nodiscard]] std::uint64_t faults_struck() EXCLUDES(mutex_);
  void set_capacity(std::uint64_t bytes) EXCLUDES(mutex_);
  [[nodiscard]] std::uint64_t used_bytes() EXCLUDES(mutex_);
  void flip(std::string_view path, std::uint64_t byte, std::uint8_t mask) EXCLUDES(mutex_);
  void truncate(std::string_view path, std::uint64_t bytes) EXCLUDES(mutex_);
  void erase(std::string_view path) EXCLUDES(mutex_);
  void put(std::string_view path, Bytes bytes) EXCLUDES(mutex_);
  [[nodiscard]] std::vector<FileInfo> files() EXCLUDES(mutex_);
  [[nodiscard]] std::vector<std::byte> contents(std::string_view path) EXCLUDES(mutex_);

 private:
  // What becomes of a call: `error` is what it reports; `reaches_disk` whether it happens all the
  // same, as the last act of a dying process.
  struct Verdict {
    std::optional<Error> error;
    bool reaches_disk = true;
  };
  // One call, before it happens.
  struct Attempt {
    DiskOp op = DiskOp::kWrite;
    const std::string& path;
    std::uint64_t position = 0;
    std::uint64_t bytes = 0;
    [[nodiscard]] DiskCall call() const {
      return {.op = op, .path = path, .position = position, .bytes = bytes};
    }
  };
  Verdict judge(const Attempt& attempt) REQUIRES(mutex_);
  // A call that only looks at what is there.
  Result<void> look(const std::string& path) REQUIRES(mutex_);
  std::optional<Error> strike(const Attempt& attempt) REQUIRES(mutex_);
  Result<void> refuse_if_dead(const std::string& path) REQUIRES(mutex_);
  [[nodiscard]] std::uint64_t used() const REQUIRES(mutex_);
  // Bytes that the disk still takes, or `wanted` where it takes as many.
  [[nodiscard]] std::uint64_t room_for(std::uint64_t wanted) REQUIRES(mutex_);
  // The directory that holds the last component of `path`; CHECKs that it exists.
  SimDirectory& parent_of(std::string_view path) REQUIRES(mutex_);
  SimInode& file_at(std::string_view path) REQUIRES(mutex_);

  struct Fault {
    DiskFault fault;
    std::uint64_t seen = 0;
  };

  Mutex mutex_;
  SimDiskOptions options_ GUARDED_BY(mutex_);
  std::shared_ptr<SimDirectory> root_ GUARDED_BY(mutex_) = std::make_shared<SimDirectory>();
  std::vector<DiskCall> calls_ GUARDED_BY(mutex_);
  std::uint64_t operations_ GUARDED_BY(mutex_) = 0;
  std::optional<std::uint64_t> crash_at_ GUARDED_BY(mutex_);
  bool crashed_ GUARDED_BY(mutex_) = false;
  std::vector<Fault> faults_ GUARDED_BY(mutex_);
  std::uint64_t faults_struck_ GUARDED_BY(mutex_) = 0;
  // Counted at the first write, up while files grow, and anew where the capacity might not do: to
  // add up every file at each write is what a run would spend most of its time on.
  std::optional<std::uint64_t> used_at_most_ GUARDED_BY(mutex_);
  // Removed files that a handle still holds take space.
  std::vector<std::weak_ptr<SimInode>> unlinked_ GUARDED_BY(mutex_);
};

}  // namespace lignum::jepsen
