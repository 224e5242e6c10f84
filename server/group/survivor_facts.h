#pragma once

// What a node says of its replicas before a recovery from a lost quorum, as lines of text: they are
// carried from each surviving node to all of them, so that each makes the same plan.
//
//     survivor group=3 incarnation=... replica=1.... term=7 vote=- recovery=0 last=6/120 commit=100
//              members=... crc=...                                            (one line)
//
// Pure.

#include <string>
#include <string_view>
#include <vector>

#include "raft/error.h"
#include "raft/recovery.h"
#include "raft/types.h"

namespace lignum::server {

struct GroupSurvivor {
  GroupId group;
  raft::Survivor survivor;
  friend bool operator==(const GroupSurvivor&, const GroupSurvivor&) = default;
};

// One line, without its end.
[[nodiscard]] std::string print_survivor(const GroupSurvivor& survivor);
// Every line of `text` that is not empty and does not begin with '#'. kInvalidArgument naming
// `source` and the line.
[[nodiscard]] Result<std::vector<GroupSurvivor>> parse_survivors(std::string_view text,
                                                                 std::string_view source);

// What `plan` means, for whoever has to decide; several lines, each ended.
[[nodiscard]] std::string print_plan(GroupId group, const raft::RecoveryPlan& plan,
                                     const std::vector<raft::Survivor>& survivors);

}  // namespace lignum::server
