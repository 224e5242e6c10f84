#pragma once

// The logs of a node's groups as segments in directories: how the group host makes and opens them.
//
// Deterministic: files behind storage::Directory, background work behind the group's ports.

#include <cstddef>

#include "server/group/data_directory.h"
#include "server/group/group_host.h"
#include "storage/segmented_log.h"

namespace lignum::server {

struct SegmentStoreOptions {
  std::size_t segment_bytes_min = storage::kSegmentBytesMin;
  std::size_t segment_bytes_max = storage::kSegmentBytesMax;
  std::size_t early_flush_bytes = storage::kEarlyFlushBytes;
};

[[nodiscard]] MakeLog make_segmented_log(const SegmentStoreOptions& options);
// What recovery cut or mended comes back as remarks.
[[nodiscard]] OpenLog open_segmented_log(const SegmentStoreOptions& options);
[[nodiscard]] BeginRepair repair_segmented_log(const SegmentStoreOptions& options);

}  // namespace lignum::server
