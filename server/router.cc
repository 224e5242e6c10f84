#include "server/router.h"

#include <expected>
#include <functional>
#include <optional>
#include <utility>

#include <fmt/format.h>
#include "raft/error.h"
#include "raft/mutex.h"
#include "raft/types.h"
#include "server/group/data_group.h"
#include "server/group/halted.h"
#include "server/group/meta_group.h"

namespace lignum::server {

Router::TablePtr Router::table() const {
  const MutexLock lock(mutex_);
  return table_;
}

void Router::set_table(TablePtr table) {
  const MutexLock lock(mutex_);
  table_ = std::move(table);
}

std::optional<NodeId> Router::meta_leader() const { return meta_->leader(); }

Result<void> Router::on_group(GroupId group, std::move_only_function<void(DataGroup&)> use) const {
  const auto seat = seats_.find(group);
  if (seat == seats_.end()) {
    return fail(Errc::kNotFound, fmt::format("this node has no group {}", group.value()));
  }
  if (seat->second.group == nullptr) {
    return std::unexpected(halted_error(
        {.node = node_, .group = group, .damage = seat->second.damage, .alone = alone_}));
  }
  seat->second.ports->post(
      [target = seat->second.group, use = std::move(use)]() mutable { use(*target); });
  return {};
}

void Router::on_meta(std::move_only_function<void(MetaGroup&)> use) const {
  meta_ports_->post([target = meta_, use = std::move(use)]() mutable { use(*target); });
}

}  // namespace lignum::server
