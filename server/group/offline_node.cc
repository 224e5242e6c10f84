#include "server/group/offline_node.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <expected>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include "net/peer_message.h"
#include "raft/core.h"
#include "raft/entry.h"
#include "raft/error.h"
#include "raft/recovery.h"
#include "raft/types.h"
#include "server/group/data_directory.h"
#include "server/group/group_host.h"
#include "server/group/ports.h"
#include "server/group/replica.h"
#include "server/group/segment_store.h"
#include "server/group/survivor_facts.h"
#include "server/group/upkeep.h"
#include "storage/crc32c.h"
#include "storage/identity_file.h"
#include "storage/log.h"

namespace lignum::server {

// The ports of a node that serves nobody: work is done when its turn comes, messages go nowhere.
class OfflineNode::Lane final : public Ports {
 public:
  Lane(const Parts& parts, std::deque<Task>& tasks) : parts_(parts), tasks_(tasks) {}

  [[nodiscard]] Now now() const override { return parts_.now; }
  void post(Task task) override { tasks_.push_back(std::move(task)); }
  void run(Pool /*pool*/, Work work, WorkDone done) override {
    tasks_.emplace_back(
        [work = std::move(work), done = std::move(done)]() mutable { done(work()); });
  }
  void on_wake(std::function<void()> /*callback*/) override {}
  void wake_at(std::int64_t /*monotonic_us*/) override {}
  void send(net::PeerMessage /*message*/) override {}
  void disk_failed(std::string text) override { parts_.report(Severity::kError, text); }
  void report(Severity severity, std::string text) override { parts_.report(severity, text); }

 private:
  const Parts& parts_;
  std::deque<Task>& tasks_;
};

namespace {

void run_all(std::deque<Task>& tasks) {
  while (!tasks.empty()) {
    Task task = std::move(tasks.front());
    tasks.pop_front();
    task();
  }
}

raft::Survivor survivor_of(const raft::Core& core, GroupIncarnation incarnation) {
  return {.self = core.self(),
          .group = incarnation,
          .hard_state = {.term = core.term(), .vote = core.vote(), .recovery = core.recovery()},
          .last = core.last(),
          .commit = core.commit(),
          .membership = core.membership()};
}

}  // namespace

OfflineNode::OfflineNode(Parts parts)
    : parts_(std::move(parts)), boot_ports_(std::make_unique<Lane>(parts_, tasks_)) {
  host_ = std::make_unique<GroupHost>(
      GroupHostParts{.root = parts_.root,
                     .bootstrap = {},
                     .make_log = make_segmented_log(parts_.segments),
                     .open_log = open_segmented_log(parts_.segments),
                     .store = parts_.store,
                     .reset_store = parts_.reset_store,
                     .make_ports = [this](GroupId) -> std::unique_ptr<Ports> {
                       return std::make_unique<Lane>(parts_, tasks_);
                     },
                     .boot_ports = *boot_ports_,
                     .defaults = {}});
}

OfflineNode::~OfflineNode() = default;

Result<std::unique_ptr<OfflineNode>> OfflineNode::open(Parts parts) {
  // A start would make a new node here.
  TRY_ASSIGN(exists, parts.root.exists(storage::kIdentityFileName));
  if (!exists) {
    return fail(Errc::kNotFound, fmt::format("{}: no node's data is here (there is no file '{}')",
                                             parts.root.path(), storage::kIdentityFileName));
  }
  std::unique_ptr<OfflineNode> node(new OfflineNode(std::move(parts)));
  TRY(node->host_->open());
  run_all(node->tasks_);
  return node;
}

std::vector<GroupSurvivor> OfflineNode::survivors() {
  std::vector<GroupSurvivor> all;
  const storage::ClusterId& cluster = host_->identity().cluster;
  for (const Replica* const replica : host_->replicas()) {
    const GroupId group = replica->group();
    all.push_back({.group = group,
                   .survivor = survivor_of(replica->core(), group_incarnation(cluster, group))});
  }
  return all;
}

Replica* OfflineNode::find(GroupId group) {
  const std::vector<Replica*> replicas = host_->replicas();
  const auto found = std::ranges::find(replicas, group, &Replica::group);
  return found == replicas.end() ? nullptr : *found;
}

Result<bool> OfflineNode::recover(const GroupSurvivor& told, const raft::RecoveryPlan& plan) {
  Replica* const replica = find(told.group);
  if (replica == nullptr) {
    return fail(Errc::kNotFound,
                fmt::format("group {} cannot be opened here, so its replica cannot survive: take "
                            "this node's line out of the facts",
                            told.group.value()));
  }
  const raft::Survivor now =
      survivor_of(replica->core(), group_incarnation(host_->identity().cluster, told.group));
  switch (raft::recovery_step(plan, told.survivor, now)) {
    case raft::RecoveryStep::kDone:
      return false;
    case raft::RecoveryStep::kChanged:
      return fail(Errc::kInvalidArgument,
                  fmt::format("group {}: the replica of node {} has changed since the facts were "
                              "written: stop every survivor and write them anew",
                              told.group.value(), node().value()));
    case raft::RecoveryStep::kTodo:
      break;
  }
  if (now.self == plan.seed) {
    TRY(append(replica->log(), raft::recovery_entry(plan, now.group)));
  }
  TRY(host_->store_hard_state(told.group, raft::recovered_hard_state(plan, now)));
  return true;
}

Result<void> OfflineNode::append(storage::Log& log, Entry entry) {
  const std::size_t bytes = entry.payload.size() + kLogEntryWeight;
  storage::Room room = log.upkeep_room(bytes);
  if (room == storage::Room::kPreparing) {
    run_all(tasks_);
    room = log.upkeep_room(bytes);
  }
  if (room != storage::Room::kReady) {
    const auto& error = log.prepare_error();
    return error ? std::unexpected(*error)
                 : fail(Errc::kNoSpace, "the log has no room for an entry: make room");
  }
  entry.header.append_time = std::max(parts_.now.wall_us, log.last_append_time() + 1);
  entry.header.previous_chain = log.last_chain();
  entry.header.payload_bytes = static_cast<std::uint32_t>(entry.payload.size());
  entry.header.payload_crc = crc32c(entry.payload.bytes());
  log.append(std::span(&entry, 1));
  auto job = log.take_flush();
  TRY(job->run());
  log.complete_flush(std::move(job));
  run_all(tasks_);
  return {};
}

}  // namespace lignum::server
