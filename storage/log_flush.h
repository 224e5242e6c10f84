#pragma once

// What one flush of a SegmentedLog writes, in order. Made on the lane, run on any thread.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "raft/error.h"
#include "raft/types.h"
#include "storage/aligned_buffer.h"
#include "storage/file.h"
#include "storage/log.h"
#include "storage/manifest.h"
#include "storage/segment.h"
#include "storage/segment_writer.h"
#include "storage/segmented_log.h"

namespace lignum::storage {

class SegmentedLog::Flush final : public FlushJob {
 public:
  Flush(Directory& directory, std::shared_ptr<ManifestFile> manifest)
      : directory_(directory), manifest_(std::move(manifest)) {}

  void write(BlockWrite write) { steps_.emplace_back(std::move(write)); }
  void sync(std::shared_ptr<File> file) { steps_.emplace_back(SyncFile{std::move(file)}); }
  void sync_directory() { steps_.emplace_back(SyncDirectory{}); }
  // What cannot be removed is debris at the next boot.
  void remove(std::string name) { steps_.emplace_back(RemoveFile{std::move(name)}); }
  void edit(std::function<void(Manifest&)> change) { steps_.emplace_back(std::move(change)); }

  Result<void> run() override;
  // The largest buffer that was written.
  [[nodiscard]] AlignedBuffer take_buffer();

  // What is durable once it ran; filled in when it is taken.
  Index durable;
  SegmentId active;
  std::uint64_t flushed_end = 0;
  // Their footers are on the disk once it ran.
  std::vector<SegmentPtr> sealed;

 private:
  struct SyncFile {
    std::shared_ptr<File> file;
  };
  struct SyncDirectory {};
  struct RemoveFile {
    std::string name;
  };
  using Step =
      std::variant<BlockWrite, SyncFile, SyncDirectory, RemoveFile, std::function<void(Manifest&)>>;

  Result<void> run_step(Step& step);

  Directory& directory_;
  std::shared_ptr<ManifestFile> manifest_;
  std::vector<Step> steps_;
};

}  // namespace lignum::storage
