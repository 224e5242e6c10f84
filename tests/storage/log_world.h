#pragma once

// A segmented log on a simulated disk, and the model of what it must hold.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "jepsen/sim/sim_disk.h"
#include "raft/entry.h"
#include "raft/error.h"
#include "raft/payload.h"
#include "raft/random.h"
#include "raft/types.h"
#include "storage/byte_order.h"
#include "storage/crc32c.h"
#include "storage/file.h"
#include "storage/frame_codec.h"
#include "storage/log.h"
#include "storage/record_batch.h"
#include "storage/segmented_log.h"

namespace lignum::storage {

inline constexpr GroupIncarnation kLogIncarnation{77};

inline SegmentedLogOptions log_options() {
  return {.group = GroupId(3),
          .incarnation = kLogIncarnation,
          .node = NodeIncarnation(5),
          .background =
              [](auto work, auto done) {
                // Inline: the log must not care when its background work runs.
                done(work());
              },
          .segment_bytes_min = std::size_t{128} << 10,
          .segment_bytes_max = std::size_t{128} << 10,
          .tail_cache_bytes = 4096,
          // A second flush is taken whenever there is something for it, and the first segments are
          // written, later ones reserved.
          .early_flush_bytes = 1,
          .reserve_from_bytes = 2048};
}

// What was appended, by index, and how much of it was acknowledged.
struct LogModel {
  std::map<Index, Entry> entries;
  // Entries that a truncation replaced; a crash may bring them back while it is not acknowledged.
  std::map<Index, Entry> replaced;
  Index acked;
  std::map<ShardKey, Offset> starts;
  std::map<ShardKey, Offset> next;
};

inline ShardKey shard_key(std::uint32_t number) {
  return {.stream = StreamId(9), .shard = ShardNumber(number)};
}

// Makes random bytes a record batch, as far as its header goes.
inline void shape_batch(std::vector<std::byte>& bytes, const EntryHeader& entry) {
  store_be<std::uint64_t>(bytes, 0, entry.base_offset.value());
  store_be<std::int32_t>(bytes, 8, static_cast<std::int32_t>(bytes.size()) - 12);
  store_be<std::int32_t>(bytes, 12, -1);
  store_be<std::int8_t>(bytes, 16, 2);
  store_be<std::uint32_t>(bytes, 57, entry.record_count);
  store_be<std::uint32_t>(bytes, 17, crc32c(Bytes(bytes).subspan(21)));
}

class LogWorld {
 public:
  static constexpr std::uint32_t kShards = 3;

  explicit LogWorld(std::unique_ptr<Directory> directory, std::uint64_t seed)
      : directory_(std::move(directory)), random_(seed) {}

  Result<void> create() { return SegmentedLog::create(*directory_, options); }

  Result<void> open() {
    log_.reset();
    TRY_ASSIGN(opened, SegmentedLog::open(*directory_, options, evidence));
    log_ = std::move(opened.log);
    report_ = std::move(opened.report);
    for (const auto& [shard, start] : model.starts) log_->set_shard_start(shard, start, Index(0));
    return {};
  }

  // After a restart: what is found was not taken back, so it is committed by the next leader.
  Result<void> adopt_found() {
    model.replaced.clear();
    model.entries.erase(model.entries.upper_bound(model.acked), model.entries.end());
    for (Index at = std::max(model.acked.next(), log_->first_index()); at <= log_->last().index;
         at = at.next()) {
      TRY_ASSIGN(found, log_->read(at, at, 1)->run());
      if (found.size() != 1) return fail(Errc::kCorrupt, "an entry above the acknowledged is gone");
      model.entries.insert_or_assign(at, found.front());
    }
    for (auto& [shard, end] : model.next) end = Offset(0);
    for (const auto& [index, entry] : model.entries) {
      if (entry.header.kind != EntryKind::kBatch) continue;
      model.next[entry.header.shard] = entry.header.base_offset + entry.header.record_count;
    }
    model.acked = log_->last().index;
    return {};
  }

  // Stages one entry where there is room: a batch of some shard, or a command.
  bool append(std::size_t payload_bytes) {
    if (random_.below(8) == 0) return append_to(std::nullopt, payload_bytes);
    return append_to(shard_key(static_cast<std::uint32_t>(random_.below(kShards))), payload_bytes);
  }

  // A batch of `shard`; without one a command.
  bool append_to(std::optional<ShardKey> shard, std::size_t payload_bytes) {
    if (log_->room(payload_bytes + 200) != Room::kReady) return false;
    Entry entry;
    payload_bytes = std::max(payload_bytes, kBatchHeaderBytes);
    std::vector<std::byte> bytes(payload_bytes);
    for (std::byte& byte : bytes) byte = static_cast<std::byte>(random_.below(256));
    entry.header.group = options.incarnation;
    entry.header.index = log_->last().index.next();
    entry.header.term = Term(term_);
    entry.header.append_time = log_->last_append_time() + 10;
    entry.header.kind = shard ? EntryKind::kBatch : EntryKind::kCommand;
    if (shard) {
      entry.header.shard = *shard;
      entry.header.base_offset = model.next[entry.header.shard];
      entry.header.record_count = 1 + static_cast<std::uint32_t>(random_.below(5));
      entry.header.level_mask = 1U << random_.below(4);
      model.next[entry.header.shard] = entry.header.base_offset + entry.header.record_count;
      shape_batch(bytes, entry.header);
    }
    entry.header.previous_chain = log_->last_chain();
    entry.header.payload_bytes = static_cast<std::uint32_t>(payload_bytes);
    entry.header.payload_crc = crc32c(bytes);
    entry.payload = Payload(std::move(bytes));
    log_->append({&entry, 1});
    model.entries.insert_or_assign(entry.header.index, entry);
    return true;
  }

  Result<void> flush() {
    auto job = log_->take_flush();
    if (job == nullptr) return {};
    TRY(job->run());
    log_->complete_flush(std::move(job));
    model.acked = log_->durable();
    model.replaced.clear();
    return {};
  }

  // Flushes while more is appended and taken: the second job runs right after the first.
  Result<void> flush_two(std::size_t payload_bytes) {
    auto first = log_->take_flush();
    append(payload_bytes);
    auto second = log_->take_flush();
    for (auto* job : {&first, &second}) {
      if (*job == nullptr) continue;
      TRY((*job)->run());
      log_->complete_flush(std::move(*job));
      model.acked = log_->durable();
    }
    model.replaced.clear();
    return {};
  }

  // Forgets the oldest part of every shard, then cleans.
  Result<void> trim_and_clean() {
    for (std::uint32_t number = 0; number < kShards; ++number) {
      const ShardKey shard = shard_key(number);
      // Only what is acknowledged is ever trimmed.
      Offset low = model.starts[shard];
      Offset high = low;
      for (const auto& [index, entry] : model.entries) {
        if (index <= model.acked && entry.header.kind == EntryKind::kBatch &&
            entry.header.shard == shard) {
          high = entry.header.base_offset + entry.header.record_count;
        }
      }
      if (high <= low) continue;
      model.starts[shard] = low + random_.below(high - low + 1);
      log_->set_shard_start(shard, model.starts[shard], Index(0));
    }
    auto job = log_->take_clean(model.acked);
    if (job == nullptr) return {};
    auto outcome = job->run();
    log_->complete_clean(std::move(job), outcome.has_value());
    return outcome;
  }

  // Takes back the newest entries, into sealed segments too; everything is flushed before.
  Result<void> truncate(std::uint64_t count) {
    TRY(flush());
    const Index last = log_->last().index;
    if (last.value() <= count) return {};
    const Index kept(last.value() - count);
    if (!log_->id_at(kept)) return {};
    // Nothing above is acknowledged any more, from the moment it is proposed.
    model.acked = kept;
    for (auto at = model.entries.upper_bound(kept); at != model.entries.end();) {
      if (at->second.header.kind == EntryKind::kBatch) {
        Offset& next = model.next[at->second.header.shard];
        next = std::min(next, at->second.header.base_offset);
      }
      model.replaced.insert(*at);
      at = model.entries.erase(at);
    }
    ++term_;
    TRY(log_->truncate_after(kept));
    return {};
  }

  [[nodiscard]] SegmentedLog& log() { return *log_; }
  [[nodiscard]] const RecoveryReport& report() const { return report_; }
  [[nodiscard]] Random& random() { return random_; }
  void set_term(std::uint64_t term) { term_ = term; }
  [[nodiscard]] std::uint64_t term() const { return term_; }

  LogModel model;
  SegmentedLogOptions options = log_options();
  LogEvidence evidence;

 private:
  std::unique_ptr<Directory> directory_;
  Random random_;
  std::uint64_t term_ = 1;
  std::unique_ptr<SegmentedLog> log_;
  RecoveryReport report_;
};

inline bool same_entry(const Entry& a, const Entry& b) {
  return a.header == b.header && std::ranges::equal(a.payload.bytes(), b.payload.bytes());
}

// True when the model ever held this entry.
inline bool was_appended(const LogModel& model, const Entry& entry) {
  for (const auto* known : {&model.entries, &model.replaced}) {
    const auto found = known->find(entry.header.index);
    if (found != known->end() && same_entry(found->second, entry)) return true;
  }
  return false;
}

inline std::string difference_by_index(SegmentedLog& log, const LogModel& model) {
  for (Index at = log.first_index(); at <= log.last().index;) {
    auto entries = log.read(at, log.last().index, 1 << 16)->run();
    if (!entries) return entries.error().describe();
    if (entries->empty()) return "a read by index returned nothing";
    for (const Entry& entry : *entries) {
      if (entry.header.index != at) return "a hole in the indexes";
      if (!was_appended(model, entry)) return "an entry that was never appended";
      at = at.next();
    }
  }
  return "";
}

// The acknowledged batches of a shard that were not trimmed.
inline std::vector<Entry> wanted_batches(const LogModel& model, ShardKey shard, Offset from) {
  std::vector<Entry> wanted;
  for (const auto& [index, entry] : model.entries) {
    if (index <= model.acked && entry.header.kind == EntryKind::kBatch &&
        entry.header.shard == shard &&
        entry.header.base_offset + entry.header.record_count > from) {
      wanted.push_back(entry);
    }
  }
  return wanted;
}

inline std::string difference_of_shard(SegmentedLog& log, const LogModel& model, ShardKey shard,
                                       std::size_t bytes_max) {
  const auto start = model.starts.find(shard);
  Offset at = start == model.starts.end() ? Offset(0) : start->second;
  const std::vector<Entry> wanted = wanted_batches(model, shard, at);
  for (std::size_t got = 0; got < wanted.size();) {
    const ShardReadOptions options{.from = at,
                                   .below = Offset(UINT64_MAX),
                                   .bytes_max = bytes_max,
                                   .level_mask = kLevelMaskAll};
    auto entries = log.read_shard(shard, options)->run();
    if (!entries) return entries.error().describe();
    if (entries->empty()) return "acknowledged batches are missing";
    for (std::size_t i = 0; i < entries->size() && got < wanted.size(); ++i, ++got) {
      const Entry& entry = (*entries)[i];
      if (!same_entry(entry, wanted[got])) return "a batch was skipped or is another one";
      at = entry.header.base_offset + entry.header.record_count;
    }
  }
  return "";
}

// Empty when `log` holds what `model` demands: every acknowledged entry that was not trimmed, and
// nothing that was never appended.
inline std::string difference(SegmentedLog& log, const LogModel& model) {
  if (log.last().index < model.acked) return "acknowledged entries are missing at the end";
  if (std::string wrong = difference_by_index(log, model); !wrong.empty()) return wrong;
  for (std::uint32_t number = 0; number < LogWorld::kShards; ++number) {
    // Small answers go over the ends of segments in the middle of a read.
    for (const std::size_t bytes_max : {std::size_t{1}, std::size_t{3000}, std::size_t{1} << 20}) {
      std::string wrong = difference_of_shard(log, model, shard_key(number), bytes_max);
      if (!wrong.empty()) return wrong;
    }
  }
  return "";
}

}  // namespace lignum::storage
