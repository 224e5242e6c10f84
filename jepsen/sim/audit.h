#pragma once

// The end of a run: what clients and replicas saw is compared with the logs on the disks, each read
// from its replica apart.
//
// Within what is promised every node serves every group, and all of the history has to be right.
// Where disks were damaged beyond it, groups may have halted for good. Their shards are judged by
// what was seen of them (agreement_check.h); those of groups that still lead, in full.
//
// Cuts the power of every node. Deterministic.

#include <map>
#include <utility>
#include <vector>

#include "jepsen/check/history.h"
#include "jepsen/sim/replica_log.h"
#include "jepsen/sim/sim_node.h"
#include "jepsen/sim/workload.h"
#include "jepsen/sim/world.h"
#include "raft/error.h"
#include "raft/types.h"
#include "storage/snapshot_image.h"

namespace lignum::jepsen {

class Audit {
 public:
  // All outlive it. `damaged`: what was at rest was struck, images, too.
  Audit(World& world, Workload& workload, std::vector<SimNode*> nodes, bool damaged)
      : world_(world), workload_(workload), nodes_(std::move(nodes)), damaged_(damaged) {}

  // Every node serves.
  void judge_all();
  // Whatever is left; counts the shards that nobody leads any more.
  void judge_rest();

 private:
  // Part of a shard as one replica has it.
  struct Copy {
    SimNode* node;
    ShardExtent extent;
  };
  [[nodiscard]] std::vector<ShardKey> shards() const;
  // Of every group that a node has not halted.
  [[nodiscard]] std::vector<Copy> copies() const;
  // Of each group that takes appends: what its leader has applied.
  [[nodiscard]] std::map<GroupId, Index> living() const;
  [[nodiscard]] static Index applied(SimNode& node, GroupId group);
  // All have applied the same entries, so they have come to the same state, producers and all.
  void compare_states();
  // Whatever image a node keeps is whole, or says what is not.
  void check_images() const;
  void judge_image(const SimNode& node, const Result<storage::ImageCheck>& check) const;
  void cut_power();

  World& world_;
  Workload& workload_;
  const std::vector<SimNode*> nodes_;
  const bool damaged_;
};

}  // namespace lignum::jepsen
