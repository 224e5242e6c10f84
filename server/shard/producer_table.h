#pragma once

// The idempotent producers of one shard: what each of them appended last.
//
// A producer numbers its records; a batch that arrives again is recognised among the last five and
// answered with its first offsets (KIP-98). The table is part of the replicated state: it changes
// only by applied entries, also its evictions, so every replica and every replay has the same one.
// A producer that was evicted, or never seen, may begin only at sequence 0: anything else is
// refused as unknown rather than taken for new.

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

// Judges `records` records under `stamp` against a session, or against none.
[[nodiscard]] ProducerVerdict judge_producer(const ProducerSession* session,
                                             const ProducerStamp& stamp, std::uint32_t records);

class ProducerTable {
 public:
  // Sessions kept for each shard; beyond it the one touched longest ago goes.
  static constexpr std::size_t kSessionsMax = 10'000;

  [[nodiscard]] const ProducerSession* find(ProducerId id) const;
  [[nodiscard]] std::size_t size() const { return sessions_.size(); }
  [[nodiscard]] const std::map<ProducerId, ProducerSession>& sessions() const { return sessions_; }

  // An applied batch. Returns the producer that had to go for it, if one had.
  std::optional<ProducerId> record(const ProducerStamp& stamp, const ProducedBatch& batch,
                                   Index index);
  // From a checkpoint or image. kCorrupt when the table cannot have held it: it is there already,
  // shares its last entry with another one, or there are too many.
  Result<void> restore(ProducerId id, ProducerSession session);

 private:
  std::map<ProducerId, ProducerSession> sessions_;
  // By last touch, for eviction.
  std::map<Index, ProducerId> by_touch_;
};

}  // namespace lignum::server
