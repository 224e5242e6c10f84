#pragma once

// Who may append what: decided over applied + in-flight state, in the step that appends (rule A).
//
// Owned by a DataGroup; called on its lane. It lives between on_admitting and on_leadership_lost:
// begin() starts an empty in-flight view on the applied state, end() forgets it. decide() changes
// nothing; accepted() follows at once when the core took the entry; applied() retires it.
//
// Three of the four verdicts need care in how they are answered:
//   - DuplicateInFlight: wait for the original's (term, index) and share its fate.
//   - Refused with rests_on: the refusal is computed from entries that are not committed yet; it
//     may be sent only when they are applied, and only while still leading.
//   - Refused without: it rests on applied state or on the request alone.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <span>
#include <utility>
#include <variant>
#include <vector>

#include "raft/entry.h"
#include "raft/error.h"
#include "raft/types.h"
#include "server/shard/producer_table.h"
#include "server/shard/shard_state.h"
#include "storage/record_batch.h"

namespace lignum::server {

struct AdmissionRequest {
  ShardKey shard;
  std::uint32_t record_count = 0;
  std::optional<ProducerStamp> producer;
  std::optional<Offset> expected_offset;
};

struct Admitted {
  Offset base_offset;
};
struct DuplicateApplied {
  ProducedBatch original;
};
struct DuplicateInFlight {
  LogId original;
};
struct Refused {
  Error error;
  // Send only when this entry is applied.
  std::optional<LogId> rests_on = std::nullopt;
};
using AdmissionVerdict = std::variant<Admitted, DuplicateApplied, DuplicateInFlight, Refused>;

class Admission {
 public:
  // `state` outlives the admission.
  explicit Admission(const ShardState& state) : state_(state) {}

  // This replica leads and has applied its own no-op: the in-flight view is empty.
  void begin();
  // It leads no more.
  void end();
  [[nodiscard]] bool active() const { return active_; }

  // kNotLeader outside begin() .. end().
  [[nodiscard]] AdmissionVerdict decide(const AdmissionRequest& request) const;
  // The core accepted a DropShard: nothing may follow it in the log for that shard, though the
  // shard is in the state until the entry is applied.
  void dropping(ShardKey shard, LogId id);
  // The core accepted the batch, under the identity it gave.
  void accepted(const AdmissionRequest& request, Offset base_offset, LogId id);
  // `entry` was applied to the state.
  void applied(const Entry& entry);

 private:
  struct InFlight {
    LogId id;
    Offset base_offset;
    std::uint32_t record_count = 0;
    std::optional<ProducerId> producer;
  };
  struct Stamped {
    InFlight batch;
    ProducerStamp stamp;
  };
  // What one shard has in flight, bounded by the core's uncommitted_bytes_max.
  struct Lane {
    std::deque<InFlight> queue;
    // The same batches by producer, at most kBatchesMax each.
    std::map<ProducerId, std::vector<Stamped>> by_producer;
    // Oldest first.
    [[nodiscard]] std::span<const Stamped> of(ProducerId producer) const;
  };

  [[nodiscard]] AdmissionVerdict decide_producer(const Shard& shard, const Lane* lane,
                                                 const AdmissionRequest& request,
                                                 Offset next) const;
  [[nodiscard]] const Lane* lane_of(ShardKey shard) const;
  void retire(const Entry& batch);

  const ShardState& state_;
  bool active_ = false;
  std::map<ShardKey, Lane> in_flight_;
  // Drops in flight; at most one for each shard of the state.
  std::map<ShardKey, LogId> dropping_;
};

}  // namespace lignum::server
