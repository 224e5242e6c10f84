#include "server/shard/producer_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>
#include <utility>

#include "raft/check.h"
#include "raft/error.h"
#include "raft/mutant.h"
#include "raft/types.h"
#include "storage/record_batch.h"

namespace lignum::server {

namespace {

constexpr std::int64_t kSequences = std::int64_t{std::numeric_limits<std::int32_t>::max()} + 1;

std::int32_t last_sequence_of(std::int32_t first, std::uint32_t records) {
  return static_cast<std::int32_t>((std::int64_t{first} + records - 1) % kSequences);
}

// None for a producer that may begin.
std::optional<Error> refuse_unknown(std::optional<ProducerId> evicted, const ProducerStamp& stamp) {
  if (stamp.base_sequence != 0 && !mutant(Mutant::kUnknownProducerIsNew)) {
    return Error(
        Errc::kUnknownProducer,
        fmt::format("producer {} begins at sequence {} but no session of it is remembered; its "
                    "past cannot be known: ask for a new producer id",
                    stamp.id.value(), stamp.base_sequence));
  }
  if (evicted && stamp.id <= *evicted && !mutant(Mutant::kEvictedProducerIsNew)) {
    return Error(
        Errc::kUnknownProducer,
        fmt::format("producer {} has no session in this shard, which has forgotten producers up to "
                    "{}: whether the batch was appended before cannot be known; ask for a new "
                    "producer id",
                    stamp.id.value(), evicted->value()));
  }
  return std::nullopt;
}

}  // namespace

std::int32_t sequence_after(std::int32_t sequence, std::uint32_t records) {
  return static_cast<std::int32_t>((std::int64_t{sequence} + records) % kSequences);
}

ProducerVerdict judge_producer(const ProducerSession* session, std::optional<ProducerId> evicted,
                               const ProducerStamp& stamp, std::uint32_t records) {
  if (session == nullptr) {
    if (auto error = refuse_unknown(evicted, stamp)) return *std::move(error);
    return ProducerAccepts{};
  }
  if (stamp.epoch < session->epoch) {
    return Error(Errc::kProducerFenced, fmt::format("producer {} has epoch {}; epoch {} is fenced",
                                                    stamp.id.value(), session->epoch, stamp.epoch));
  }
  if (stamp.epoch > session->epoch) {
    if (stamp.base_sequence == 0) return ProducerAccepts{};
    return Error(Errc::kOutOfSequence,
                 fmt::format("producer {} begins epoch {} at sequence {}; it must begin at 0",
                             stamp.id.value(), stamp.epoch, stamp.base_sequence));
  }
  const std::int32_t last = last_sequence_of(stamp.base_sequence, records);
  for (const ProducedBatch& batch : session->batches) {
    if (batch.first_sequence == stamp.base_sequence && batch.last_sequence == last) {
      if (mutant(Mutant::kDuplicateAccepted)) return ProducerAccepts{};
      return ProducerDuplicate{.original = batch};
    }
  }
  const std::int32_t expected = sequence_after(session->batches.back().last_sequence, 1);
  if (stamp.base_sequence == expected) return ProducerAccepts{};
  return Error(Errc::kOutOfSequence, fmt::format("producer {} sent sequence {}; the next one is {}",
                                                 stamp.id.value(), stamp.base_sequence, expected));
}

const ProducerSession* ProducerTable::find(ProducerId id) const {
  const auto found = sessions_.find(id);
  return found == sessions_.end() ? nullptr : &found->second;
}

std::optional<ProducerId> ProducerTable::record(const ProducerStamp& stamp,
                                                const ProducedBatch& batch, Index index) {
  const auto [at, fresh] = sessions_.try_emplace(stamp.id);
  ProducerSession& session = at->second;
  if (!fresh) by_touch_.erase(session.last_index);
  if (fresh || stamp.epoch != session.epoch) session.batches.clear();
  session.epoch = stamp.epoch;
  session.last_index = index;
  if (session.batches.size() == ProducerSession::kBatchesMax) {
    session.batches.erase(session.batches.begin());
  }
  session.batches.push_back(batch);
  by_touch_.emplace(index, stamp.id);
  if (sessions_.size() <= sessions_max_) return std::nullopt;
  const ProducerId oldest = by_touch_.begin()->second;
  by_touch_.erase(by_touch_.begin());
  sessions_.erase(oldest);
  evicted_ = std::max(evicted_.value_or(oldest), oldest);
  return oldest;
}

Result<void> ProducerTable::restore(ProducerId id, ProducerSession session) {
  CHECK(!session.batches.empty());
  if (sessions_.size() >= sessions_max_ || sessions_.contains(id) ||
      by_touch_.contains(session.last_index)) {
    return fail(Errc::kCorrupt, "a producer's record contradicts those before it");
  }
  by_touch_.emplace(session.last_index, id);
  sessions_.emplace(id, std::move(session));
  return {};
}

}  // namespace lignum::server
