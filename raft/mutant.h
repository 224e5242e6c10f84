#pragma once

// Bugs on purpose: the proof that the simulator's silence means something.
//
// Each place of the product where a bug of a known kind could stand asks mutant(...) whether to
// behave as if it did. In every ordinary build that is a constant false and costs nothing. Only a
// build with LIGNUM_MUTANTS (the preset of that name) has them, and there at most one is switched
// on in a process: by `jepsen sim --mutant NAME`, or by the environment variable LIGNUM_MUTANT for
// the sake of unit tests. mutant_list.h says what each does and what should notice.
//
// Set before anything else runs; then read from any thread.

#include <cstdint>

namespace lignum {

// In the order of mutant_list.h, where each has a line.
enum class Mutant : std::uint8_t {
  kNone,
  kVoteBeforeFlush,
  kOwnVoteBeforeFlush,
  kVoteByIndexOnly,
  kVoteByDurableLog,
  kPreVoteCountsAsVote,
  kVoteWithoutOldMajority,
  kHalfIsAMajority,
  kCommitOldTerm,
  kLeaderCountsUnflushed,
  kLearnerCountsForCommit,
  kCommitWithoutOldMajority,
  kFollowerOvercommit,
  kHeartbeatOvercommit,
  kMatchFallsOnReject,
  kStaleFlushCounts,
  kAckBeforeFlush,
  kAckOwnLastIndex,
  kTruncateWithoutConflict,
  kPreviousTermIgnored,
  kStaleLeaderAccepted,
  kConfigurationNotRolledBack,
  kSnapshotKeepsConflictingTail,
  kSnapshotDropsMatchingTail,
  kSnapshotBelowCommit,
  kDamagedReplicaVotes,
  kReadWithoutQuorum,
  kReadBeforeOwnCommit,
  kReadByOldAnswers,
  kJointLeftUncommitted,
  kLogNotSynced,
  kSealedTailNotSynced,
  kManifestRenameNotSynced,
  kTruncationNotRecorded,
  kCacheSurvivesTruncation,
  kHardStateNotSynced,
  kVoteLostAtRestart,
  kOlderHardStateWins,
  kTornPayloadAccepted,
  kDamageTakenForTornTail,
  kEvidenceIgnored,
  kUnverifiedRead,
  kDuplicateAccepted,
  kInFlightForgotten,
  kUnknownProducerIsNew,
  kEvictedProducerIsNew,
  kEvictionsNotKept,
  kSessionsNotInImage,
  kSessionsNotCheckpointed,
  kExpectedOffsetOfApplied,
  kTrimGoesBack,
  kWaiterByIndexOnly,
  kPersistedBeforeFlush,
  kHardStateLeftBehind,
  kAppliedBeforeFlush,
  kRefusalNotConfirmed,
  kAdmissionBeforeNoOp,
  kReadBeforeApplied,
  kUnknownCalledFailed,
  kRetryUnderNewNumber,
  kLostSessionTakesAFreshId,
  kClientCallsUnknownFailed,
  kTailJumpsAGap,
};

#ifdef LIGNUM_MUTANTS
inline constexpr bool kMutantsBuilt = true;
// The one that is switched on; at first what LIGNUM_MUTANT names (CHECKed: a known name).
[[nodiscard]] Mutant& selected_mutant();
[[nodiscard]] inline bool mutant(Mutant which) { return selected_mutant() == which; }
#else
inline constexpr bool kMutantsBuilt = false;
[[nodiscard]] constexpr bool mutant(Mutant) { return false; }
#endif

}  // namespace lignum
