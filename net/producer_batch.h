#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "net/client.h"
#include "net/moment.h"
#include "raft/error.h"
#include "raft/payload.h"
#include "raft/types.h"
#include "storage/record_batch.h"
#include "storage/record_batch_builder.h"

namespace lignum::net {

// Who waits for one record: a callback of its own, or a listener with a tag.
struct AppendWaiter {
  AppendListener* listener = nullptr;
  std::uint64_t tag = 0;
  // Used where there is no listener.
  Client::AppendCallback callback;
};

// Who waits for the records of one batch, in their order. Costs eight bytes a record where
// neighbours share a listener.
class AppendWaiters {
 public:
  void add(AppendWaiter waiter);
  [[nodiscard]] std::size_t size() const { return tags_.size(); }
  // Calls everybody. Runs without any lock of the library; callbacks may append.
  void deliver(const Result<AppendAck>& first) const { deliver_some(first, 0, size()); }
  // Calls those from number `begin` up to `end`.
  void deliver_some(const Result<AppendAck>& first, std::size_t begin, std::size_t end) const;

 private:
  struct Run {
    AppendListener* listener;  // none: tags are indexes into callbacks_
    std::size_t count;
  };
  std::vector<std::uint64_t> tags_;
  std::vector<Run> runs_;
  std::vector<Client::AppendCallback> callbacks_;
};

// The end of one batch, for its waiters.
struct AppendOutcome {
  AppendWaiters waiters;
  Result<AppendAck> first;
  // As counted against the buffer's bound.
  std::size_t accounted_bytes = 0;
};

// Builders between two batches, with the memory they have grown to: a busy producer asks for none.
// Keeps a few; belongs to a Producer.
class SpareBuilders {
 public:
  explicit SpareBuilders(const BatchLimits& limits) : limits_(limits) {}
  [[nodiscard]] BatchBuilder take();
  void give_back(BatchBuilder builder);

 private:
  static constexpr std::size_t kSparesMax = 8;

  const BatchLimits limits_;
  std::vector<BatchBuilder> spares_;
};

// A batch on its way: open (records are added), closed (waits for its turn), sent (has a sequence
// number and is not acknowledged). A value of ProducerShard.
struct ProducerBatch {
  explicit ProducerBatch(BatchBuilder empty) : builder(std::move(empty)) {}

  BatchBuilder builder;
  AppendWaiters waiters;
  // Counted against the buffer's bound until the outcome.
  std::size_t accounted_bytes = 0;
  Moment created = 0;
  Moment deadline = kMomentMax;
  bool open = true;
  // Conditional: travels alone.
  std::optional<Offset> expected;

  // From the first stamping on.
  Payload bytes;
  std::uint32_t record_count = 0;
  std::int32_t base_sequence = 0;
  // The attempt that is on its way.
  std::optional<std::uint64_t> attempt;
  // Some attempt ended without an answer: the batch may be in the log, now or later.
  bool unresolved = false;
  std::optional<Error> trouble;

  [[nodiscard]] bool maybe_admitted() const { return unresolved || attempt.has_value(); }
};

}  // namespace lignum::net
