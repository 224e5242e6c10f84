#include "server/recover_command.h"

#include <algorithm>
#include <expected>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include "raft/error.h"
#include "raft/recovery.h"
#include "raft/types.h"
#include "server/command_line.h"
#include "server/group/offline_node.h"
#include "server/group/ports.h"
#include "server/group/survivor_facts.h"
#include "server/node_storage.h"
#include "storage/identity_file.h"

namespace lignum::server {

namespace {

struct GroupPlan {
  raft::RecoveryPlan plan;
  std::vector<raft::Survivor> survivors;
};
using Plans = std::map<GroupId, GroupPlan>;

// A data directory that is locked and opened, and not served.
struct OpenedNode {
  std::unique_ptr<NodeStorage> storage;
  std::unique_ptr<OfflineNode> node;
};

bool wanted(const RecoverRequest& request, GroupId group) {
  return !request.group || *request.group == group.value();
}

Result<OpenedNode> open_node(const RecoverParts& parts) {
  std::error_code error;
  // Opening it would make it.
  if (!std::filesystem::exists(parts.data + "/" + storage::kIdentityFileName, error)) {
    return fail(
        Errc::kNotFound,
        fmt::format("{}: no node's data is here; name its directory with --data", parts.data));
  }
  OpenedNode opened;
  TRY_ASSIGN(storage, NodeStorage::open(parts.data));
  opened.storage = std::move(storage);
  TRY_ASSIGN(node,
             OfflineNode::open(
                 {.root = opened.storage->root(),
                  .store = opened.storage->state_store(),
                  .reset_store = [&store = *opened.storage] { return store.reset_state_store(); },
                  .segments = {},
                  .now = parts.now,
                  .report = [&parts](Severity /*severity*/,
                                     const std::string& text) { parts.remark(text); }}));
  opened.node = std::move(node);
  return opened;
}

Result<void> print_facts(const RecoverRequest& request, const RecoverParts& parts) {
  TRY_ASSIGN(opened, open_node(parts));
  bool any = false;
  for (const GroupSurvivor& each : opened.node->survivors()) {
    if (!wanted(request, each.group)) continue;
    any = true;
    parts.print(print_survivor(each) + "\n");
  }
  if (any) return {};
  return fail(Errc::kNotFound, fmt::format("{}: there is no such group here", parts.data));
}

Result<Plans> read_plans(const RecoverRequest& request, const RecoverParts& parts) {
  Plans plans;
  for (const std::string& file : request.survivors) {
    TRY_ASSIGN(text, parts.read_file(file));
    TRY_ASSIGN(found, parse_survivors(text, file));
    for (GroupSurvivor& each : found) {
      if (wanted(request, each.group)) {
        plans[each.group].survivors.push_back(std::move(each.survivor));
      }
    }
  }
  if (plans.empty()) {
    return fail(Errc::kInvalidArgument,
                "--survivors: nothing is said there of any such group; write the facts with "
                "'logd recover-group' on each surviving node");
  }
  for (auto& [group, each] : plans) {
    auto plan = raft::plan_recovery(each.survivors);
    if (!plan) {
      return fail(plan.error().code(),
                  fmt::format("group {}: {}", group.value(), plan.error().message()));
    }
    each.plan = *std::move(plan);
  }
  return plans;
}

Result<void> carry_out(const Plans& plans, const RecoverParts& parts) {
  TRY_ASSIGN(opened, open_node(parts));
  const NodeId node = opened.node->node();
  for (const auto& [group, each] : plans) {
    const auto told = std::ranges::find_if(
        each.survivors, [&](const raft::Survivor& survivor) { return survivor.self.node == node; });
    if (told == each.survivors.end()) {
      return fail(Errc::kInvalidArgument,
                  fmt::format("group {}: node {}, whose data this is, is none of the survivors",
                              group.value(), node.value()));
    }
    TRY_ASSIGN(now, opened.node->recover({.group = group, .survivor = *told}, each.plan));
    parts.print(fmt::format("group {}: node {}'s part is done{}\n", group.value(), node.value(),
                            now ? "" : " already"));
  }
  return {};
}

}  // namespace

Result<void> recover_groups(const RecoverRequest& request, const RecoverParts& parts) {
  if (request.survivors.empty()) {
    if (!request.dry_run) return print_facts(request, parts);
    return fail(Errc::kInvalidArgument, "--dry-run says what --survivors FILE would do: name it");
  }
  TRY_ASSIGN(plans, read_plans(request, parts));
  for (const auto& [group, each] : plans) {
    parts.print(print_plan(group, each.plan, each.survivors));
  }
  if (!request.dry_run) return carry_out(plans, parts);
  parts.print("dry run: nothing was changed\n");
  return {};
}

}  // namespace lignum::server
