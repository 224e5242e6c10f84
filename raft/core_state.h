#pragma once

// What a Core holds. Private to raft/: election.cc, replication.cc, log_acceptance.cc,
// reconfiguration.cc and reads.cc work on it, each on its part of the protocol; core.cc wires them
// to the interface and invariants.cc looks at it.

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "raft/config_history.h"
#include "raft/core.h"
#include "raft/log_view.h"
#include "raft/membership.h"
#include "raft/progress.h"
#include "raft/quorum.h"
#include "raft/random.h"
#include "raft/read_tracker.h"
#include "raft/ring.h"
#include "raft/write_tracker.h"

namespace lignum::raft {

// Messages gathered for one Output; more are dropped, as a network might.
inline constexpr std::size_t kMessagesMax = 1024;

// Follows `leader`, or waits to hear of one.
struct Follower {
  std::optional<ReplicaId> leader;
};

// Asks for votes, or (kPreVote) whether it should.
struct Candidate {
  Campaign kind = Campaign::kElection;
  // First answers, its own included once that is durable.
  std::map<ReplicaId, bool> votes;
};

struct Leader {
  // Index of the no-op that opened this leadership.
  Index start;
  // Of every other member; of one that leaves, until that is committed.
  std::map<ReplicaId, Progress> progress;
  bool members_leave = false;
  Ticks heartbeat_elapsed = 0;
  struct Transfer {
    ReplicaId to;
    Ticks elapsed = 0;
    bool told = false;
  };
  std::optional<Transfer> transfer;
};

struct Core::State {
  State(const Options& tuning, Boot boot);

  // ---- core.cc
  // Of no earlier recovery than this replica has heard of. One of a later recovery is heard, too:
  // from then on nothing from before it counts here.
  bool counts(const Message& message);
  void dispatch(Message& message);
  // Of the own term, or made so.
  void dispatch_current(Message& message);
  // A granted pre-vote comes from whatever term its sender is in.
  [[nodiscard]] static bool is_grant(const Message& message);

  // ---- election.cc: who leads.
  void tick();
  void tick_leader();
  // Since the last call: answers of a majority of voters came (thesis 6.2).
  bool heard_a_majority();
  void campaign(Campaign kind);
  // A message of a newer term, or of this term's leader.
  void become_follower(Term term, std::optional<ReplicaId> leader);
  void become_leader();
  void on_vote_request(const ReplicaId& from, const RequestVote& request);
  void on_vote_reply(const ReplicaId& from, const RequestVoteReply& reply);
  void on_own_vote_durable();
  void on_timeout_now();
  Result<void> transfer_leadership(ReplicaId to);
  void advance_transfer();
  [[nodiscard]] bool may_campaign() const;
  // A leader was heard within the last election timeout (thesis 4.2.3).
  [[nodiscard]] bool hears_leader() const;

  // ---- replication.cc: what a leader does with its followers.
  void plan_sends(std::vector<Fetch>& fetch);
  void plan_send(const ReplicaId& to, Progress& progress, std::vector<Fetch>& fetch);
  // In place of what was asked for this follower and not handed over yet.
  void ask_for_snapshot(const ReplicaId& to, Progress& progress);
  void send_append(const ReplicaId& to, Progress& progress, std::vector<Entry> entries);
  void send_heartbeats();
  void send_heartbeat(const ReplicaId& to, const Progress& progress);
  void on_append_reply(const ReplicaId& from, const AppendReply& reply);
  void on_heartbeat_reply(const ReplicaId& from, const HeartbeatReply& reply);
  void supply(const Fetch& fetch, std::vector<Entry> entries);
  // Of this leadership and session; none when it has ended.
  Progress* open_progress(const ReplicaId& replica, Session session);
  LogId accept(Entry entry);
  void advance_commit();
  void on_commit_advanced();

  // ---- log_acceptance.cc: what a follower does with a leader's messages.
  void on_append(const ReplicaId& from, AppendEntries& request);
  void on_heartbeat(const ReplicaId& from, const Heartbeat& heartbeat);
  void on_snapshot(const ReplicaId& from, const InstallSnapshot& install);
  // Keeps what matches and takes the rest over. False: it contradicts what is committed.
  bool accept_entries(std::vector<Entry>& entries);
  void commit_to(Index index);
  // Tells a leader of an earlier term that its time is over (thesis 3.3).
  void answer_stale(const Message& message);

  // ---- reconfiguration.cc: who belongs to the group.
  Result<LogId> change_membership(std::span<const MemberChange> changes, LeaveJoint leave);
  Result<LogId> leave_joint_membership();
  Result<void> may_reconfigure() const;
  Result<void> check_promotions(std::span<const MemberChange> changes) const;
  LogId append_membership(const Membership& membership);
  // The configuration in force is another one: a leader's followers are made to match.
  void refresh_progress();
  // A configuration was committed: leaves a joint one, or leadership where it ends for this one.
  void on_membership_committed();
  void let_members_go();
  void hand_over_and_step_down();

  // ---- reads.cc: linearizable reads (thesis 6.4).
  Result<std::uint64_t> read_index();
  void on_read_request(const ReplicaId& from, const ReadRequest& request);
  void on_read_reply(const ReplicaId& from, const ReadReply& reply);
  void begin_read_round();
  void release_reads();
  void fail_reads();

  // ---- Shared.
  [[nodiscard]] const Membership& membership() const { return configs.latest().membership; }
  [[nodiscard]] Leader* leading() { return std::get_if<Leader>(&role); }
  [[nodiscard]] const Leader* leading() const { return std::get_if<Leader>(&role); }
  [[nodiscard]] std::optional<ReplicaId> known_leader() const;
  [[nodiscard]] Role role_name() const;
  [[nodiscard]] Message message_to(const ReplicaId& to, MessageBody body) const;
  // Promises nothing about entries or votes. It names term and recovery, so it waits until they are
  // durable.
  void send(const ReplicaId& to, MessageBody body);
  // Promises that everything accepted so far is durable.
  void send_when_durable(const ReplicaId& to, MessageBody body);
  // Promises nothing at all: only for the sake of mutants (raft/mutant.h).
  void send_at_once(const ReplicaId& to, MessageBody body);
  void push(Message message);
  void note_role_change();
  void reset_election_timer();
  void save_vote(Term term, std::optional<ReplicaId> vote);
  void save_hard_state(const HardState& next);
  // The group was recovered, and this replica's log does not say so (yet).
  [[nodiscard]] bool left_behind() const { return membership().recovery < hard_state.recovery; }

  Options options;
  ReplicaId self;
  GroupIncarnation group;
  HardState hard_state;
  LogView log;
  WriteTracker writes;
  ConfigHistory configs;
  Index commit;
  std::variant<Follower, Candidate, Leader> role;
  Random random;
  Session last_session = 0;
  bool damaged = false;

  Ticks election_elapsed = 0;
  Ticks election_timeout = 0;
  // Since the last Output was taken: a burst of late ticks campaigns once.
  bool campaigned = false;

  struct Uncommitted {
    Index index;
    std::size_t bytes = 0;
  };
  // Of a leader. Bounded by Options::uncommitted_bytes_max.
  Ring<Uncommitted> uncommitted;
  std::size_t uncommitted_bytes = 0;

  ReadTracker reads;

  // Gathered for the next Output.
  std::vector<Message> send_now;
  std::vector<SendSnapshot> send_snapshot;
  std::vector<ReadReady> reads_ready;
  std::optional<RoleChange> role_change;
  std::optional<Index> divergence;
  bool commit_moved = false;
  // Something happened that may let a follower be sent more.
  bool sends_due = false;
};

}  // namespace lignum::raft
