#include "jepsen/sim/audit.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include "jepsen/check/agreement_check.h"
#include "jepsen/check/history.h"
#include "jepsen/check/log_check.h"
#include "jepsen/check/violation.h"
#include "jepsen/sim/replica_log.h"
#include "jepsen/sim/sim_disk.h"
#include "jepsen/sim/sim_network.h"
#include "jepsen/sim/sim_node.h"
#include "jepsen/sim/workload.h"
#include "jepsen/sim/world.h"
#include "raft/buggify.h"
#include "raft/error.h"
#include "raft/types.h"
#include "server/group/data_directory.h"
#include "server/group/data_group.h"
#include "server/group/group_host.h"
#include "server/group/replica.h"
#include "server/router.h"
#include "server/shard/shard_state.h"
#include "storage/data_layout.h"
#include "storage/snapshot_image.h"

namespace lignum::jepsen {

namespace {

void tell(World& world, const CheckReport& report) {
  for (const Violation& violation : report.violations.kept()) {
    world.violate(Verdict::kSafety, violation.describe());
  }
}

const server::Replica* replica_of(SimNode& node, GroupId group) {
  for (const server::Replica* each : node.host()->replicas()) {
    if (each->group() == group && !each->halted()) return each;
  }
  return nullptr;
}

}  // namespace

std::vector<ShardKey> Audit::shards() const {
  std::vector<ShardKey> shards;
  for (const WorkloadStream& stream : workload_.streams()) {
    for (std::uint32_t shard = 0; shard < stream.shards; ++shard) {
      shards.push_back({.stream = stream.id, .shard = ShardNumber(shard)});
    }
  }
  return shards;
}

std::vector<Audit::Copy> Audit::copies() const {
  std::vector<Copy> copies;
  for (SimNode* node : nodes_) {
    if (node->state() != SimNode::State::kServing) continue;
    for (const auto& [group, seat] : node->host()->router().seats()) {
      const server::DataGroup* const data = seat.group;
      if (data == nullptr || replica_of(*node, group) == nullptr) continue;
      for (const ShardKey& key : shards()) {
        const auto status = data->shard_status(key);
        if (!status) continue;
        copies.push_back({.node = node,
                          .extent = {.group = group,
                                     .shard = key,
                                     .start = status->bounds.start,
                                     .next = status->bounds.next}});
      }
    }
  }
  return copies;
}

std::map<GroupId, Index> Audit::living() const {
  std::map<GroupId, Index> living;
  for (SimNode* node : nodes_) {
    if (node->state() != SimNode::State::kServing) continue;
    for (const server::Replica* each : node->host()->replicas()) {
      const bool leads = !each->halted() && each->admitting();
      if (leads && each->applied().index == each->core().commit()) {
        living[each->group()] = std::max(living[each->group()], each->applied().index);
      }
    }
  }
  return living;
}

Index Audit::applied(SimNode& node, GroupId group) {
  const server::Replica* const found = replica_of(node, group);
  return found == nullptr ? Index() : found->applied().index;
}

void Audit::cut_power() {
  for (SimNode* node : nodes_) {
    if (node->state() == SimNode::State::kDown) continue;
    node->power_cut({.data = Survival::kNone, .names = Survival::kNone});
  }
}

void Audit::compare_states() {
  std::map<GroupId, std::pair<HostNumber, std::map<ShardKey, server::Shard>>> first;
  for (SimNode* node : nodes_) {
    for (const auto& [group, seat] : node->host()->router().seats()) {
      const auto& shards = seat.group.load()->state().shards();
      const auto [at, fresh] = first.try_emplace(group, node->number(), shards);
      if (fresh || at->second.second == shards) continue;
      world_.violate(Verdict::kSafety,
                     fmt::format("group {}: nodes {} and {} have applied the same entries and came "
                                 "to different states",
                                 group.value(), at->second.first, node->number()));
    }
  }
}

void Audit::check_images() const {
  const WithoutBuggify plain;
  for (SimNode* node : nodes_) {
    const auto root = node->disk().root();
    const auto images = root->open_directory(storage::kImagesDirectoryName);
    for (std::uint32_t group = 0; images && group <= node->plan().data_groups; ++group) {
      const auto directory =
          (*images)->open_directory(server::group_directory_name(GroupId(group)));
      const auto names = directory ? storage::list_images(**directory) : fail(Errc::kNotFound, "");
      for (const std::string& name : names.value_or(std::vector<std::string>{})) {
        judge_image(*node, storage::check_image(**directory, name));
      }
    }
  }
}

void Audit::judge_image(const SimNode& node, const Result<storage::ImageCheck>& check) const {
  const bool newer = !check && check.error().code() == Errc::kUnsupported;
  if (check ? check->damage.empty() || damaged_ : newer && damaged_) return;
  world_.violate(Verdict::kSafety, fmt::format("node {}: {}", node.number(),
                                               check ? check->damage : check.error().describe()));
}

void Audit::judge_all() {
  compare_states();
  const std::vector<Copy> all = copies();
  cut_power();
  check_images();
  for (const auto& [node, extent] : all) {
    const auto values = read_replica_shard(node->disk(), node->plan().segments, extent);
    if (!values) {
      return world_.violate(Verdict::kSafety,
                            fmt::format("node {}: {}", node->number(), values.error().describe()));
    }
    workload_.history()
        .shard(extent.shard)
        .add_log({.replica = node->number(), .start = extent.start}, *values);
  }
  tell(world_, check_history(workload_.history()));
}

void Audit::judge_rest() {
  const std::vector<Copy> all = copies();
  const std::map<GroupId, Index> leading = living();
  std::map<const Copy*, Index> reached;
  for (const Copy& copy : all) reached[&copy] = applied(*copy.node, copy.extent.group);
  cut_power();
  check_images();
  std::set<ShardKey> whole;
  for (const Copy& copy : all) {
    const auto& [node, extent] = copy;
    const auto leads = leading.find(extent.group);
    // Of a group that leads, only who has everything can be compared.
    if (leads != leading.end() && reached.at(&copy) != leads->second) continue;
    const auto values = read_replica_shard(node->disk(), node->plan().segments, extent);
    // Damage that nobody has met yet.
    if (!values) continue;
    workload_.history()
        .shard(extent.shard)
        .add_log({.replica = node->number(), .start = extent.start}, *values);
    if (leads != leading.end()) whole.insert(extent.shard);
  }
  for (const auto& [key, shard] : workload_.history().shards()) {
    if (whole.contains(key)) {
      tell(world_, check_shard(key, shard));
      continue;
    }
    ++world_.faults["shard given up"];
    tell(world_, check_agreement(key, shard));
  }
}

}  // namespace lignum::jepsen
