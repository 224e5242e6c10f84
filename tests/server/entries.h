#pragma once

// Committed entries for tests of the state machines, and a state machine's pairs as a map.

#include <bit>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "raft/check.h"
#include "raft/entry.h"
#include "raft/error.h"
#include "raft/payload.h"
#include "raft/random.h"
#include "raft/types.h"
#include "server/group/state_machine.h"
#include "storage/byte_order.h"
#include "storage/record_batch.h"

namespace lignum::server::testing {

// The header of a batch without its records: all that a state machine looks at. So a test can have
// batches of a billion records.
inline std::vector<std::byte> bare_batch(std::uint32_t records,
                                         const std::optional<ProducerStamp>& producer) {
  std::vector<std::byte> bytes(kBatchHeaderBytes);
  const std::span<std::byte> out(bytes);
  store_be<std::int32_t>(out, 8, static_cast<std::int32_t>(kBatchHeaderBytes) - 12);
  store_be<std::int8_t>(out, 16, 2);
  store_be<std::int64_t>(out, 43, producer ? producer->id.value() : -1);
  store_be<std::int16_t>(out, 51, producer ? producer->epoch : std::int16_t{-1});
  store_be<std::int32_t>(out, 53, producer ? producer->base_sequence : -1);
  store_be<std::int32_t>(out, 57, static_cast<std::int32_t>(records));
  return bytes;
}

struct BatchSpec {
  ShardKey shard;
  Offset base;
  std::uint32_t records = 1;
  std::optional<ProducerStamp> producer = std::nullopt;
};

// Append times follow the index.
inline Entry batch_entry(LogId id, const BatchSpec& spec) {
  Entry entry;
  entry.header.term = id.term;
  entry.header.index = id.index;
  entry.header.kind = EntryKind::kBatch;
  entry.header.shard = spec.shard;
  entry.header.base_offset = spec.base;
  entry.header.record_count = spec.records;
  entry.header.append_time = static_cast<TimeUs>(id.index.value()) * 1000;
  std::vector<std::byte> bytes = bare_batch(spec.records, spec.producer);
  patch_base_offset(bytes, spec.base);
  entry.payload = Payload(std::move(bytes));
  return entry;
}

inline Entry command_entry(LogId id, Payload command) {
  Entry entry;
  entry.header.term = id.term;
  entry.header.index = id.index;
  entry.header.kind = EntryKind::kCommand;
  entry.header.append_time = static_cast<TimeUs>(id.index.value()) * 1000;
  entry.payload = std::move(command);
  return entry;
}

inline LogId at(std::uint64_t index, std::uint64_t term = 1) {
  return {.term = Term(term), .index = Index(index)};
}

using Pairs = std::map<std::string, std::string, std::less<>>;

// CHECKs that pairs come in key order, as images are written.
inline Pairs pairs_of(const StateMachine& machine) {
  Pairs pairs;
  machine.for_each([&pairs](std::string_view key, std::string_view value) {
    CHECK(pairs.empty() || pairs.rbegin()->first < key);
    pairs.emplace(key, value);
  });
  return pairs;
}

// Some bits of it another, or some bytes more or less.
inline void damage(std::string& bytes, Random& random) {
  if (bytes.empty() || random.chance(1, 4)) {
    bytes.resize(random.below(bytes.size() + 4));
    return;
  }
  const std::size_t at = random.below(bytes.size());
  const auto bit = static_cast<unsigned char>(1U << random.below(8));
  bytes[at] = std::bit_cast<char>(
      static_cast<unsigned char>(std::bit_cast<unsigned char>(bytes[at]) ^ bit));
}

// `pairs` is a range of keys and values; stops at the first one that is refused.
template <class Range>
Result<void> restore_all(StateMachine& machine, const Range& pairs) {
  for (const auto& [key, value] : pairs) TRY(machine.restore(key, value));
  return {};
}

}  // namespace lignum::server::testing
