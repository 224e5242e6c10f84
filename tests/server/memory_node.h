#pragma once

// A whole node whose logs are in memory, for tests from wire request to answer.

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "net/proto/client.pb.h"
#include "raft/error.h"
#include "raft/types.h"
#include "server/group/data_directory.h"
#include "server/group/group_host.h"
#include "server/router.h"
#include "storage/file.h"
#include "storage/record_batch.h"
#include "tests/server/batches.h"
#include "tests/server/memory_log.h"
#include "tests/server/sim_node.h"

namespace lignum::server::testing {

class NodeTest : public ::testing::Test {
 protected:
  NodeTest() {
    cell.logs.make = [this](storage::Directory&, const MakeLogRequest& request) -> Result<void> {
      disks[request.group] = std::make_shared<MemoryDisk>();
      return {};
    };
    cell.logs.open = [this](storage::Directory&,
                            const OpenLogRequest& request) -> Result<OpenedLog> {
      const GroupId group = request.group;
      if (damaged.contains(group)) return fail(Errc::kCorrupt, damage);
      auto log = std::make_unique<MemoryLog>(disks.at(group));
      logs[group] = log.get();
      return OpenedLog{.log = std::move(log), .remarks = {}};
    };
  }
  void start() {
    node = std::make_unique<SimNode>(cell);
    ASSERT_TRUE(node->start()) << node->error;
  }
  void restart_after_kill() {
    node.reset();
    start();
  }
  std::uint64_t create(const std::string& name) {
    const auto answer = node->call(create_request(name));
    EXPECT_TRUE(answer && answer->response.has_create_stream());
    return answer->response.create_stream().stream().id();
  }
  std::optional<Answer> append(std::uint64_t stream, std::uint32_t shard, std::uint32_t records,
                               std::optional<ProducerStamp> producer = {}) {
    return node->call(append_request(stream, shard), make_batch(records, producer));
  }
  GroupId group_of(std::uint64_t stream, std::uint32_t shard) {
    return *node->host().router().table()->group_of(
        {.stream = StreamId(stream), .shard = ShardNumber(shard)});
  }

  std::map<GroupId, std::shared_ptr<MemoryDisk>> disks;
  std::map<GroupId, MemoryLog*> logs;
  std::set<GroupId> damaged;
  std::string damage = "segment-1 byte 4096: bad checksum";
  Cell cell;
  std::unique_ptr<SimNode> node;
};

}  // namespace lignum::server::testing
