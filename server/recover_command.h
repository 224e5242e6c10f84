#pragma once

// `logd recover-group`: a group goes on after a majority of its voters was lost for ever.
//
//     without --survivors   says what this node's replicas hold: the facts
//     with it, --dry-run    says what the recovery would do; opens no data directory
//     with it               does this node's part of it
//
// What it means is told in raft/recovery.h and docs/operating/lost-quorum.md. One thread; blocks.

#include <functional>
#include <string>

#include "raft/error.h"
#include "server/command_line.h"
#include "server/group/ports.h"

namespace lignum::server {

struct RecoverParts {
  // Data directory.
  std::string data;
  Now now;
  std::function<Result<std::string>(const std::string&)> read_file;
  // Pieces of text for stdout, and remarks for stderr.
  std::function<void(const std::string&)> print;
  std::function<void(const std::string&)> remark;
};

// kInvalidArgument where the facts allow no recovery or are not about what is here; kNotFound,
// kLocked, kCorrupt, kIo ... of the data directory.
Result<void> recover_groups(const RecoverRequest& request, const RecoverParts& parts);

}  // namespace lignum::server
