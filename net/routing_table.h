#pragma once

// A snapshot of where everything is: streams by name and id, and the group of each shard.
//
// Made by group 0's state machine whenever the catalogue changes and never altered afterwards;
// shared by every thread as shared_ptr<const RoutingTable>. `epoch` rises with every change.
//
// A table shares what did not change with the one it was made from: streams lie in kParts parts by
// id and by name, each immutable, and a change makes the parts anew that it touches. So the cost of
// creating a stream hardly grows with the number of streams.

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
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
  static constexpr std::size_t kParts = 256;

  RoutingTable() = default;
  RoutingTable(Epoch epoch, std::vector<GroupId> groups,
               const std::map<StreamId, StreamRoute>& streams);
  // This table after a change: every stream of `changed` is what it is in `streams`, or gone where
  // it is not in there. Names of streams never change.
  [[nodiscard]] RoutingTable changed(Epoch epoch, std::span<const StreamId> changed,
                                     const std::map<StreamId, StreamRoute>& streams) const;

  // Every stream that ever was, as far as this table goes, has an id below `next`. Before the table
  // is shared.
  void set_next_stream(StreamId next) { next_stream_ = next; }
  // True for a stream that is younger than this table: it may well exist.
  [[nodiscard]] bool too_old_for(StreamId id) const { return id >= next_stream_; }

  [[nodiscard]] Epoch epoch() const { return epoch_; }
  // Data groups, ascending.
  [[nodiscard]] const std::vector<GroupId>& groups() const { return groups_; }
  // All, ascending by id; valid as long as the table.
  [[nodiscard]] std::vector<const StreamRoute*> streams() const;
  // Those whose names lie behind `after`, ascending by the bytes of the name, until `visit` returns
  // false. Costs what is visited, hardly what there is; nothing lies before the empty name.
  void visit_after(std::string_view after,
                   const std::function<bool(const StreamRoute&)>& visit) const;
  // Null when there is none; valid as long as the table.
  [[nodiscard]] const StreamRoute* find(std::string_view name) const;
  [[nodiscard]] const StreamRoute* find(StreamId id) const;
  [[nodiscard]] std::optional<GroupId> group_of(ShardKey shard) const;

 private:
  Epoch epoch_;
  // Until told, old enough for everything.
  StreamId next_stream_{UINT64_MAX};
  std::vector<GroupId> groups_;
  using Route = std::shared_ptr<const StreamRoute>;
  using ById = std::map<StreamId, Route>;
  // The names live in the routes.
  using ByName = std::map<std::string_view, Route>;

  void put(const StreamRoute& stream);
  void remove(StreamId id);

  // Null: empty.
  std::array<std::shared_ptr<const ById>, kParts> by_id_;
  std::array<std::shared_ptr<const ByName>, kParts> by_name_;
};

}  // namespace lignum::net
