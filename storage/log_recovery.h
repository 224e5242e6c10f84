#pragma once

// What SegmentedLog::open does: from a directory that a crash left, to a log that continues.
//
// Idempotent, and safe to crash at any point: it only removes what the manifest does not list,
// rewrites a damaged manifest copy, and zeroes what it cut. Boot only; blocks.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "raft/error.h"
#include "raft/payload.h"
#include "storage/file.h"
#include "storage/frame_codec.h"
#include "storage/manifest.h"
#include "storage/segment.h"
#include "storage/segmented_log.h"
#include "storage/tail_scan.h"

namespace lignum::storage {

class LogRecovery {
 public:
  LogRecovery(Directory& directory, const SegmentedLogOptions& options, const LogEvidence& evidence)
      : directory_(directory), options_(options), evidence_(evidence) {}

  [[nodiscard]] Result<SegmentedLog::Opened> run();

 private:
  Result<void> check_identity(const Manifest& manifest) const;
  Result<void> open_segments(const Manifest& manifest);
  // The file is the segment that it is named for, of this group and this node.
  Result<void> check_header(const Segment& segment) const;
  Result<void> open_sealed(const SegmentRecord& record);
  Result<void> open_active(const SegmentRecord& record);
  // Whether what follows the last good frame may be cut, or be missing.
  Result<void> judge(const TailScan& scan) const;
  Result<void> cut(const TailScan& scan);
  static Result<void> write_again(File& file, Bytes bytes, const TailScan& scan);
  Result<void> remove_debris(const Manifest& manifest);

  Directory& directory_;
  const SegmentedLogOptions& options_;
  const LogEvidence& evidence_;
  std::unique_ptr<SegmentedLog> log_;
  RecoveryReport report_;
  SegmentRecord active_;
  std::string active_path_;
};

}  // namespace lignum::storage
