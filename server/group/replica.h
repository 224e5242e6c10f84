#pragma once

// The driver of one replica of one group: it runs the raft core, the log and the state machine to
// completion, in the one order of durability that raft/output.h states.
//
// Owned by a group (data_group.h, meta_group.h) and called from its lane only; it never blocks,
// reads no clock and knows no thread (ports.h). The way of an entry:
//
//     propose ─ core ─ Output ─ execute ─┬─ stage: hard state, truncation, entries
//                                        └─ one flush out ── worker ── flushed
//                                              │ meanwhile later entries gather
//        waiters ◄── apply ◄── commit ◄── on_persisted ◄─────┘
//
// Nothing is applied, and nobody is told, before the flush that holds the entry has completed
// (ack after flush). The flush leaves from a posted task, so that everything that already waits on
// the lane shares it.
//
// Damage (an entry that contradicts the state, a log that fails its checksums) halts this replica
// only: it admits nothing more and says so in status(); what was applied stays readable.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "raft/core.h"
#include "raft/entry.h"
#include "raft/error.h"
#include "raft/output.h"
#include "raft/types.h"
#include "server/group/append_clock.h"
#include "server/group/checkpoints.h"
#include "server/group/ports.h"
#include "server/group/state_machine.h"
#include "server/group/waiters.h"
#include "storage/log.h"

namespace lignum::server {

// What a replica tells the group that owns it. Called from inside the replica's own calls.
class ReplicaOwner {
 public:
  virtual ~ReplicaOwner() = default;
  // This replica leads and its own no-op is applied: admission may begin (rule A2).
  virtual void on_admitting() = 0;
  // It leads no more: the in-flight view dies.
  virtual void on_leadership_lost() = 0;
  // The replica was halted and will not serve again in this process.
  virtual void on_halted() = 0;
  // `entry` was applied to the state machine; its waiters are told right after this.
  virtual void on_applied(const Entry& entry) = 0;
  // The timer rang. Returns when it wants to be called next, if at all (monotonic us).
  virtual std::optional<std::int64_t> on_timer(const Now& now) = 0;
};

// What an entry does to the space that the log takes, sooner or later. The second kind is still
// admitted when the disk is full (storage::Log::upkeep_room).
enum class EntryUse : std::uint8_t { kTakesSpace, kGivesSpaceBack };

struct ReplicaParts {
  GroupId group;
  GroupIncarnation incarnation;
  ReplicaId self;
  // Found on disk, already raised to the term of the last entry.
  raft::HardState hard_state;
  std::unique_ptr<storage::Log> log;
  // Makes a hard state durable; called from a flush worker, for one group at a time.
  std::function<Result<void>(const raft::HardState&)> save_hard_state;
  std::unique_ptr<Checkpoints> checkpoints;
  raft::Options raft;
};

struct ReplicaStatus {
  raft::Role role = raft::Role::kFollower;
  Term term;
  Index commit;
  Index applied;
  Index durable;
  Index log_first;
  Index log_last;
  storage::Log::Usage usage;
  std::string damage;  // empty when sound
};

class Replica {
 public:
  // `machine` holds the state of `applied` (from a checkpoint or image), where the log holds
  // everything after it. All references outlive the replica.
  Replica(ReplicaParts parts, AppliedMark applied, StateMachine& machine, Ports& ports,
          ReplicaOwner& owner);
  ~Replica();
  Replica(const Replica&) = delete;
  Replica& operator=(const Replica&) = delete;

  // Campaigns. Serving begins with ReplicaOwner::on_admitting.
  void start();
  // Refuses proposals, lets what is in flight finish, takes a last checkpoint, stages a marker,
  // then calls `done`. Called once.
  void stop(Task done);

  [[nodiscard]] bool admitting() const { return admitting_ && !stopping_ && damage_.empty(); }
  // Why nothing is admitted: kNotLeader, kShuttingDown or kCorrupt.
  [[nodiscard]] Error refusal() const;

  // Room in the log for `bytes` more of entries, what was proposed but not staged yet included.
  // kPreparing also while too much log waits for a checkpoint (kCheckpointBacklogMax).
  [[nodiscard]] storage::Room room(std::size_t bytes, EntryUse use = EntryUse::kTakesSpace);
  // Why room() is not worth waiting for: the log that waits for a checkpoint is at its bound and
  // the last attempt failed. kNoSpace or kUnavailable; another attempt is made every second.
  [[nodiscard]] std::optional<Error> checkpoint_stall() const;
  // False when so many wait already that wait_for() would fail.
  [[nodiscard]] bool can_wait() const { return !waiters_.full(); }

  // Stamps and proposes an entry; header.append_time is filled in here, group, index and term by
  // the core. Fails like Core::propose, or with refusal(). The caller has asked room().
  Result<LogId> propose(Entry entry);
  // As above, with a stamp that is at least `time`: a mark.
  Result<LogId> propose_at_least(TimeUs time, Entry entry);
  // Tells `callback` the fate of `id`. Fails with kOverloaded when too many wait.
  Result<void> wait_for(LogId id, std::int64_t deadline_monotonic_us, Waiters::Callback callback);
  // Makes the timer ring no later than this.
  void wake_by(std::int64_t monotonic_us);

  // The replica serves no more; `why` names file and byte where that is known.
  void halt(std::string why);

  // Starts a checkpoint and an image unless one is on its way or nothing was applied since.
  void checkpoint();
  // Frees what nobody needs any more, unless that is on its way already.
  void clean();

  [[nodiscard]] GroupId group() const { return group_; }
  [[nodiscard]] LogId applied() const { return applied_.id; }
  // Append time of the last applied entry: every later entry is stamped above it.
  [[nodiscard]] TimeUs closed_time() const { return applied_.append_time; }
  // Append time of the last entry in flight, or closed_time() when none is.
  [[nodiscard]] TimeUs last_stamp() const;
  [[nodiscard]] storage::Log& log() { return *log_; }
  [[nodiscard]] const storage::Log& log() const { return *log_; }
  [[nodiscard]] const Checkpoints& checkpoints() const { return *checkpoints_; }
  [[nodiscard]] ReplicaStatus status() const;

  // A checkpoint starts when this much log was applied since the last one; the contract's bound
  // is twice that (rule D1), the rest is for what arrives while it is written.
  static constexpr std::size_t kCheckpointLogBytes = std::size_t{32} << 20;
  // No more log than this waits for a durable checkpoint: it would have to be replayed at the next
  // start, cannot be given back, and the changes of state it made are kept in memory. Then nothing
  // that takes space is admitted; what gives space back is, for kCheckpointLogBytes more.
  static constexpr std::size_t kCheckpointBacklogMax = 2 * kCheckpointLogBytes;
  static constexpr std::int64_t kCheckpointRetryUs = 1'000'000;
  // Bytes read at once when the log is replayed.
  static constexpr std::size_t kReplayBytes = std::size_t{4} << 20;

 private:
  // So much log waits for a checkpoint that entries of this use have to wait, too.
  [[nodiscard]] bool behind(EntryUse use) const;
  // Starts a checkpoint, unless one is on its way or the last try was a moment ago.
  void urge_checkpoint();
  Result<LogId> admit(Entry entry, TimeUs stamp);
  // The order of durability.
  void execute(raft::Output output);
  void stage(raft::PersistOp op);
  void on_timer();
  void schedule_pump();
  void pump();
  // Sends what is staged on its way, where the log thinks that best.
  void launch_flush();
  void flushed(Result<void> outcome);
  void on_role_change(const raft::RoleChange& change);
  void apply_committed();
  bool apply_one(const Entry& entry, const Hash128& chain);
  // The chain that entry `index` starts from, where memory holds it.
  [[nodiscard]] Hash128 chain_before(Index index) const;
  // Reads entries after the applied one back from the log, up to `to`.
  bool replay(Index to);
  void advance_stop();

  const GroupId group_;
  Ports& ports_;
  StateMachine& machine_;
  ReplicaOwner& owner_;
  std::unique_ptr<storage::Log> log_;
  std::function<Result<void>(const raft::HardState&)> save_hard_state_;
  std::unique_ptr<Checkpoints> checkpoints_;
  raft::Core core_;
  AppendClock clock_;
  Waiters waiters_;

  AppliedMark applied_;
  // Accepted by the core, not yet applied, in index order. Bounded by the core's
  // uncommitted_bytes_max.
  struct Pending {
    Entry entry;
    Hash128 chain;  // after it
  };
  std::deque<Pending> unapplied_;
  // Tokens staged for the next flush.
  std::vector<raft::PersistOp> staged_;
  // A flush that is out, with its tokens; without a job where only a hard state is written.
  struct Flight {
    std::unique_ptr<storage::FlushJob> job;
    std::vector<raft::PersistOp> operations;
  };
  // In order; Log::kFlushesOutMax at most.
  std::deque<Flight> flights_;
  // Of entries proposed since the last pump.
  std::size_t unstaged_bytes_ = 0;
  bool pump_posted_ = false;
  bool admitting_ = false;
  // Of log applied since the last checkpoint began; since the last durable one; and of those, what
  // the one that is being written holds.
  std::size_t bytes_since_checkpoint_ = 0;
  std::size_t bytes_unsaved_ = 0;
  std::size_t bytes_being_saved_ = 0;
  // Of the last checkpoint, where it failed: stopping goes on without one rather than try for ever.
  std::optional<Error> checkpoint_error_;
  std::int64_t next_checkpoint_try_ = 0;
  bool clean_out_ = false;
  std::unique_ptr<storage::FlushJob> clean_job_;
  std::optional<std::int64_t> marker_at_;
  std::optional<std::int64_t> idle_at_;
  std::optional<std::int64_t> armed_for_;
  std::string damage_;
  bool stopping_ = false;
  Task stopped_;
  // Callbacks from pools find out with it whether the replica still exists.
  std::shared_ptr<bool> alive_;
};

}  // namespace lignum::server
