#pragma once

// The driver of one replica of one group: it runs the raft core, the log and the state machine to
// completion, in the one order of durability that raft/output.h states.
//
// Owned by a group (data_group.h, meta_group.h) and called from its lane only; it never blocks,
// reads no clock and knows no thread (ports.h). The way of an entry:
//
//     propose ─┐                       ┌─ stage ─ log_writer.h ─ one flush out ── worker
//     receive ─┼─ core ─ Output ─ drain┼─ fetch ─ catch_up.h ─ supply ─ core
//     tick ────┘                       └─ send ─ Ports::send        │ meanwhile later entries
//     gather
//                                                                   │
//        waiters ◄── apply ◄── commit ◄── on_persisted ◄─ promises leave ◄─ flushed
//
// Nothing is applied, and nobody is told, before the flush that holds the entry has completed
// (ack after flush). The flush leaves from a posted task, so that everything that already waits on
// the lane shares it; a leader's messages leave with it, so that disks and network work side by
// side.
//
// A change of leadership ends admission, not waiting: an entry of an earlier leadership may still
// commit, so whoever waits for it hears what became of it, or kUnknown at the deadline.
//
// A follower that needs what the log of its leader no longer holds is sent a snapshot: the newest
// image and what is kept of the log before it (snapshot_sender.h, snapshot_receiver.h). When all of
// it has come, the core decides (raft::InstallSnapshot); if it takes it, state and log change hands
// when the switch is durable, and until then nothing is applied.
//
// Damage (an entry that contradicts the state, a log that fails its checksums or contradicts its
// leader's) halts this replica only: it admits nothing more, says nothing more to others, and says
// so in status(); what was applied stays readable. A log that fails its checksums is repaired from
// the other members, and another Replica takes this one's place (log_repairer.h).

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "net/peer_message.h"
#include "net/snapshot_messages.h"
#include "raft/core.h"
#include "raft/entry.h"
#include "raft/error.h"
#include "raft/membership.h"
#include "raft/messages.h"
#include "raft/output.h"
#include "raft/types.h"
#include "server/group/append_clock.h"
#include "server/group/catch_up.h"
#include "server/group/checkpoints.h"
#include "server/group/configured_state.h"
#include "server/group/log_scrubber.h"
#include "server/group/log_writer.h"
#include "server/group/ports.h"
#include "server/group/read_waiters.h"
#include "server/group/recent_entries.h"
#include "server/group/repair_answers.h"
#include "server/group/repair_images.h"
#include "server/group/snapshot_receiver.h"
#include "server/group/snapshot_sender.h"
#include "server/group/state_machine.h"
#include "server/group/transfer_pace.h"
#include "server/group/upkeep.h"
#include "server/group/waiters.h"
#include "storage/log.h"
#include "storage/log_stage.h"

namespace lignum::server {

// What a replica tells the group that owns it. Called from inside the replica's own calls.
class ReplicaOwner {
 public:
  virtual ~ReplicaOwner() = default;
  // Another replica leads the group, as far as is known here; none: nobody does.
  virtual void on_leader(std::optional<ReplicaId> leader) = 0;
  // This replica leads and its own no-op is applied: admission may begin (rule A2).
  virtual void on_admitting() = 0;
  // It leads no more: the in-flight view dies.
  virtual void on_leadership_lost() = 0;
  // The replica was halted and will not serve again in this process.
  virtual void on_halted() = 0;
  // `entry` was applied to the state machine; its waiters are told right after this.
  virtual void on_applied(const Entry& entry) = 0;
  // A snapshot took the place of state and log, up to Replica::applied().
  virtual void on_restored() = 0;
  // The timer rang. Returns when it wants to be called next, if at all (monotonic us).
  virtual std::optional<std::int64_t> on_timer(const Now& now) = 0;
};

struct ReplicaParts {
  GroupId group;
  // What read_boot() (replica_boot.h) found.
  raft::Boot boot;
  std::unique_ptr<storage::Log> log;
  // Makes a hard state durable; called from a flush worker, for one group at a time.
  std::function<Result<void>(const raft::HardState&)> save_hard_state;
  std::unique_ptr<Checkpoints> checkpoints;
  raft::Options raft;
  // How long a tick of the core is.
  std::int64_t tick_us = 50'000;
  // Of one piece of a snapshot; net::kSnapshotPieceBytes at most.
  std::size_t snapshot_piece_bytes = net::kSnapshotPieceBytes;
  // The node's; outlives the replica.
  TransferPace& pace;
  // The log was repaired: holes of another replica's may have been taken over, of records that this
  // one's state does not know to be trimmed yet.
  bool mended = false;
  ScrubPace scrub;
};

struct ReplicaStatus {
  raft::Role role = raft::Role::kFollower;
  Term term;
  std::optional<ReplicaId> leader;
  Index commit;
  Index applied;
  Index durable;
  Index log_first;
  Index log_last;
  storage::Log::Usage usage;
  std::string damage;  // empty when sound
  // Why the log cannot grow at present; empty where it can.
  std::string trouble;
};

class Replica final : private LogWriter::Events {
 public:
  // `machine` holds the state of `applied` (from a checkpoint or image), where the log holds
  // everything after it, and boot.configs the configuration in force there. All references outlive
  // the replica.
  Replica(ReplicaParts parts, AppliedMark applied, StateMachine& machine, Ports& ports,
          ReplicaOwner& owner);
  ~Replica() override;
  Replica(const Replica&) = delete;
  Replica& operator=(const Replica&) = delete;

  // Begins to count ticks; a group of one voter campaigns at once. Serving begins with
  // ReplicaOwner::on_admitting.
  void start();
  // Refuses proposals, gives leadership away where others could lead (kHandOverUs at most), lets
  // what is in flight finish, takes a last checkpoint, stages a marker, then calls `done`. Called
  // once.
  void stop(Task done);

  // A message of another replica of this group arrived, whole and verified.
  void receive(net::PeerMessage received);
  // The connection to `peer` was lost, and with it what was on its way there.
  void unreachable(ReplicaId peer);

  [[nodiscard]] bool admitting() const { return admitting_ && !stopping_ && damage_.empty(); }
  [[nodiscard]] bool halted() const { return !damage_.empty(); }
  // Why nothing is admitted: kNotLeader, kShuttingDown, or kHalted where nobody else could take
  // this replica's place.
  [[nodiscard]] Error refusal() const;
  // The node to ask instead; none where this one leads, or nobody is known to.
  [[nodiscard]] std::optional<NodeId> other_leader() const;
  // Nobody else belongs to the group.
  [[nodiscard]] bool alone() const;

  // Room in the log for `bytes` more of entries, what was proposed but not staged yet included.
  // kPreparing also while too much log waits for a checkpoint (kCheckpointBacklogMax).
  [[nodiscard]] storage::Room room(std::size_t bytes, EntryUse use = EntryUse::kTakesSpace);
  // Why room() is not worth waiting for: the log that waits for a checkpoint is at its bound and
  // the last attempt failed. kNoSpace or kUnavailable; another attempt is made every second.
  [[nodiscard]] std::optional<Error> checkpoint_stall() const { return upkeep_.stall(); }
  // Why room() said kNoSpace or kFailed, for whoever is refused for it.
  [[nodiscard]] Error room_error() const;
  // False when so many wait already that wait_for() would fail.
  [[nodiscard]] bool can_wait() const { return !waiters_.full(); }

  // Stamps and proposes an entry; header.append_time is filled in here, group, index and term by
  // the core. Fails like Core::propose, or with refusal(). The caller has asked room().
  Result<LogId> propose(Entry entry);
  // As above, with a stamp that is at least `time`: a mark.
  Result<LogId> propose_at_least(TimeUs time, Entry entry);
  // Tells `callback` the fate of `id`. Fails with kOverloaded when too many wait.
  Result<void> wait_for(LogId id, std::int64_t deadline_monotonic_us, Waiters::Callback callback);
  // Calls `callback` once the applied state contains everything that was committed anywhere when
  // this was called (thesis 6.4), possibly at once; or with the reason why that cannot be said.
  void confirm_read(std::int64_t deadline_monotonic_us, ReadWaiters::Callback callback);
  // Of a leader: see Core::change_membership and Core::transfer_leadership. Fail like those, or
  // with refusal(); the former also with kUnavailable where the log has no room yet.
  Result<LogId> change_membership(std::span<const raft::MemberChange> changes);
  Result<void> transfer_leadership(ReplicaId to);
  // Makes the timer ring no later than this.
  void wake_by(std::int64_t monotonic_us) override;

  // The replica serves no more; `why` names file and byte where that is known.
  void halt(std::string why);
  // The same for what a read of the log returned: kCorrupt is damage that can be repaired.
  void halt_unreadable(const Error& error);
  // It was halted because its log is damaged.
  [[nodiscard]] bool log_damaged() const { return log_damaged_; }
  [[nodiscard]] bool mended() const { return mended_; }

  // Starts a checkpoint and an image unless one is on its way or nothing was applied since.
  void checkpoint() { upkeep_.checkpoint(); }
  // Frees what nobody needs any more, unless that is on its way already.
  void clean() { upkeep_.clean(); }

  [[nodiscard]] GroupId group() const { return group_; }
  [[nodiscard]] LogId applied() const { return applied_.id; }
  // Append time of the last applied entry: every later entry is stamped above it.
  [[nodiscard]] TimeUs closed_time() const { return applied_.append_time; }
  // Append time of the last entry in flight, or closed_time() when none is.
  [[nodiscard]] TimeUs last_stamp() const;
  [[nodiscard]] storage::Log& log() { return *log_; }
  [[nodiscard]] const storage::Log& log() const { return *log_; }
  [[nodiscard]] const Checkpoints& checkpoints() const { return upkeep_.checkpoints(); }
  [[nodiscard]] const raft::Core& core() const { return core_; }
  [[nodiscard]] ReplicaStatus status() const;
  // Followers that were brought up by a snapshot since start.
  [[nodiscard]] std::uint64_t snapshots_sent() const { return sender_.sent(); }

  // A checkpoint starts when this much log was applied since the last one; the contract's bound
  // is twice that (rule D1), the rest is for what arrives while it is written.
  static constexpr std::size_t kCheckpointLogBytes = Upkeep::kCheckpointLogBytes;
  // No more log than this waits for a durable checkpoint. Then nothing that takes space is
  // admitted; what gives space back is, for kCheckpointLogBytes more.
  static constexpr std::size_t kCheckpointBacklogMax = Upkeep::kCheckpointBacklogMax;
  static constexpr std::int64_t kCheckpointRetryUs = Upkeep::kCheckpointRetryUs;
  // Bytes read at once when the log is replayed.
  static constexpr std::size_t kReplayBytes = std::size_t{4} << 20;
  // Applied entries that are kept in memory for followers.
  static constexpr std::size_t kRecentBytes = std::size_t{4} << 20;
  // Entries of a leader that wait here while a segment is being prepared; more are lost, and sent
  // again by the leader.
  static constexpr std::size_t kIncomingBytesMax = std::size_t{32} << 20;
  // How often they are tried.
  static constexpr std::int64_t kIncomingPollUs = 500;
  // How often a segment is tried again whose preparation failed.
  static constexpr std::int64_t kPrepareRetryUs = 1'000'000;
  // What giving leadership away may take of the time that a stop has: two attempts.
  static constexpr std::int64_t kHandOverUs = 1'000'000;
  // How long a leader has to find out that it still leads before it speaks of its log's end.
  static constexpr std::int64_t kRepairConfirmUs = 2'000'000;
  // How often the operator is told, while it goes on to fail.
  static constexpr std::int64_t kTroubleEveryUs = 60'000'000;

 private:
  // LogWriter::Events
  void on_staged(const Entry& entry, const Hash128& chain) override;
  void on_truncated(Index last_kept) override;
  void on_persisted(raft::PersistOp operation) override;
  void on_flushed() override;
  [[nodiscard]] bool may_restore() const override { return !upkeep_.busy(); }
  [[nodiscard]] LogWriter::Restore begin_restore() override;
  void on_restored() override;
  void on_divergence(std::string what) override;
  void on_unreadable(const Error& error) override;
  void on_disk_failed() override;

  Result<LogId> admit(Entry entry, TimeUs stamp);
  // Executes what the core wants done until it wants no more. After every input but a proposal it
  // runs at once: so an output holds the consequences of one input, or of proposals alone, and
  // stamps are given in the order of the log.
  void drain();
  // The order of durability.
  void execute(raft::Output& output);
  void stage(raft::PersistOp operation);
  void send(raft::Message message);
  void supply(const raft::Fetch& fetch, Result<std::vector<Entry>> entries);
  void step(raft::Message message);
  // What moves snapshots.
  void send_snapshot(const raft::SendSnapshot& request);
  void receive_snapshot(net::PeerMessage received);
  // All of it is staged and verified.
  void on_snapshot_ready(const net::SnapshotOffer& offer);
  // Hands what waits for room in the log to the core.
  void receive_waiting();
  void on_timer();
  void tick(std::int64_t now);
  void schedule_pump();
  void pump();
  void on_role_change(const raft::RoleChange& change);
  void apply_committed();
  bool apply_one(const Entry& entry, const Hash128& chain);
  // Reads entries after the applied one back from the log, up to `to`.
  bool replay(Index to);
  void on_upkeep_ended();
  // The log's preparation of a segment failed, or works again.
  // Tells the operator, once, that a recovery from a lost quorum went on without this replica.
  void note_left_behind();
  [[nodiscard]] std::string left_behind_text() const;
  void on_preparation();
  // A directory could not be synced: the process ends, and nothing else is done.
  bool names_lost();
  // Tries it again where that is due; returns when it will be.
  std::optional<std::int64_t> retry_preparation(const Now& now);
  void begin_hand_over();
  void continue_hand_over();
  [[nodiscard]] std::optional<ReplicaId> successor() const;
  // Neither hears nor says anything more.
  [[nodiscard]] bool quiet() const { return stopping_ && !hand_over_until_; }
  void go_quiet();
  void advance_stop();

  const GroupId group_;
  const GroupIncarnation incarnation_;
  const std::int64_t tick_us_;
  Ports& ports_;
  ReplicaOwner& owner_;
  ConfiguredState machine_;
  std::unique_ptr<storage::Log> log_;
  raft::Core core_;
  AppendClock clock_;
  AppliedMark applied_;
  RecentEntries recent_;
  LogWriter writer_;
  CatchUp catch_up_;
  Upkeep upkeep_;
  SnapshotSender sender_;
  SnapshotReceiver receiver_;
  RepairAnswers answers_;
  RepairImages repair_images_;
  LogScrubber scrubber_;
  Waiters waiters_;
  ReadWaiters reads_;

  // The newest term in which this replica led: entries of it are its own.
  std::optional<Term> led_;
  // Of entries proposed since the last pump.
  std::size_t unstaged_bytes_ = 0;
  bool pump_posted_ = false;
  bool draining_ = false;
  // Of drain(); its memory serves the next one.
  raft::Output output_;
  bool started_ = false;
  bool admitting_ = false;
  // Messages with entries, in order of arrival.
  std::deque<raft::Message> incoming_;
  std::size_t incoming_bytes_ = 0;
  // A snapshot that the core took, until it is installed.
  struct Installing {
    // By the core; until then it is only offered to it.
    bool taken = false;
    std::unique_ptr<storage::LogStage> stage;
    AppliedMark mark;
    std::vector<std::pair<std::string, std::string>> pairs;
  };
  std::shared_ptr<Installing> installing_;
  std::optional<std::int64_t> tick_at_;
  std::optional<std::int64_t> armed_for_;
  std::string damage_;
  bool log_damaged_ = false;
  const bool mended_;
  // Why the log cannot grow, as the operator was told last.
  struct Told {
    Errc code;
    std::int64_t at;
  };
  std::optional<Told> told_trouble_;
  std::optional<std::int64_t> retry_preparation_at_;
  bool told_left_behind_ = false;
  bool stopping_ = false;
  // Until when it is tried to give leadership away; set only while that is so.
  std::optional<std::int64_t> hand_over_until_;
  std::size_t hand_overs_tried_ = 0;
  Task stopped_;
  // Posted tasks find out with it whether the replica still exists.
  std::shared_ptr<bool> alive_;
};

}  // namespace lignum::server
