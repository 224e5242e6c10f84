#pragma once

// The bugs that mutant.h can switch on, written down before the first was tried.

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <string_view>
#include <utility>

#include "raft/mutant.h"

namespace lignum {

struct MutantLine {
  Mutant mutant = Mutant::kNone;
  std::string_view name;
  // File and function.
  std::string_view place;
  // What is done wrong.
  std::string_view bug;
  // What should notice: checks at every step of the simulator, and rules of the history check
  // (jepsen/check/violation.h).
  std::string_view killer;
};

inline constexpr std::array<MutantLine, 59> kMutantList = {{
    {Mutant::kVoteBeforeFlush, "vote-before-flush", "raft/election.cc on_vote_request",
     "a vote is answered before it is on the disk",
     "step: vote durable before it leaves; order, lost"},
    {Mutant::kOwnVoteBeforeFlush, "own-vote-before-flush", "raft/election.cc campaign",
     "a candidate counts its own vote before it is on the disk", "step: one leader per term"},
    {Mutant::kVoteByIndexOnly, "vote-by-index-only", "raft/election.cc on_vote_request",
     "the longer log wins the vote, whatever its terms", "step: leader completeness; lost"},
    {Mutant::kVoteByDurableLog, "vote-by-durable-log", "raft/election.cc on_vote_request",
     "a candidate is compared with what is flushed, not with what is accepted",
     "step: leader completeness; lost"},
    {Mutant::kPreVoteCountsAsVote, "pre-vote-counts-as-vote", "raft/election.cc on_vote_reply",
     "a late grant of a pre-vote counts in the election", "step: one leader per term"},
    {Mutant::kVoteWithoutOldMajority, "vote-without-old-majority", "raft/quorum.cc vote_result",
     "a joint election needs the new majority only", "step: one leader per term; lost"},
    {Mutant::kHalfIsAMajority, "half-is-a-majority", "raft/quorum.cc vote_result",
     "half of an even number of votes wins", "step: one leader per term (4 or 6 voters)"},
    {Mutant::kCommitOldTerm, "commit-old-term", "raft/replication.cc advance_commit",
     "entries of an earlier term commit by being counted", "step: one committed chain; lost"},
    {Mutant::kLeaderCountsUnflushed, "leader-counts-unflushed",
     "raft/replication.cc advance_commit", "a leader counts itself before its flush",
     "step: commit held by a majority of disks; lost"},
    {Mutant::kLearnerCountsForCommit, "learner-counts-for-commit",
     "raft/replication.cc advance_commit", "a learner stands in for the slowest voter",
     "step: commit held by a majority of disks; lost"},
    {Mutant::kCommitWithoutOldMajority, "commit-without-old-majority",
     "raft/quorum.cc committed_index", "a joint commit needs the new majority only",
     "step: commit held by a majority of disks; lost"},
    {Mutant::kFollowerOvercommit, "follower-overcommit",
     "raft/log_acceptance.cc on_append, raft/replication.cc send_append",
     "commit is bounded by the own log, not by what was verified", "step: one committed chain"},
    {Mutant::kHeartbeatOvercommit, "heartbeat-overcommit", "raft/replication.cc send_heartbeat",
     "a heartbeat names the commit index, not what the follower was proved to hold",
     "step: one committed chain"},
    {Mutant::kMatchFallsOnReject, "match-falls-on-reject", "raft/progress.cc on_rejected",
     "a late rejection takes back what was proved", "step: match never falls; convergence"},
    {Mutant::kStaleFlushCounts, "stale-flush-counts", "raft/log_view.cc on_durable",
     "a flush that ended after a truncation counts for the new entries",
     "step: commit held by a majority of disks; lost"},
    {Mutant::kAckBeforeFlush, "ack-before-flush", "raft/log_acceptance.cc on_append",
     "entries are acknowledged before they are on the disk", "step: ack held by the disk; lost"},
    {Mutant::kAckOwnLastIndex, "ack-own-last-index", "raft/log_acceptance.cc on_append",
     "a follower acknowledges its own last entry, not the last verified",
     "step: commit held by a majority of disks; agreement"},
    {Mutant::kTruncateWithoutConflict, "truncate-without-conflict",
     "raft/log_acceptance.cc accept_entries", "an append that came late cuts what stands behind it",
     "step: ack held by the disk; lost"},
    {Mutant::kPreviousTermIgnored, "previous-term-ignored", "raft/log_acceptance.cc on_append",
     "the previous entry is compared by index alone", "step: log matching; agreement"},
    {Mutant::kStaleLeaderAccepted, "stale-leader-accepted", "raft/core.cc dispatch",
     "appends of an earlier term are taken", "step: log matching; lost"},
    {Mutant::kConfigurationNotRolledBack, "configuration-not-rolled-back",
     "raft/log_acceptance.cc accept_entries", "a truncated change of membership stays in force",
     "step: configuration of the log; one leader per term"},
    {Mutant::kSnapshotKeepsConflictingTail, "snapshot-keeps-conflicting-tail",
     "raft/log_acceptance.cc on_snapshot",
     "a tail behind the snapshot is kept although its terms differ",
     "step: log matching; agreement"},
    {Mutant::kSnapshotDropsMatchingTail, "snapshot-drops-matching-tail",
     "raft/log_acceptance.cc on_snapshot",
     "entries newer than the snapshot are dropped although they match",
     "step: ack held by the disk; lost"},
    {Mutant::kSnapshotBelowCommit, "snapshot-below-commit", "raft/log_acceptance.cc on_snapshot",
     "a snapshot of before the commit index is installed", "step: commit never falls"},
    {Mutant::kDamagedReplicaVotes, "damaged-replica-votes", "raft/core.cc step",
     "a damaged replica goes on voting and acknowledging", "lost (damage and crash together)"},
    {Mutant::kReadWithoutQuorum, "read-without-quorum", "raft/read_tracker.cc take_confirmed",
     "a read is answered without asking anybody", "order (stale read)"},
    {Mutant::kReadBeforeOwnCommit, "read-before-own-commit", "raft/reads.cc begin_read_round",
     "a new leader answers reads before it has committed anything", "order (stale read)"},
    {Mutant::kReadByOldAnswers, "read-by-old-answers", "raft/read_tracker.cc take_confirmed",
     "any earlier answer confirms a read", "order (stale read)"},
    {Mutant::kJointLeftUncommitted, "joint-left-uncommitted",
     "raft/reconfiguration.cc on_membership_committed",
     "a joint membership is left before it is committed", "step: one leader per term; lost"},
    {Mutant::kLogNotSynced, "log-not-synced", "storage/segmented_log.cc take_flush",
     "a flush writes but does not sync", "step: ack held by the disk; lost"},
    {Mutant::kSealedTailNotSynced, "sealed-tail-not-synced", "storage/segmented_log.cc seal_active",
     "the last bytes of a segment are not synced when the log rolls",
     "lost; a replica that cannot start"},
    {Mutant::kManifestRenameNotSynced, "manifest-rename-not-synced", "storage/manifest.cc store",
     "the directory is not synced after the manifest was renamed",
     "lost; a replica that cannot start"},
    {Mutant::kTruncationNotRecorded, "truncation-not-recorded",
     "storage/log_truncation.cc truncate_after",
     "the manifest does not learn where a segment was cut",
     "agreement; a replica that cannot start"},
    {Mutant::kCacheSurvivesTruncation, "cache-survives-truncation",
     "storage/log_truncation.cc truncate_after", "readers are served entries that were taken back",
     "read"},
    {Mutant::kHardStateNotSynced, "hard-state-not-synced",
     "storage/hard_state_file.cc write_requests", "term and vote are written but not synced",
     "step: vote durable before it leaves"},
    {Mutant::kVoteLostAtRestart, "vote-lost-at-restart",
     "storage/hard_state_block.cc decode_hard_state", "a restart forgets the vote",
     "step: one vote in a term, one leader per term"},
    {Mutant::kOlderHardStateWins, "older-hard-state-wins", "storage/hard_state_file.cc read_group",
     "a restart takes the older of two slots", "step: term never falls"},
    {Mutant::kTornPayloadAccepted, "torn-payload-accepted", "storage/tail_scan.cc take_entry",
     "a frame whose payload fails its checksum is taken", "agreement, read, chain"},
    {Mutant::kDamageTakenForTornTail, "damage-taken-for-torn-tail", "storage/tail_scan.cc judge",
     "damage in the middle is cut like a torn tail", "lost"},
    {Mutant::kEvidenceIgnored, "evidence-ignored", "storage/log_recovery.cc judge",
     "the checkpoint proves that entries were flushed, and nobody listens",
     "lost (damage of the tail and crash together)"},
    {Mutant::kUnverifiedRead, "unverified-read", "storage/segment.cc read",
     "bytes from the disk are served unchecked", "read, chain"},
    {Mutant::kDuplicateAccepted, "duplicate-accepted",
     "server/shard/producer_table.cc judge_producer", "a batch that was applied is admitted again",
     "duplicate"},
    {Mutant::kInFlightForgotten, "in-flight-forgotten", "server/shard/admission.cc decide_producer",
     "a batch that is in flight is admitted again", "duplicate; a halted replica"},
    {Mutant::kUnknownProducerIsNew, "unknown-producer-is-new",
     "server/shard/producer_table.cc judge_producer",
     "a producer without a session may begin anywhere", "duplicate"},
    {Mutant::kSessionsNotInImage, "sessions-not-in-image", "server/shard/shard_state.cc for_each",
     "an image lacks the sessions of producers", "duplicate"},
    {Mutant::kSessionsNotCheckpointed, "sessions-not-checkpointed",
     "server/shard/shard_state.cc take_changes", "a checkpoint lacks the sessions of producers",
     "duplicate"},
    {Mutant::kExpectedOffsetOfApplied, "expected-offset-of-applied",
     "server/shard/admission.cc decide", "a conditional append is judged without what is in flight",
     "conditional"},
    {Mutant::kTrimGoesBack, "trim-goes-back", "server/shard/shard_state.cc apply_command",
     "a late trim moves the start of a shard back", "trim"},
    {Mutant::kWaiterByIndexOnly, "waiter-by-index-only", "server/group/waiters.cc applied",
     "an append is acknowledged by another leader's entry at its index", "lost, offset"},
    {Mutant::kPersistedBeforeFlush, "persisted-before-flush", "server/group/log_writer.cc launch",
     "the core hears of a flush when it begins", "step: ack held by the disk; lost"},
    {Mutant::kHardStateLeftBehind, "hard-state-left-behind", "server/group/log_writer.cc launch",
     "entries are flushed without the term that authorises them",
     "step: term never falls, one leader per term"},
    {Mutant::kAppliedBeforeFlush, "applied-before-flush",
     "server/group/replica_apply.cc apply_committed",
     "what is committed elsewhere is applied before it is on the own disk", "lost, shrunk"},
    {Mutant::kRefusalNotConfirmed, "refusal-not-confirmed", "server/group/data_group.cc append",
     "a refusal that rests on entries in flight is answered at once", "conditional, order"},
    {Mutant::kAdmissionBeforeNoOp, "admission-before-no-op",
     "server/group/replica_apply.cc apply_committed",
     "a new leader admits before it has applied its own first entry", "offset; a halted replica"},
    {Mutant::kReadBeforeApplied, "read-before-applied", "server/group/read_waiters.cc answer",
     "a read does not wait until its index is applied", "order (stale read)"},
    {Mutant::kUnknownCalledFailed, "unknown-called-failed",
     "server/group/data_group.cc not_applied", "an entry that may yet commit is reported as failed",
     "aborted"},
    {Mutant::kRetryUnderNewNumber, "retry-under-new-number", "net/producer_shard.cc resend",
     "a retry gets a new sequence number", "duplicate"},
    {Mutant::kClientCallsUnknownFailed, "client-calls-unknown-failed",
     "net/producer_shard.cc end_sent", "an append that was not answered is reported as failed",
     "aborted"},
    {Mutant::kTailJumpsAGap, "tail-jumps-a-gap", "net/tail_shard.cc on_trouble",
     "a tail passes over trimmed records in silence", "tail"},
}};

// Each in its place.
static_assert([] {
  for (std::size_t i = 0; i < kMutantList.size(); ++i) {
    if (std::to_underlying(kMutantList[i].mutant) != i + 1) return false;
  }
  return true;
}());

[[nodiscard]] constexpr std::optional<Mutant> find_mutant(std::string_view name) {
  const auto* const found = std::ranges::find(kMutantList, name, &MutantLine::name);
  return found == kMutantList.end() ? std::nullopt : std::optional(found->mutant);
}

}  // namespace lignum
