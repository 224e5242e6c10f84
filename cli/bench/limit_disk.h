#pragma once

// What the disk allows: files that take bytes by group commit, and nothing else.
//
//     write(file, bytes) ---> waiting of that file ---> a worker takes all of it: one write, one
//                                                       fdatasync ---> completed, wake()
//
// One flush per file at a time, which gathers the next meanwhile; files flush side by side on a
// few workers. Files are written in full beforehand and then overwritten in a circle (recycled
// segments), or grow (fresh ones). No format, no recovery: this measures, it keeps nothing.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "raft/error.h"
#include "raft/mutex.h"
#include "raft/payload.h"
#include "storage/file.h"

namespace lignum::cli {

enum class LimitMode : std::uint8_t {
  kDirect,    // pre-written, O_DIRECT
  kBuffered,  // pre-written, through the page cache
  kGrowing,   // extended by every flush, through the page cache
};
[[nodiscard]] std::string_view limit_mode_name(LimitMode mode);

class LimitDisk {
 public:
  struct Options {
    std::size_t files = 1;
    LimitMode mode = LimitMode::kDirect;
    // Called on a worker after completed tickets were added; must not block.
    std::function<void()> wake;
  };
  static constexpr std::size_t kFileBytes = std::size_t{64} << 20;
  static constexpr std::size_t kWorkersMax = 8;
  static constexpr std::size_t kFilesMax = 64;

  // Writes `files` files of kFileBytes in full where they do not exist yet.
  [[nodiscard]] static Result<void> prepare(storage::Directory& directory, std::size_t files);
  // The faster of kDirect and kBuffered for flushes of `flush_bytes`, found by trying both on the
  // first file for a fraction of a second.
  [[nodiscard]] static Result<LimitMode> better_mode(storage::Directory& directory,
                                                     std::size_t flush_bytes);
  // Opens what prepare() made (kGrowing: makes empty ones) and starts the workers.
  [[nodiscard]] static Result<std::unique_ptr<LimitDisk>> open(storage::Directory& directory,
                                                               Options options);
  // Removes the files of prepare() and of kGrowing.
  [[nodiscard]] static Result<void> remove(storage::Directory& directory);

  ~LimitDisk();
  LimitDisk(const LimitDisk&) = delete;
  LimitDisk& operator=(const LimitDisk&) = delete;

  // Queues; from any thread. The caller bounds what it has outstanding.
  void write(std::size_t file, Payload bytes, std::uint64_t ticket);
  // Tickets whose bytes are on the disk since the last call, in order per file. A failed write or
  // sync ends the disk: then its error.
  [[nodiscard]] Result<std::vector<std::uint64_t>> take_completed();
  // Of the workers so far.
  [[nodiscard]] double cpu_seconds() const;

 private:
  struct Write {
    Payload bytes;
    std::uint64_t ticket = 0;
  };
  struct Lane;

  LimitDisk(Options options, std::vector<std::unique_ptr<storage::File>> files);
  void run_worker();
  Result<void> flush(Lane& lane, const std::vector<Write>& writes);

  const Options options_;
  std::vector<std::unique_ptr<Lane>> lanes_;
  mutable Mutex mutex_;
  ConditionVariable ready_changed_;
  // Lanes with something to flush that no worker has.
  std::deque<Lane*> ready_ GUARDED_BY(mutex_);
  std::vector<std::uint64_t> completed_ GUARDED_BY(mutex_);
  std::optional<Error> failure_ GUARDED_BY(mutex_);
  bool stopping_ GUARDED_BY(mutex_) = false;
  std::vector<std::thread> workers_;
};

// CPU time of a running thread.
[[nodiscard]] double thread_cpu_seconds(std::thread& thread);

}  // namespace lignum::cli
