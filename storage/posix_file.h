#pragma once

// The file system seam (storage/file.h) on Linux.

#include <memory>
#include <string>

#include "raft/error.h"
#include "storage/file.h"

namespace lignum::storage {

// Opens the directory at `path`, making it and its missing parents (each synced into its parent)
// with mode 0750. Fails with kIo, kNoSpace or kPermissionDenied; messages hold path and errno.
//
// What the handles do beyond the seam:
//   - kWriteDirect opens with O_DIRECT; where the file system refuses O_DIRECT
//     (EINVAL, as tmpfs does) the file is buffered and direct() says so. Reads through a direct
//     handle need no alignment: unaligned ones go through a bounce buffer.
//   - Through a handle of kWriteSynced, writes of 48 KiB and more go by way of the page cache: the
//     sync then writes and flushes at once, where a direct write and its flush take turns
//     (docs/design/0002-segmented-log.md). Any number of either kind, in any order, is seen by all.
//   - sync() is fdatasync; Directory::sync() is fsync of the directory.
//   - lock() is flock on a file "LOCK" in the directory, created on demand and listed.
//   - Interrupted calls are repeated, short ones continued. ENOSPC and EDQUOT are kNoSpace, ENOENT
//     kNotFound, EEXIST kAlreadyExists, EACCES and EPERM kPermissionDenied, anything else kIo.
[[nodiscard]] Result<std::unique_ptr<Directory>> open_posix_directory(const std::string& path);

}  // namespace lignum::storage
