#include "server/group/segment_store.h"

#include <string>
#include <utility>

#include <fmt/format.h>
#include "raft/error.h"
#include "raft/types.h"
#include "server/group/data_directory.h"
#include "server/group/group_host.h"
#include "server/group/ports.h"
#include "storage/file.h"
#include "storage/log_repair.h"
#include "storage/segmented_log.h"

namespace lignum::server {

namespace {

std::string describe(const storage::TornTail& torn) {
  return fmt::format(
      "cut {} bytes at {} byte {}: a write that a crash tore and that was never acknowledged "
      "(from entry {} on)",
      torn.bytes, torn.file, torn.position, torn.index.value());
}

}  // namespace

MakeLog make_segmented_log(const SegmentStoreOptions& options) {
  return [options](storage::Directory& directory, const MakeLogRequest& request) -> Result<void> {
    return storage::SegmentedLog::create(directory,
                                         {.group = request.group,
                                          .incarnation = request.incarnation,
                                          .node = request.node,
                                          .background = {},
                                          .segment_bytes_min = options.segment_bytes_min,
                                          .segment_bytes_max = options.segment_bytes_max});
  };
}

OpenLog open_segmented_log(const SegmentStoreOptions& options) {
  return
      [options](storage::Directory& directory, const OpenLogRequest& request) -> Result<OpenedLog> {
        TRY_ASSIGN(opened, storage::SegmentedLog::open(
                               directory,
                               {.group = request.group,
                                .incarnation = request.incarnation,
                                .node = request.node,
                                .background =
                                    [&ports = request.ports](Work work, WorkDone done) {
                                      ports.run(Pool::kPrepare, std::move(work), std::move(done));
                                    },
                                .segment_bytes_min = options.segment_bytes_min,
                                .segment_bytes_max = options.segment_bytes_max,
                                .early_flush_bytes = options.early_flush_bytes},
                               request.evidence));
        OpenedLog result{.log = std::move(opened.log), .remarks = std::move(opened.report.remarks)};
        if (opened.report.torn) result.remarks.push_back(describe(*opened.report.torn));
        return result;
      };
}

BeginRepair repair_segmented_log(const SegmentStoreOptions& options) {
  return [options](storage::Directory& directory, const OpenLogRequest& request) {
    return storage::LogRepair::begin(directory,
                                     {.group = request.group,
                                      .incarnation = request.incarnation,
                                      .node = request.node,
                                      .background = {},
                                      .segment_bytes_min = options.segment_bytes_min,
                                      .segment_bytes_max = options.segment_bytes_max},
                                     request.evidence);
  };
}

}  // namespace lignum::server
