#pragma once

// The services about the node itself: its state, and the level of its log.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "net/proto/client.pb.h"
#include "raft/error.h"
#include "server/group/replica.h"
#include "server/router.h"
#include "server/service/call.h"

namespace lignum::server {

// What the process knows about itself; filled in by App, called from lanes.
struct NodeFacts {
  std::string cluster_id;  // 16 bytes
  std::uint32_t node_id = 0;
  std::string version;
  std::string data_directory;
  std::function<std::uint64_t()> uptime_ms;
  std::function<std::uint64_t()> disk_free_bytes;
  std::function<std::uint64_t()> resident_bytes;
  std::function<std::int64_t()> cpu_us;
  std::function<std::uint32_t()> connections;
  std::function<Result<std::string>(std::string_view)> set_log_level;
};

// What `stat` says of one group; its damage and its trouble together take at most so many bytes,
// and where they are cut what says so.
void encode_group(const ReplicaStatus& status, std::size_t damage_bytes_max,
                  wire::GroupStatus& group);

// Asks every group, those that are halted included.
void serve_stat(const Router& router, const NodeFacts& facts, Respond respond);
void serve_set_log_level(const NodeFacts& facts, const Call& call, Respond respond);

}  // namespace lignum::server
