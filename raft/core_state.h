#pragma once

// What a Core holds. Private to raft/: core.cc works on it and invariants.cc looks at it.

#include <cstddef>
#include <deque>
#include <optional>
#include <utility>
#include <vector>

#include "raft/core.h"
#include "raft/log_view.h"
#include "raft/write_tracker.h"

namespace lignum::raft {

// Messages gathered for one Output; more are dropped.
inline constexpr std::size_t kMessagesMax = 1024;

struct Core::State {
  State(const Options& tuning, Boot found)
      : options(tuning),
        boot(std::move(found)),
        hard_state(boot.hard_state),
        log(boot.last),
        writes(boot.hard_state),
        commit(boot.commit) {}

  void change_role(Role next, std::optional<ReplicaId> leader);
  void campaign();
  void become_leader();
  LogId accept(Entry entry);
  void advance_commit();

  Options options;
  Boot boot;
  Role role = Role::kFollower;
  HardState hard_state;
  std::optional<ReplicaId> known_leader;
  std::optional<Index> leadership_start;
  LogView log;
  WriteTracker writes;
  Index commit;

  struct Uncommitted {
    Index index;
    std::size_t bytes = 0;
  };
  // Bounded by Options::uncommitted_bytes_max.
  std::deque<Uncommitted> uncommitted;
  std::size_t uncommitted_bytes = 0;

  // Gathered for the next Output.
  std::vector<Message> send_now;
  std::optional<RoleChange> role_change;
  bool commit_moved = false;
};

}  // namespace lignum::raft
