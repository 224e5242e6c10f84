#include "storage/log_flush.h"

#include <functional>
#include <utility>
#include <variant>

#include "raft/error.h"
#include "storage/aligned_buffer.h"
#include "storage/manifest.h"
#include "storage/segment_writer.h"
#include "storage/segmented_log.h"

namespace lignum::storage {

Result<void> SegmentedLog::Flush::run_step(Step& step) {
  if (auto* write = std::get_if<BlockWrite>(&step)) {
    return write->file->write_at(write->position, write->buffer.bytes().first(write->bytes));
  }
  if (auto* sync = std::get_if<SyncFile>(&step)) return sync->file->sync();
  if (auto* change = std::get_if<std::function<void(Manifest&)>>(&step)) {
    return manifest_->edit(*change);
  }
  if (auto* removal = std::get_if<RemoveFile>(&step)) {
    (void)directory_.remove(removal->name);
    return {};
  }
  return directory_.sync();
}

Result<void> SegmentedLog::Flush::run() {
  for (Step& step : steps_) TRY(run_step(step));
  return {};
}

AlignedBuffer SegmentedLog::Flush::take_buffer() {
  AlignedBuffer largest;
  for (Step& step : steps_) {
    auto* write = std::get_if<BlockWrite>(&step);
    if (write != nullptr && write->buffer.size() > largest.size()) {
      largest = std::move(write->buffer);
    }
  }
  return largest;
}

}  // namespace lignum::storage
