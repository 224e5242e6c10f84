#pragma once

// The one place where a request finds its group: from any thread to the group's lane.
//
// Made by the group host at start, immutable afterwards except for the routing table, which group 0
// swaps in as it changes, and for groups whose log was repaired. A group that could not be opened
// has a seat without a group: callers are told why. Owned by App; outlives the connections.

#include <atomic>
#include <cstdint>
#include <expected>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "net/routing_table.h"
#include "raft/error.h"
#include "raft/mutex.h"
#include "raft/types.h"
#include "server/group/ports.h"

namespace lignum::server {

class DataGroup;
class MetaGroup;

class Router {
 public:
  using TablePtr = std::shared_ptr<const net::RoutingTable>;

  struct Seat {
    Ports* ports = nullptr;
    // None: it could not be opened, and may take its seat later.
    std::atomic<DataGroup*> group = nullptr;
    // Why there was no group at the start; empty where there was one.
    std::string damage{};
  };

  // Setup, before any request. `group` may be null.
  void add_group(GroupId id, Ports* ports, DataGroup* group, std::string damage);
  void set_meta(Ports* ports, MetaGroup* group) {
    meta_ports_ = ports;
    meta_ = group;
  }
  // Another object takes the seat of a group whose log was repaired; by its lane. What was there
  // before outlives the router: requests may be on their way to it.
  void reseat(GroupId id, DataGroup* group) { seats_.at(id).group = group; }
  void reseat_meta(MetaGroup* group) { meta_ = group; }
  // Whose groups these are, and whether they began with this node alone.
  void set_node(NodeId node, bool alone) {
    node_ = node;
    alone_ = alone;
  }
  [[nodiscard]] bool alone() const { return alone_; }

  // The newest routing table; never null. From any thread.
  [[nodiscard]] TablePtr table() const EXCLUDES(mutex_);
  // By the meta group's lane.
  void set_table(TablePtr table) EXCLUDES(mutex_);

  // Every producer id that was handed out is below it, as far as this node has heard. From any
  // thread; set by the meta group's lane.
  [[nodiscard]] ProducerId producers_end() const { return ProducerId(producers_end_.load()); }
  void set_producers_end(ProducerId end) { producers_end_.store(end.value()); }

  // Runs `use` on the lane of `group`. kHalted for a group that could not be opened, kNotFound for
  // one that does not exist; then `use` is not called.
  Result<void> on_group(GroupId group, std::move_only_function<void(DataGroup&)> use) const;
  // Runs `use` on the lane of the meta group. Where that could not be opened yet, `use` is dropped:
  // nothing is served before it is.
  void on_meta(std::move_only_function<void(MetaGroup&)> use) const;

  [[nodiscard]] const std::map<GroupId, Seat>& seats() const { return seats_; }
  // Who leads the meta group, as far as is known here. From any thread.
  [[nodiscard]] std::optional<NodeId> meta_leader() const;
  [[nodiscard]] Now now() const { return meta_ports_->now(); }

 private:
  std::map<GroupId, Seat> seats_;
  Ports* meta_ports_ = nullptr;
  std::atomic<MetaGroup*> meta_ = nullptr;
  NodeId node_;
  bool alone_ = true;
  std::atomic<std::int64_t> producers_end_ = 0;
  mutable Mutex mutex_;
  TablePtr table_ GUARDED_BY(mutex_);
};

}  // namespace lignum::server
