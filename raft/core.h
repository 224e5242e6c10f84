#pragma once

// The consensus of one group as a pure state machine: inputs in, Output out.
//
// A Core is owned by one replica driver and called from its lane only. It never blocks, never
// copies payload, knows no clock (time is ticks), no thread, no disk and no socket. Whatever it
// wants done stands in the Output that take_output() hands over; output.h states the order in
// which the host must do it. Same calls, same outputs: that is what the simulator rests on.
//
// Source: D. Ongaro, "Consensus: Bridging Theory and Practice" (2014); docs/raft.md maps its
// sections to the functions here and lists every departure.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "raft/config_history.h"
#include "raft/entry.h"
#include "raft/error.h"
#include "raft/log_view.h"
#include "raft/membership.h"
#include "raft/options.h"
#include "raft/output.h"
#include "raft/progress.h"
#include "raft/types.h"

namespace lignum::raft {

// What a replica finds on its disk at boot.
struct Boot {
  ReplicaId self;
  GroupIncarnation group;
  // Already raised to the term of the last entry where that was higher (rules of hard state).
  HardState hard_state;
  // The entry before the first one in the log: index 0, or where the snapshot ends.
  LogId base;
  // Last entry in the log; equal to base when the log is empty. All of it is durable.
  LogId last;
  // Terms of the entries in (base, last], rising. May be empty only when base == last.
  std::vector<TermRun> terms;
  // Everything up to here is known to be committed: the state machine's applied mark. Not below
  // base.
  Index commit;
  // Oldest first: the configuration in force at `commit` (its index may be 0: the bootstrap one),
  // then those of the entries above it. A replica that waits to be invited has one without members.
  std::vector<ConfigAt> configs;
};

struct PeerStatus {
  ReplicaId replica;
  Index match;
  Index next;
  ProgressState state = ProgressState::kProbe;
  bool recently_active = false;
};

class Core {
 public:
  // Precondition: validate(options) is ok; `boot` is coherent (CHECKed).
  Core(const Options& options, Boot boot);
  ~Core();
  Core(Core&&) noexcept;
  Core& operator=(Core&&) noexcept;

  // ---- Inputs. Each is followed by taking the output, at the latest before the host rests.

  // One tick of the host's timer passed. Many ticks in a row start one campaign at most.
  void tick();

  // A message from another replica arrived. One that is not for this replica or answers nothing
  // that is open is ignored. One from before a recovery (Membership::recovery) is answered so that
  // its sender hears of that; one from after it has this replica forget all that was before.
  void step(Message message);

  // Appends an entry to the log of the leader and returns its identity; header fields group, index
  // and term are filled in here, everything else by the caller. Fails with kNotLeader (not the
  // leader, or handing leadership over) or kOverloaded (more than Options::uncommitted_bytes_max
  // are uncommitted). Not for kMembership.
  Result<LogId> propose(Entry entry);

  // Appends a configuration to the log of the leader; in force at once (thesis 4.1). Without a
  // change of voters it is one entry, else a joint one, left by another entry. Fails with
  // kNotLeader; kUnavailable where it must wait (an earlier change is open, nothing of this term
  // is committed yet, a learner to be promoted lacks too much); kInvalidArgument.
  Result<LogId> change_membership(std::span<const MemberChange> changes,
                                  LeaveJoint leave = LeaveJoint::kAutomatic);
  // Ends a joint configuration that was entered with LeaveJoint::kExplicit. Fails as above.
  Result<LogId> leave_joint_membership();

  // The persist operation named by `token` is durable, and so is every earlier one. Called in
  // token order, once each; anything else is a CHECK.
  void on_persisted(const WriteToken& token);

  // Answers a Fetch: entries from fetch.first on. Ignored when the follower's session has ended.
  void supply(const Fetch& fetch, std::vector<Entry> entries);
  // The log does not hold fetch.first any more: the follower needs a snapshot.
  void supply_failed(const Fetch& fetch);
  // Answers a SendSnapshot: `sent` is the snapshot that was handed over completely, or none when
  // the sending failed (it is asked for again). Ignored where the request is not the follower's
  // newest any more.
  void on_snapshot_sent(const SendSnapshot& request, std::optional<LogId> sent);
  // The log's first entry is now the one after `base`, which is not above the commit index.
  void on_compacted(LogId base);

  // Campaigns now, whatever the timers say; `kind` kPreVote asks first where options say so.
  // Nothing happens unless this replica may campaign.
  void campaign(Campaign kind = Campaign::kPreVote);
  // Asks the leader's successor to campaign once it has everything; proposals are refused until
  // then, an election timeout at most. Fails with kNotLeader or kInvalidArgument (not a voter).
  Result<void> transfer_leadership(ReplicaId to);
  // A follower no longer believes in its leader (its process is gone): it grants votes at once.
  void forget_leader();
  // The host lost contact with `peer` (its connection ended): what was in flight to it is lost.
  void on_unreachable(ReplicaId peer);

  // Asks for an index at which a read is linearizable (thesis 6.4); the answer comes with
  // Output::reads under the returned id. On a follower the leader is asked. Fails with kNotLeader
  // (no leader known) or kOverloaded.
  Result<std::uint64_t> read_index();

  // Entries from `from` on cannot be read. From now on this replica neither votes, acknowledges
  // nor campaigns, and leads no more; once repaired, the host makes a new Core.
  void on_damaged(Index from);

  // ---- Output.

  // True when take_output() may return something to do.
  [[nodiscard]] bool has_output() const;
  // Hands over what has accumulated since the last call.
  [[nodiscard]] Output take_output();
  // As above, over whatever is in `output`. A host that passes the same one each time, and gives
  // back each PersistOp after its on_persisted, makes a leader with work and its followers run
  // without allocating (tests/raft/core_bench.cc).
  void take_output(Output& output);
  void reuse(PersistOp spent);

  // ---- State.

  [[nodiscard]] ReplicaId self() const;
  [[nodiscard]] Role role() const;
  [[nodiscard]] Term term() const;
  [[nodiscard]] std::optional<ReplicaId> vote() const;
  [[nodiscard]] std::optional<ReplicaId> leader() const;
  // Index of the no-op that opened this leadership; none unless leader.
  [[nodiscard]] std::optional<Index> leadership_start() const;
  // The entry before the first one.
  [[nodiscard]] LogId base() const;
  [[nodiscard]] LogId last() const;
  [[nodiscard]] Index commit() const;
  [[nodiscard]] Index durable() const;
  // Of an entry in [base, last]; none elsewhere.
  [[nodiscard]] std::optional<Term> term_at(Index index) const;
  // The newest recovery from a lost quorum that was heard of, and whether the log lacks it: then
  // this replica does not campaign, and hears only those who have it. If it is not one of the
  // survivors, that stays so for ever.
  [[nodiscard]] std::uint64_t recovery() const;
  [[nodiscard]] bool left_behind() const;
  // In force: the newest in the log, committed or not.
  [[nodiscard]] const Membership& membership() const;
  // In force at `index`, which is not below the commit index at boot.
  [[nodiscard]] const Membership& membership_at(Index index) const;
  [[nodiscard]] bool damaged() const;
  // Of a leader: every other member, in rising order.
  [[nodiscard]] std::vector<PeerStatus> peers() const;
  // True while a transfer of leadership is under way.
  [[nodiscard]] bool transferring() const;

  // A core of its own that is as this one is: for exploring what different events lead to.
  [[nodiscard]] Core clone() const;

  // Defined in core_state.h, for raft/ alone.
  struct State;
  [[nodiscard]] const State& state() const { return *state_; }

 private:
  explicit Core(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace lignum::raft
