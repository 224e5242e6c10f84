#pragma once

// A node's data directory: how it is made, and what must be there when it is opened again.
//
//   LOCK         flock of the process that serves it
//   identity     cluster, node and incarnation; its appearance completes the making
//   hard-state   term and vote of every group
//   state/       LevelDB, checkpoints of all groups; may be dropped at any time
//   groups/<n>/  the log of group n: segments and manifest; group 0 is the meta group
//   images/<n>/  images of its state; made when first needed
//   bootstrap    only while the directory is being made
//
// Making it: `bootstrap` is made durable, then everything else, then `identity`, then `bootstrap`
// goes. A crash in between leaves `bootstrap` without `identity`, and the next start makes it all
// anew: no record can be in it. Without both, a directory that is not empty has lost its identity
// and is refused: what it holds must not be taken for nothing.
//
// Called at boot from one thread.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "raft/error.h"
#include "raft/types.h"
#include "storage/data_layout.h"
#include "storage/file.h"
#include "storage/hard_state_file.h"
#include "storage/identity_file.h"

namespace lignum::server {

using storage::group_incarnation;
using storage::kBootstrapFileName;
using storage::kGroupsDirectoryName;
using storage::kImagesDirectoryName;

struct BootstrapOptions {
  // Data groups beside the meta group.
  std::uint32_t groups = 8;
  // Random, minted by the caller; used only where the directory is new.
  storage::ClusterId cluster;
  NodeIncarnation incarnation;
  NodeId node{1};
  // The voters of every group of a cluster of several nodes, this one among them; each node is
  // given the same list and the same cluster. Empty: this node alone. Kept in the identity.
  std::vector<ReplicaId> members;
};

struct OpenDirectory {
  storage::NodeIdentity identity;
  std::unique_ptr<storage::HardStateFile> hard_state;
  // Ascending; begins with the meta group.
  std::vector<GroupId> groups;
  bool made = false;
};

struct MakeLogRequest {
  GroupId group;
  GroupIncarnation incarnation;
  NodeIncarnation node;
};
// Makes the (empty) log of a group in its directory, durably. Files that an interrupted attempt
// left there are gone already.
using MakeLog =
    std::function<Result<void>(storage::Directory& directory, const MakeLogRequest& request)>;

// Opens the directory, making it where it is new. kCorrupt when it has lost its identity, hard
// state or groups; the message says what is missing and that nothing was changed.
Result<OpenDirectory> open_data_directory(storage::Directory& root, const BootstrapOptions& options,
                                          const MakeLog& make_log);

[[nodiscard]] std::string group_directory_name(GroupId group);

}  // namespace lignum::server
