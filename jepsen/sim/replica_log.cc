#include "jepsen/sim/replica_log.h"

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include "jepsen/check/history.h"
#include "jepsen/sim/record_value.h"
#include "jepsen/sim/sim_disk.h"
#include "raft/buggify.h"
#include "raft/entry.h"
#include "raft/error.h"
#include "raft/hard_state.h"
#include "raft/types.h"
#include "server/group/data_directory.h"
#include "server/group/segment_store.h"
#include "storage/data_layout.h"
#include "storage/file.h"
#include "storage/hard_state_file.h"
#include "storage/identity_file.h"
#include "storage/log.h"
#include "storage/record.h"
#include "storage/record_batch_reader.h"
#include "storage/segmented_log.h"

namespace lignum::jepsen {

namespace {

// Appends the entry's values from `next` on, and moves it.
Result<void> take_entry(const Entry& entry, const ShardExtent& extent, Offset& next,
                        std::vector<Value>& values) {
  TRY_ASSIGN(reader, BatchReader::open(entry.payload.bytes()));
  while (true) {
    TRY_ASSIGN(record, reader.next());
    if (record == nullptr) return {};
    if (record->offset < next) continue;
    if (record->offset != next) {
      return fail(
          Errc::kCorrupt,
          fmt::format("shard {}/{}: offset {} follows where {} should", extent.shard.stream.value(),
                      extent.shard.shard.value(), record->offset.value(), next.value()));
    }
    values.push_back(record->value ? value_of(*record->value) : Value::unreadable());
    next = next.next();
  }
}

// A group's log, and the directories that it lies in.
struct OfflineLog {
  std::unique_ptr<storage::Directory> groups;
  std::unique_ptr<storage::Directory> directory;
  std::unique_ptr<storage::SegmentedLog> log;
};

Result<OfflineLog> open_offline(SimDisk& disk, const server::SegmentStoreOptions& limits,
                                GroupId group) {
  const auto root = disk.root();
  TRY_ASSIGN(identity, storage::load_identity(*root));
  if (!identity) return fail(Errc::kCorrupt, "the node has lost its identity");
  TRY_ASSIGN(groups, root->open_directory(storage::kGroupsDirectoryName));
  TRY_ASSIGN(directory, groups->open_directory(server::group_directory_name(group)));
  const auto incarnation = storage::group_incarnation(identity->cluster, group);
  TRY_ASSIGN(opened, storage::SegmentedLog::open(*directory,
                                                 {.group = group,
                                                  .incarnation = incarnation,
                                                  .node = identity->incarnation,
                                                  .background = [](auto, auto) {},
                                                  .segment_bytes_min = limits.segment_bytes_min,
                                                  .segment_bytes_max = limits.segment_bytes_max}));
  return OfflineLog{
      .groups = std::move(groups), .directory = std::move(directory), .log = std::move(opened.log)};
}

}  // namespace

Result<LogId> durable_id_at(SimDisk& disk, const server::SegmentStoreOptions& limits, GroupId group,
                            Index index) {
  const WithoutBuggify plain;
  TRY_ASSIGN(opened, open_offline(disk, limits, group));
  const auto id = opened.log->id_at(index);
  if (!id) {
    return fail(Errc::kNotFound,
                fmt::format("no entry {} in {} to {}", index.value(),
                            opened.log->first_index().value(), opened.log->last().index.value()));
  }
  return *id;
}

bool durably_holds(SimDisk& disk, const server::SegmentStoreOptions& limits, GroupId group,
                   LogId id) {
  const WithoutBuggify plain;
  const auto opened = open_offline(disk, limits, group);
  if (!opened) return false;
  return opened->log->first_index() > id.index || opened->log->id_at(id.index) == id;
}

Result<raft::HardState> durable_hard_state(SimDisk& disk, GroupId group) {
  const WithoutBuggify plain;
  const auto root = disk.root();
  TRY_ASSIGN(loaded, storage::HardStateFile::peek(*root, group));
  return loaded.state.value_or(raft::HardState{});
}

Result<std::vector<Value>> read_replica_shard(SimDisk& disk,
                                              const server::SegmentStoreOptions& limits,
                                              const ShardExtent& extent) {
  const WithoutBuggify plain;
  TRY_ASSIGN(opened, open_offline(disk, limits, extent.group));
  std::vector<Value> values;
  Offset next = extent.start;
  while (next < extent.next) {
    const auto plan = opened.log->read_shard(
        extent.shard, {.from = next, .below = extent.next, .bytes_max = std::size_t{1} << 20});
    TRY_ASSIGN(entries, plan->run());
    const Offset before = next;
    for (const Entry& entry : entries) TRY(take_entry(entry, extent, next, values));
    if (next == before) break;
  }
  // The last batch may reach beyond what was asked for only where the log does.
  if (next != extent.next) {
    return fail(Errc::kCorrupt,
                fmt::format("shard {}/{}: the log on disk ends at offset {}, {} were applied",
                            extent.shard.stream.value(), extent.shard.shard.value(), next.value(),
                            extent.next.value()));
  }
  return values;
}

}  // namespace lignum::jepsen
