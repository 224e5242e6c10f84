#include "server/group/shard_reader.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <limits>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include "raft/buggify.h"
#include "raft/entry.h"
#include "raft/error.h"
#include "raft/types.h"
#include "server/group/ports.h"
#include "server/group/replica.h"
#include "server/group/requests.h"
#include "storage/log.h"

namespace lignum::server {

namespace {

constexpr std::int64_t kMarkSpacingUs = 1'000'000 / ShardReader::kMarksPerSecondMax;
constexpr std::size_t kMarkBytes = 0;

// Where all levels were asked for, nothing may be left out: an index that lost a batch would be
// passed over in silence otherwise. The first offsets from `from` on that the answer jumps over.
std::optional<storage::ReadTrouble::Offsets> first_missing(const std::vector<Entry>& entries,
                                                           Offset from, Offset below) {
  if (entries.empty()) return storage::ReadTrouble::Offsets{.from = from, .to = below};
  for (const Entry& entry : entries) {
    const Offset base = entry.header.base_offset;
    if (base > from) return storage::ReadTrouble::Offsets{.from = from, .to = base};
    from = base + entry.header.record_count;
  }
  return std::nullopt;
}

// What of a shard cannot be read, and why.
Error describe(const storage::ReadTrouble& trouble, ShardKey shard) {
  if (!trouble.offsets) return trouble.error;
  return {trouble.error.code(),
          fmt::format("offsets {} to {} of shard {}/{} cannot be read: {}",
                      trouble.offsets->from.value(), trouble.offsets->to.value() - 1,
                      shard.stream.value(), shard.shard.value(), trouble.error.message())};
}

}  // namespace

ShardReader::ShardReader(Replica& replica, Ports& ports, BoundsOf bounds_of)
    : replica_(replica),
      ports_(ports),
      bounds_of_(std::move(bounds_of)),
      alive_(std::make_shared<bool>(true)) {}

ShardReader::~ShardReader() { *alive_ = false; }

void ShardReader::read(const ReadRequest& request, Reply<ReadOutcome> reply) {
  const auto bounds = bounds_of_(request.shard);
  if (!bounds) {
    reply(refuse(Errc::kUnavailable,
                 fmt::format("shard {}/{} is not open in group {}", request.shard.stream.value(),
                             request.shard.shard.value(), replica_.group().value())));
    return;
  }
  if (request.from < bounds->start) {
    reply(std::unexpected(Refusal{
        .error =
            Error(Errc::kTrimmed, fmt::format("offset {} was trimmed; the first one kept is {}",
                                              request.from.value(), bounds->start.value())),
        .bounds = bounds}));
    return;
  }
  if (request.from > bounds->next && !replica_.admitting() && !replica_.alone()) {
    // It may well exist already, where the leader is.
    reply(std::unexpected(Refusal{.error = replica_.refusal(), .leader = replica_.other_leader()}));
    return;
  }
  if (request.from > bounds->next) {
    reply(std::unexpected(Refusal{
        .error =
            Error(Errc::kOffsetOutOfRange, fmt::format("offset {} is above the watermark {}",
                                                       request.from.value(), bounds->next.value())),
        .bounds = bounds}));
    return;
  }
  if (request.from < bounds->next) {
    fetch(request, *bounds, std::move(reply));
    return;
  }
  const Now now = ports_.now();
  const bool closed = request.close && replica_.closed_time() >= *request.close;
  if (closed || request.deadline_monotonic_us <= now.monotonic_us || stopping_ ||
      parked_count_ >= kParkedMax || buggify(Buggify::kServerParkFull)) {
    reply(ReadOutcome{.batches = {},
                      .next = request.from,
                      .bounds = *bounds,
                      .closed_time = replica_.closed_time()});
    return;
  }
  if (request.close && replica_.halted()) {
    // Its time stands still.
    reply(std::unexpected(Refusal{.error = replica_.refusal(), .leader = replica_.other_leader()}));
    return;
  }
  if (request.close && *request.close > now.wall_us + kSkewMaxUs) {
    reply(std::unexpected(Refusal{
        .error = Error(Errc::kSkew,
                       fmt::format("a closed time {} ms ahead of this node's clock was asked for",
                                   (*request.close - now.wall_us) / 1000)),
        .bounds = bounds}));
    return;
  }
  park(request, std::move(reply));
  if (request.close) want_mark(*request.close);
}

void ShardReader::park(const ReadRequest& request, Reply<ReadOutcome> reply) {
  earliest_deadline_ = parked_count_ == 0
                           ? request.deadline_monotonic_us
                           : std::min(earliest_deadline_, request.deadline_monotonic_us);
  if (request.close) {
    lowest_close_ = lowest_close_ ? std::min(*lowest_close_, *request.close) : *request.close;
  }
  parked_[request.shard].push_back({.request = request, .reply = std::move(reply)});
  ++parked_count_;
  replica_.wake_by(earliest_deadline_);
}

void ShardReader::fetch(const ReadRequest& request, const ShardBounds& bounds,
                        Reply<ReadOutcome> reply) {
  std::shared_ptr<storage::ReadPlan> plan = replica_.log().read_shard(
      request.shard,
      {.from = request.from,
       .below = bounds.next,
       .bytes_max = buggify(Buggify::kServerShortRead)
                        ? 1
                        : std::clamp<std::size_t>(request.bytes_max, 1, kReadBytesMax),
       .level_mask = request.level_mask});
  if (plan->in_memory()) {
    auto entries = plan->run();
    finish(request, bounds.next, {.entries = std::move(entries), .trouble = plan->trouble()},
           std::move(reply));
    return;
  }
  auto fetched = std::make_shared<Fetched>();
  ports_.run(
      Pool::kRead,
      [plan = std::move(plan), fetched]() -> Result<void> {
        fetched->entries = plan->run();
        fetched->trouble = plan->trouble();
        return {};
      },
      [this, alive = alive_, request, below = bounds.next, fetched,
       reply = std::move(reply)](const Result<void>& outcome) mutable {
        if (!outcome) {
          reply(refuse(outcome.error()));
        } else if (!*alive) {
          reply(refuse(Errc::kShuttingDown, "the node is shutting down"));
        } else {
          finish(request, below, std::move(*fetched), std::move(reply));
        }
      });
}

void ShardReader::check_for_holes(const ReadRequest& request, Offset below, Fetched& fetched) {
  if (!fetched.entries || request.level_mask != kLevelMaskAll) return;
  std::vector<Entry>& entries = *fetched.entries;
  const auto missing = first_missing(entries, request.from, below);
  if (!missing) return;
  fetched.trouble = storage::ReadTrouble{
      .error = Error(Errc::kCorrupt, fmt::format("the batch at offset {} is below the watermark {} "
                                                 "and not in the log",
                                                 missing->from.value(), below.value())),
      .offsets = missing};
  std::erase_if(entries,
                [&](const Entry& entry) { return entry.header.base_offset >= missing->to; });
  if (entries.empty()) fetched.entries = std::unexpected(fetched.trouble->error);
}

void ShardReader::finish(const ReadRequest& request, Offset below, Fetched fetched,
                         Reply<ReadOutcome> reply) {
  const bool read_all = !fetched.trouble;
  check_for_holes(request, below, fetched);
  if (read_all && fetched.trouble && replica_.mended()) {
    // Trimmed elsewhere, as this replica will learn when it has applied as much.
    return reply(refuse(Errc::kUnavailable, "these records are not here at present; retry"));
  }
  if (fetched.trouble) {
    Error error = describe(*fetched.trouble, request.shard);
    // The group goes on serving what is sound, but takes no more appends: the operator decides.
    if (error.code() == Errc::kCorrupt) replica_.halt_unreadable(error);
    if (!fetched.entries) {
      Refusal refusal{.error = std::move(error)};
      if (fetched.trouble->offsets) refusal.readable_from = fetched.trouble->offsets->to;
      reply(std::unexpected(std::move(refusal)));
      return;
    }
  }
  const auto bounds = bounds_of_(request.shard);
  if (!bounds) {
    reply(refuse(Errc::kUnavailable, "the shard was dropped"));
    return;
  }
  // A plan returns at least one entry where one matches: none means that the mask left out all, as
  // far as the watermark was when it was made.
  ReadOutcome outcome{.batches = std::move(*fetched.entries),
                      .next = below,
                      .bounds = *bounds,
                      .closed_time = replica_.closed_time()};
  if (outcome.batches.size() > kReadBatchesMax) {
    outcome.batches.erase(outcome.batches.begin() + kReadBatchesMax, outcome.batches.end());
  }
  if (!outcome.batches.empty()) {
    const EntryHeader& last = outcome.batches.back().header;
    outcome.next = last.base_offset + last.record_count;
  }
  reply(std::move(outcome));
}

void ShardReader::on_applied(const Entry& entry) {
  if (parked_count_ == 0) return;
  if (entry.header.kind == EntryKind::kBatch && parked_.contains(entry.header.shard)) {
    if (std::ranges::find(ready_, entry.header.shard) == ready_.end()) {
      ready_.push_back(entry.header.shard);
    }
    schedule_wake();
  }
  if (lowest_close_ && entry.header.append_time >= *lowest_close_) {
    closed_moved_ = true;
    schedule_wake();
  }
}

void ShardReader::on_bounds_changed(ShardKey shard) {
  if (!parked_.contains(shard)) return;
  ready_.push_back(shard);
  schedule_wake();
}

void ShardReader::on_restored() {
  closed_moved_ = true;
  schedule_wake();
}

void ShardReader::schedule_wake() {
  if (wake_posted_) return;
  wake_posted_ = true;
  ports_.post([this, alive = alive_] {
    if (*alive) wake_ready();
  });
}

void ShardReader::wake_ready() {
  wake_posted_ = false;
  std::vector<ShardKey> shards = std::exchange(ready_, {});
  if (std::exchange(closed_moved_, false)) {
    lowest_close_.reset();
    shards.clear();
    shards.reserve(parked_.size());
    for (const auto& [shard, parked] : parked_) shards.push_back(shard);
  }
  for (const ShardKey shard : shards) wake(shard);
}

void ShardReader::wake(ShardKey shard) {
  const auto found = parked_.find(shard);
  if (found == parked_.end()) return;
  std::vector<Parked> all = std::move(found->second);
  parked_.erase(found);
  parked_count_ -= all.size();
  for (Parked& parked : all) read(parked.request, std::move(parked.reply));
}

std::optional<std::int64_t> ShardReader::on_timer(const Now& now) {
  if (parked_count_ > 0 && earliest_deadline_ <= now.monotonic_us) {
    std::vector<ShardKey> shards;
    shards.reserve(parked_.size());
    for (const auto& [shard, parked] : parked_) shards.push_back(shard);
    // Reading again answers what is late and parks the rest, which finds the next deadline.
    earliest_deadline_ = std::numeric_limits<std::int64_t>::max();
    for (const ShardKey shard : shards) wake(shard);
  }
  if (mark_wanted_ && next_mark_at_ <= now.monotonic_us) try_mark(now);
  std::optional<std::int64_t> next;
  if (parked_count_ > 0) next = earliest_deadline_;
  if (mark_wanted_) next = next ? std::min(*next, next_mark_at_) : next_mark_at_;
  return next;
}

void ShardReader::want_mark(TimeUs time) {
  mark_wanted_ = mark_wanted_ ? std::max(*mark_wanted_, time) : time;
  const Now now = ports_.now();
  if (next_mark_at_ <= now.monotonic_us) {
    try_mark(now);
  } else {
    replica_.wake_by(next_mark_at_);
  }
}

void ShardReader::try_mark(const Now& now) {
  if (!mark_wanted_) return;
  const TimeUs wanted = *mark_wanted_;
  mark_wanted_.reset();
  // An entry in flight is stamped at or above it already, and will close it.
  if (replica_.closed_time() >= wanted || replica_.last_stamp() >= wanted) return;
  next_mark_at_ = now.monotonic_us + kMarkSpacingUs;
  if (!replica_.admitting()) return;
  Entry mark;
  mark.header.kind = EntryKind::kNoOp;
  const bool proposed = replica_.room(kMarkBytes) == storage::Room::kReady &&
                        replica_.propose_at_least(wanted, std::move(mark)).has_value();
  if (!proposed) {
    mark_wanted_ = wanted;
    replica_.wake_by(next_mark_at_);
  }
}

void ShardReader::stop() {
  stopping_ = true;
  std::vector<ShardKey> shards;
  shards.reserve(parked_.size());
  for (const auto& [shard, parked] : parked_) shards.push_back(shard);
  for (const ShardKey shard : shards) wake(shard);
}

}  // namespace lignum::server
