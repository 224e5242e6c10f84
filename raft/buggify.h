#pragma once

// Rare paths on purpose: places of the product that can behave in another way than they mostly do.
//
// Where the product may take a short cut or not, refuse or not, do a little or much, such a place
// asks buggify(...) whether to do what is rare. Whatever it answers is legal behaviour: nothing may
// depend on it but speed. (A bug on purpose is a mutant.h.) The idea is FoundationDB's.
//
// Only the simulator ever sets a decider, on its own thread and from its seed; so the same code
// runs in the product and under test. In the product it costs to load a thread's pointer that is
// null, and to branch (docs/design/0005-buggify.md).

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

namespace lignum {

// Named by what then happens; kBuggifyPoints has a line for each.
enum class Buggify : std::uint8_t {
  kRaftShortFetch,
  kRaftShortSupply,
  kRaftWindowShut,
  kRaftProbeAgain,
  kRaftSnapshotAnyway,
  kRaftEarlyElection,
  kRaftEarlyHeartbeat,
  kRaftProposalRefused,
  kRaftMessageDropped,
  kStorageEarlyRoll,
  kStorageEarlyFlush,
  kStorageNotPrepared,
  kStorageCacheMiss,
  kStorageCacheEvicted,
  kStorageMarkerDelayed,
  kStorageShortRead,
  kStorageNothingToClean,
  kStorageSmallStateFile,
  kStorageSmallChunk,
  kServerCheckpointNow,
  kServerFreshImage,
  kServerMarkerNow,
  kServerLateLaunch,
  kServerRecentForgotten,
  kServerFetchWaits,
  kServerQueueFull,
  kServerAppendQueued,
  kServerWaitersFull,
  kServerReadsFull,
  kServerParkFull,
  kServerShortRead,
  kServerProducerBlock,
  kServerEntriesDropped,
  kNetBatchClosed,
  kNetOneInFlight,
  kNetRetryAtOnce,
  kNetShortAttempt,
  kNetShortRead,
  kNetNoWait,
  kNetConnectionBusy,
};

struct BuggifyPoint {
  Buggify point = {};
  std::string_view name;
  std::string_view what;
};

inline constexpr std::array<BuggifyPoint, 40> kBuggifyPoints = {{
    {.point = Buggify::kRaftShortFetch,
     .name = "raft-short-fetch",
     .what = "a leader asks for one entry at a time"},
    {.point = Buggify::kRaftShortSupply,
     .name = "raft-short-supply",
     .what = "of what was read for a follower one entry is used"},
    {.point = Buggify::kRaftWindowShut,
     .name = "raft-window-shut",
     .what = "a window counts as full"},
    {.point = Buggify::kRaftProbeAgain,
     .name = "raft-probe-again",
     .what = "a follower that was in step is probed again"},
    {.point = Buggify::kRaftSnapshotAnyway,
     .name = "raft-snapshot-anyway",
     .what = "a follower is sent a snapshot that could be sent entries"},
    {.point = Buggify::kRaftEarlyElection,
     .name = "raft-early-election",
     .what = "an election timeout is the shortest allowed"},
    {.point = Buggify::kRaftEarlyHeartbeat,
     .name = "raft-early-heartbeat",
     .what = "a leader sends heartbeats before they are due"},
    {.point = Buggify::kRaftProposalRefused,
     .name = "raft-proposal-refused",
     .what = "a leader takes no more entries for now"},
    {.point = Buggify::kRaftMessageDropped,
     .name = "raft-message-dropped",
     .what = "a message finds no room in the output"},
    {.point = Buggify::kStorageEarlyRoll,
     .name = "storage-early-roll",
     .what = "the log rolls to the next segment before it must"},
    {.point = Buggify::kStorageEarlyFlush,
     .name = "storage-early-flush",
     .what = "another flush leaves beside the one that is out"},
    {.point = Buggify::kStorageNotPrepared,
     .name = "storage-not-prepared",
     .what = "the next segment seems not to be ready"},
    {.point = Buggify::kStorageCacheMiss,
     .name = "storage-cache-miss",
     .what = "the tail cache does not have it"},
    {.point = Buggify::kStorageCacheEvicted,
     .name = "storage-cache-evicted",
     .what = "the tail cache forgets all it has"},
    {.point = Buggify::kStorageMarkerDelayed,
     .name = "storage-marker-delayed",
     .what = "no marker is written this time"},
    {.point = Buggify::kStorageShortRead,
     .name = "storage-short-read",
     .what = "a read of the log returns one entry"},
    {.point = Buggify::kStorageNothingToClean,
     .name = "storage-nothing-to-clean",
     .what = "there is no segment to clean this time"},
    {.point = Buggify::kStorageSmallStateFile,
     .name = "storage-small-state-file",
     .what = "a new file of terms and votes has room for one group"},
    {.point = Buggify::kStorageSmallChunk,
     .name = "storage-small-chunk",
     .what = "a chunk of an image is closed before it is large"},
    {.point = Buggify::kServerCheckpointNow,
     .name = "server-checkpoint-now",
     .what = "a checkpoint begins before it is due"},
    {.point = Buggify::kServerFreshImage,
     .name = "server-fresh-image",
     .what = "a snapshot is made anew before it is sent"},
    {.point = Buggify::kServerMarkerNow,
     .name = "server-marker-now",
     .what = "a group counts as idle at once"},
    {.point = Buggify::kServerLateLaunch,
     .name = "server-late-launch",
     .what = "a flush leaves after what is committed was applied"},
    {.point = Buggify::kServerRecentForgotten,
     .name = "server-recent-forgotten",
     .what = "no applied entry is kept for followers"},
    {.point = Buggify::kServerFetchWaits,
     .name = "server-fetch-waits",
     .what = "a follower's entries are looked up later"},
    {.point = Buggify::kServerQueueFull,
     .name = "server-queue-full",
     .what = "no further append may wait for a segment"},
    {.point = Buggify::kServerAppendQueued,
     .name = "server-append-queued",
     .what = "an append waits although there is room"},
    {.point = Buggify::kServerWaitersFull,
     .name = "server-waiters-full",
     .what = "too many appends wait"},
    {.point = Buggify::kServerReadsFull,
     .name = "server-reads-full",
     .what = "too many reads wait"},
    {.point = Buggify::kServerParkFull,
     .name = "server-park-full",
     .what = "a read that could wait is answered empty"},
    {.point = Buggify::kServerShortRead,
     .name = "server-short-read",
     .what = "a read is answered with one batch"},
    {.point = Buggify::kServerProducerBlock,
     .name = "server-producer-block",
     .what = "producer ids are taken one at a time"},
    {.point = Buggify::kServerEntriesDropped,
     .name = "server-entries-dropped",
     .what = "a leader's entries find no room in the log"},
    {.point = Buggify::kNetBatchClosed,
     .name = "net-batch-closed",
     .what = "a batch takes no further record"},
    {.point = Buggify::kNetOneInFlight,
     .name = "net-one-in-flight",
     .what = "a producer waits for the answer to what it sent"},
    {.point = Buggify::kNetRetryAtOnce,
     .name = "net-retry-at-once",
     .what = "a producer tries again without a pause"},
    {.point = Buggify::kNetShortAttempt,
     .name = "net-short-attempt",
     .what = "an attempt to append is given up early"},
    {.point = Buggify::kNetShortRead,
     .name = "net-short-read",
     .what = "a tail asks for as little as it may"},
    {.point = Buggify::kNetNoWait,
     .name = "net-no-wait",
     .what = "a tail does not ask the server to wait"},
    {.point = Buggify::kNetConnectionBusy,
     .name = "net-connection-busy",
     .what = "too many requests are on their way to a node"},
}};

// Each in its place.
static_assert([] {
  for (std::size_t i = 0; i < kBuggifyPoints.size(); ++i) {
    if (std::to_underlying(kBuggifyPoints[i].point) != i) return false;
  }
  return true;
}());

// Decides for all code of one thread. Owned by the simulator.
class BuggifyDecider {
 public:
  virtual ~BuggifyDecider() = default;
  [[nodiscard]] virtual bool decide(Buggify point) = 0;
};

// Of this thread; null, always, in the product.
inline constinit thread_local BuggifyDecider* buggify_decider = nullptr;

[[nodiscard]] inline bool buggify(Buggify point) {
  return buggify_decider != nullptr && buggify_decider->decide(point);
}

// None of it while this stands.
class WithoutBuggify {
 public:
  WithoutBuggify() : before_(std::exchange(buggify_decider, nullptr)) {}
  ~WithoutBuggify() { buggify_decider = before_; }
  WithoutBuggify(const WithoutBuggify&) = delete;
  WithoutBuggify& operator=(const WithoutBuggify&) = delete;

 private:
  BuggifyDecider* before_;
};

}  // namespace lignum
