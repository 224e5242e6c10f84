#pragma once

// The idempotent producers of one shard: what each of them appended last.
//
// A producer numbers its records; a batch that arrives again is recognised among the last five and
// answered with its first offsets (KIP-98). The table is part of the replicated state: it changes
// only by applied entries, also its evictions, so every replica and every replay has the same one.
//
// A producer without a session may begin only at sequence 0, and only if it cannot have been here
// before: the cluster hands out ids in ascending order, so the table keeps the highest id that it
// ever evicted, and every id up to that one may have had a session. What is refused as unknown is
// never taken for new; its producer asks for a fresh id (docs/design/0006-evicted-producers.md).

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "raft/error.h"
#include "raft/types.h"
#include "storage/record_batch.h"

namespace lignum::server {

// One remembered batch of a producer.
struct ProducedBatch {
  std::int32_t first_sequence = 0;
  std::int32_t last_sequence = 0;
  Offset base_offset;
  TimeUs append_time = 0;
  Hash128 chain;  // of the shard, after the batch
  friend bool operator==(const ProducedBatch&, const ProducedBatch&) = default;
};

// `sequence` + `records`, wrapping from 2^31 - 1 to 0.
[[nodiscard]] std::int32_t sequence_after(std::int32_t sequence, std::uint32_t records);

struct ProducerSession {
  // Batches remembered for each producer; a client keeps at most as many unacknowledged.
  static constexpr std::size_t kBatchesMax = 5;

  std::int16_t epoch = 0;
  // Index of the last entry that touched it.
  Index last_index;
  // Oldest first, at least one.
  std::vector<ProducedBatch> batches;
  friend bool operator==(const ProducerSession&, const ProducerSession&) = default;
};

// What the table says of a batch.
struct ProducerAccepts {};
struct ProducerDuplicate {
  ProducedBatch original;
};
// kOutOfSequence, kUnknownProducer or kProducerFenced.
using ProducerVerdict = std::variant<ProducerAccepts, ProducerDuplicate, Error>;

// Judges `records` records under `stamp` against a session; or, where there is none, against the
// highest producer that was evicted.
[[nodiscard]] ProducerVerdict judge_producer(const ProducerSession* session,
                                             std::optional<ProducerId> evicted,
                                             const ProducerStamp& stamp, std::uint32_t records);

class ProducerTable {
 public:
  // Sessions kept for each shard; beyond it the one touched longest ago goes.
  static constexpr std::size_t kSessionsMax = 10'000;

  // At least one session. The same in every replica and every life of a group: what is evicted is
  // a function of the log. Tests have fewer.
  explicit ProducerTable(std::size_t sessions_max = kSessionsMax) : sessions_max_(sessions_max) {}

  [[nodiscard]] const ProducerSession* find(ProducerId id) const;
  [[nodiscard]] std::size_t size() const { return sessions_.size(); }
  [[nodiscard]] const std::map<ProducerId, ProducerSession>& sessions() const { return sessions_; }
  // The highest id that ever had to go; none while none had.
  [[nodiscard]] std::optional<ProducerId> evicted() const { return evicted_; }

  // An applied batch. Returns the producer that had to go for it, if one had.
  std::optional<ProducerId> record(const ProducerStamp& stamp, const ProducedBatch& batch,
                                   Index index);
  // From a checkpoint or image. kCorrupt when the table cannot have held it: it is there already,
  // shares its last entry with another one, or there are too many.
  Result<void> restore(ProducerId id, ProducerSession session);
  void restore_evicted(std::optional<ProducerId> evicted) { evicted_ = evicted; }

  friend bool operator==(const ProducerTable&, const ProducerTable&) = default;

 private:
  std::size_t sessions_max_;
  std::map<ProducerId, ProducerSession> sessions_;
  // By last touch, for eviction.
  std::map<Index, ProducerId> by_touch_;
  std::optional<ProducerId> evicted_;
};

}  // namespace lignum::server
