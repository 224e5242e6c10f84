#include "storage/file.h"

#include <expected>
#include <optional>

#include "raft/error.h"
#include "raft/mutex.h"

namespace lignum::storage {

Result<void> Directory::sync() {
  const MutexLock lock(sync_mutex_);
  if (sync_error_) return std::unexpected(*sync_error_);
  auto synced = sync_names();
  if (!synced) {
    sync_error_ = synced.error();
    sync_failed_ = true;
  }
  return synced;
}

std::optional<Error> Directory::sync_error() const {
  if (!sync_failed_) return std::nullopt;
  const MutexLock lock(sync_mutex_);
  return sync_error_;
}

}  // namespace lignum::storage
