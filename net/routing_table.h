#pragma once

// A snapshot of where everything is: streams by name and id, and the group of each shard.
//
// Made by group 0's state machine whenever the catalogue changes and never altered afterwards;
// shared by every thread as shared_ptr<const RoutingTable>. `epoch` rises with every change.

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "raft/types.h"

namespace lignum::net {

struct StreamRoute {
  StreamId id;
  std::string name;
  // By shard number.
  std::vector<GroupId> shards;
  std::int64_t retention_ms = -1;     // -1: for ever
  std::int64_t retention_bytes = -1;  // -1: unlimited
  TimeUs created = 0;
  friend bool operator==(const StreamRoute&, const StreamRoute&) = default;
};

class RoutingTable {
 public:
  RoutingTable() = default;
  RoutingTable(Epoch epoch, std::vector<GroupId> groups, std::map<StreamId, StreamRoute> streams);

  [[nodiscard]] Epoch epoch() const { return epoch_; }
  // Data groups, ascending.
  [[nodiscard]] const std::vector<GroupId>& groups() const { return groups_; }
  [[nodiscard]] const std::map<StreamId, StreamRoute>& streams() const { return streams_; }
  // Null when there is none; valid as long as the table.
  [[nodiscard]] const StreamRoute* find(std::string_view name) const;
  [[nodiscard]] const StreamRoute* find(StreamId id) const;
  [[nodiscard]] std::optional<GroupId> group_of(ShardKey shard) const;

 private:
  Epoch epoch_;
  std::vector<GroupId> groups_;
  std::map<StreamId, StreamRoute> streams_;
  std::map<std::string, StreamId, std::less<>> by_name_;
};

}  // namespace lignum::net
