#include "server/router.h"

#include <expected>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include <fmt/format.h>
#include "raft/error.h"
#include "raft/mutex.h"
#include "raft/types.h"
#include "server/group/data_group.h"
#include "server/group/halted.h"
#include "server/group/meta_group.h"
#include "server/group/ports.h"

namespace lignum::server {

Router::TablePtr Router::table() const {
  const MutexLock lock(mutex_);
  return table_;
}

void Router::set_table(TablePtr table) {
  const MutexLock lock(mutex_);
  table_ = std::move(table);
}

std::optional<NodeId> Router::meta_leader() const {
  const MetaGroup* const meta = meta_;
  return meta == nullptr ? std::nullopt : meta->leader();
}

void Router::add_group(GroupId id, Ports* ports, DataGroup* group, std::string damage) {
  Seat& seat = seats_[id];
  seat.ports = ports;
  seat.group = group;
  seat.damage = std::move(damage);
}

Result<void> Router::on_group(GroupId group, std::move_only_function<void(DataGroup&)> use) const {
  const auto seat = seats_.find(group);
  if (seat == seats_.end()) {
    return fail(Errc::kNotFound, fmt::format("this node has no group {}", group.value()));
  }
  DataGroup* const target = seat->second.group;
  if (target == nullptr) {
    return std::unexpected(halted_error(
        {.node = node_, .group = group, .damage = seat->second.damage, .alone = alone_}));
  }
  seat->second.ports->post([target, use = std::move(use)]() mutable { use(*target); });
  return {};
}

void Router::on_meta(std::move_only_function<void(MetaGroup&)> use) const {
  MetaGroup* const target = meta_;
  if (target == nullptr) return;
  meta_ports_->post([target, use = std::move(use)]() mutable { use(*target); });
}

}  // namespace lignum::server
