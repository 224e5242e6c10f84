#pragma once

// The making of the segment that a log rolls into next, in the background.
//
// Its file is made, filled with zeros and synced, and the directory is synced; so that later writes
// only overwrite blocks. Zeros are written between flushes: a flush that falls behind a large write
// waits for it, and a log that is written to steadily would stand still for as long as the whole
// file takes (docs/design/0002-segmented-log.md). So each flush that completes lets a piece follow,
// so large that the segment is ready in time; while no flush is out small ones follow each other,
// and large ones when the segment is waited for.
//
// Owned by a log and called on its lane; the work runs on whatever thread the runner has.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "raft/error.h"
#include "raft/types.h"
#include "storage/file.h"
#include "storage/manifest.h"

namespace lignum::storage {

// Runs `work` on a background thread, then `done` on the lane of the log.
using BackgroundRunner = std::function<void(std::move_only_function<Result<void>()> work,
                                            std::move_only_function<void(Result<void>)> done)>;

class SegmentPreparation final : public std::enable_shared_from_this<SegmentPreparation> {
 public:
  enum class Blocks : std::uint8_t {
    kZeroed,
    kReserved,  // zeroed only where the file system cannot reserve
  };
  struct Plan {
    SegmentId id;
    std::size_t bytes = 0;
    Blocks blocks = Blocks::kZeroed;
    // Nothing is made unless this much would stay free beside it.
    std::uint64_t free_bytes_min = 0;
    std::string file_name;
  };
  // Called once, on the lane. After an error nothing of the file is left, or debris.
  using Done = std::function<void(Result<void>)>;

  // `directory` outlives the work that was begun.
  SegmentPreparation(Directory& directory, std::shared_ptr<ManifestFile> manifest,
                     BackgroundRunner runner, Plan plan, Done done);

  void start(bool flushing);
  void on_flush_taken() { flushing_ = true; }
  // A flush has completed. On average one has `flush_bytes`, and `room` is left to write to before
  // the segment is needed. `flushing`: another is out already.
  void on_flushed(std::size_t flush_bytes, std::size_t room, bool flushing);
  // The segment is waited for.
  void hurry();
  // Nobody wants it any more: nothing more is begun, and `done` is not called. What was made is
  // debris.
  void abandon();

  [[nodiscard]] const Plan& plan() const { return plan_; }
  // Of a segment that is ready: once.
  [[nodiscard]] std::unique_ptr<File> take_writer() { return std::move(file_); }
  [[nodiscard]] std::unique_ptr<File> take_reader() { return std::move(reader_); }

  // Bounds of a piece, and its size where nothing else asks for another.
  static constexpr std::size_t kPieceMin = std::size_t{64} << 10;
  static constexpr std::size_t kPieceIdle = std::size_t{128} << 10;
  static constexpr std::size_t kPieceMax = std::size_t{1} << 20;

 private:
  void run(std::move_only_function<Result<void>()> work);
  void on_ran(const Result<void>& outcome);
  void go_on(std::size_t piece);
  void write_piece(std::size_t bytes);
  // On a background thread.
  Result<void> make_file();
  Result<void> write_zeros(std::size_t from, std::size_t bytes);
  Result<void> finish();

  Directory& directory_;
  const std::shared_ptr<ManifestFile> manifest_;
  const BackgroundRunner runner_;
  const Plan plan_;
  Done done_;
  // Used by the work alone, until the segment is ready.
  std::unique_ptr<File> file_;
  std::unique_ptr<File> reader_;
  std::size_t filled_ = 0;
  bool running_ = false;
  bool finishing_ = false;
  bool hurried_ = false;
  bool flushing_ = false;
};

}  // namespace lignum::storage
