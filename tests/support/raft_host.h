#pragma once

// One real core with a log in memory: does in the right order what the core asks for
// (raft/output.h) and leaves to its owner when each step happens.
//
//     inputs on core() -> pump() -> ready: letters, writes -> flush(), apply() -> persisted()
//
// Owned by a RaftWorld or by a test; one thread.

#include <cstddef>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "raft/core.h"
#include "raft/membership.h"
#include "raft/messages.h"
#include "raft/options.h"
#include "raft/output.h"
#include "raft/types.h"
#include "tests/support/letter.h"
#include "tests/support/replica_log.h"

namespace lignum::world {

enum class Storage : std::uint8_t { kSynchronous, kAsynchronous };
// When the core's output is taken: after every input, or only when the host rests.
enum class Taking : std::uint8_t { kEager, kLazy };

struct HostSettings {
  ReplicaId self;
  raft::Options options;
  Storage storage = Storage::kSynchronous;
  Taking taking = Taking::kEager;
};

// What the core asked for since the last time this was handed over.
struct Ready {
  std::vector<Letter> letters;
  std::vector<raft::PersistOp> writes;
};

class RaftHost {
 public:
  using Notes = std::function<void(std::string)>;

  // Boots a core on `disk`, of which entries up to `commit` are applied.
  RaftHost(const HostSettings& settings, ReplicaLog disk, Index commit, Notes notes);

  [[nodiscard]] raft::Core& core() { return core_; }
  [[nodiscard]] const raft::Core& core() const { return core_; }
  [[nodiscard]] const ReplicaId& self() const { return settings_.self; }
  [[nodiscard]] const HostSettings& settings() const { return settings_; }
  // As the core sees it, and what a crash leaves.
  [[nodiscard]] const ReplicaLog& log() const { return log_; }
  [[nodiscard]] const ReplicaLog& disk() const { return disk_; }
  [[nodiscard]] Index applied() const { return applied_; }

  // Takes all output of the core and answers what it fetches.
  void pump();
  // After an input: pump() where output is taken eagerly.
  void after_input();

  [[nodiscard]] bool has_ready() const;
  // Since the last Ready.
  [[nodiscard]] bool commit_moved() const { return core_.commit() > ready_commit_; }
  [[nodiscard]] Ready take_ready();
  // Puts a letter among those of the next Ready.
  void add_letter(Letter letter) { ready_.letters.push_back(std::move(letter)); }
  // The write reaches the disk.
  void flush(const raft::PersistOp& op) { disk_.perform(op); }
  // Tells the core so.
  void persisted(const raft::WriteToken& token);
  // What may be applied now: committed and durable here.
  [[nodiscard]] Index applicable() const;
  // Has no effect at or below applied().
  void apply_to(Index index);
  // Drops entries up to `index`, which is applied.
  void compact(Index index);
  // The newest image: the state at applied().
  [[nodiscard]] raft::Snapshot snapshot() const;

  // Asynchronous storage: groups of writes and marks to apply, oldest first.
  std::deque<std::vector<raft::PersistOp>> append_queue;
  std::deque<Index> apply_queue;

 private:
  // The write is in the log that the core sees, and waits for its flush.
  void accept(raft::PersistOp op);
  void answer(const raft::Fetch& fetch);
  void add_snapshot(const raft::SendSnapshot& request);
  void note_role(const raft::RoleChange& change);

  HostSettings settings_;
  ReplicaLog disk_;
  ReplicaLog log_;
  Index applied_;
  // Highest commit index that a Ready covered.
  Index ready_commit_;
  raft::Core core_;
  Ready ready_;
  Notes notes_;
};

}  // namespace lignum::world
