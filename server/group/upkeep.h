#pragma once

// When the state of a replica is checkpointed and its log cleaned, and what waits for that.
//
// A part of a replica; its lane only. A checkpoint starts when kCheckpointLogBytes of log were
// applied since the last one. The log above a durable checkpoint would have to be replayed at the
// next start, cannot be given back, and the changes of state it made are kept in memory: so it is
// bounded (rule D1), and where it is at its bound, entries have to wait (behind()).

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "raft/error.h"
#include "raft/types.h"
#include "server/group/checkpoints.h"
#include "server/group/ports.h"
#include "server/group/state_machine.h"
#include "storage/log.h"

namespace lignum::server {

// What an entry does to the space that the log takes, sooner or later. The second kind is still
// admitted when the disk is full (storage::Log::upkeep_room).
enum class EntryUse : std::uint8_t { kTakesSpace, kGivesSpaceBack };

// What an entry weighs besides its payload when log bytes are counted.
inline constexpr std::size_t kLogEntryWeight = 192;

class Upkeep {
 public:
  static constexpr std::size_t kCheckpointLogBytes = std::size_t{32} << 20;
  static constexpr std::size_t kCheckpointBacklogMax = 2 * kCheckpointLogBytes;
  static constexpr std::int64_t kCheckpointRetryUs = 1'000'000;

  struct Parts {
    GroupId group;
    Ports& ports;
    storage::Log& log;
    StateMachine& machine;
    // Of `machine`; read whenever a checkpoint begins.
    const AppliedMark& applied;
    std::unique_ptr<Checkpoints> checkpoints;
    // Entries above this are not cleaned, where it is set: somebody is being sent them.
    std::function<std::optional<Index>()> pinned;
    // Told on the lane whenever a piece of work has ended.
    std::function<void()> ended;
  };
  explicit Upkeep(Parts parts);
  ~Upkeep();
  Upkeep(const Upkeep&) = delete;
  Upkeep& operator=(const Upkeep&) = delete;

  // So much more log was applied.
  void applied(std::size_t bytes);
  // Starts a checkpoint where enough was applied.
  void checkpoint_if_due();
  // Starts a checkpoint and an image unless one is on its way or nothing was applied since.
  void checkpoint();
  // The same, also where nothing was applied since: there is no image that can be used.
  void make_image();
  // Nothing is begun until restored(): a snapshot is about to take the place of log and state.
  void hold() { held_ = true; }
  // It has; the state is that of `applied`, in an image of its own.
  void restored();
  // Frees what nobody needs any more, unless that is on its way already.
  void clean();
  // Starts nothing more by itself, and no cleaning at all.
  void stop() { stopping_ = true; }
  // Starts nothing more at all: the replica was halted.
  void halt() { halted_ = true; }

  // So much log waits for a checkpoint that entries of this use have to wait, too.
  [[nodiscard]] bool behind(EntryUse use) const;
  // Starts a checkpoint, unless one is on its way or the last try was a moment ago; returns when to
  // try again.
  std::int64_t urge();
  // Why behind() is not worth waiting for: the last attempt failed. kNoSpace or kUnavailable.
  [[nodiscard]] std::optional<Error> stall() const;
  // The last attempt failed: stopping goes on without a checkpoint rather than try for ever.
  [[nodiscard]] bool failed() const { return error_.has_value(); }
  // Work is out.
  [[nodiscard]] bool busy() const { return checkpoints_->busy() || clean_job_ != nullptr; }

  [[nodiscard]] const Checkpoints& checkpoints() const { return *checkpoints_; }

 private:
  void begin();

  const GroupId group_;
  Ports& ports_;
  storage::Log& log_;
  StateMachine& machine_;
  const AppliedMark& applied_;
  std::unique_ptr<Checkpoints> checkpoints_;
  std::function<std::optional<Index>()> pinned_;
  std::function<void()> ended_;
  // Of log applied since the last checkpoint began; since the last durable one; and of those, what
  // the one that is being written holds.
  std::size_t bytes_since_checkpoint_ = 0;
  std::size_t bytes_unsaved_ = 0;
  std::size_t bytes_being_saved_ = 0;
  std::optional<Error> error_;
  std::int64_t next_try_ = 0;
  // Out while set.
  std::unique_ptr<storage::FlushJob> clean_job_;
  bool stopping_ = false;
  bool halted_ = false;
  bool held_ = false;
  // Callbacks from pools find out with it whether the replica still exists.
  std::shared_ptr<bool> alive_;
};

}  // namespace lignum::server
