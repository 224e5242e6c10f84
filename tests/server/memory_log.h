#pragma once

// A storage::Log in memory: exact about staging, flushing and durability, silent about bytes.
//
// The contents live in a MemoryDisk, which survives the log object: a test drops the log and opens
// another one on the same disk to restart. What was staged and not flushed is gone then.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "raft/check.h"
#include "raft/entry.h"
#include "raft/error.h"
#include "raft/types.h"
#include "storage/frame_codec.h"
#include "storage/log.h"
#include "storage/log_mark.h"
#include "storage/log_stage.h"

namespace lignum::server::testing {

struct MemoryDisk {
  std::vector<Entry> entries;  // durable
  std::uint64_t markers = 0;
  bool fail_flushes = false;
  int spares_released = 0;
};

class MemoryLog final : public storage::Log {
 public:
  explicit MemoryLog(std::shared_ptr<MemoryDisk> disk)
      : disk_(std::move(disk)), entries_(disk_->entries), durable_(last().index) {}

  storage::Room room_now = storage::Room::kReady;
  storage::Room upkeep_now = storage::Room::kReady;
  // Reads by shard do not find it any more, as if an index had lost it.
  std::optional<Index> lost;

  [[nodiscard]] Index first_index() const override { return Index(1); }
  [[nodiscard]] LogId last() const override {
    return entries_.empty() ? LogId{} : entries_.back().header.id();
  }
  [[nodiscard]] Hash128 last_chain() const override {
    return entries_.empty() ? Hash128{} : storage::chain_after(entries_.back().header);
  }
  [[nodiscard]] TimeUs last_append_time() const override {
    return entries_.empty() ? 0 : entries_.back().header.append_time;
  }
  [[nodiscard]] Index durable() const override { return durable_; }
  [[nodiscard]] storage::Room room(std::size_t /*bytes*/) override { return room_now; }
  [[nodiscard]] storage::Room upkeep_room(std::size_t /*bytes*/) override { return upkeep_now; }
  void append(std::span<const Entry> entries) override {
    for (const Entry& entry : entries) {
      CHECK(entry.header.index == last().index.next());
      CHECK(entry.header.previous_chain == last_chain());
      entries_.push_back(entry);
    }
  }
  [[nodiscard]] const std::optional<Error>& prepare_error() const override { return none_; }
  void retry_preparation() override {}
  void on_preparation(std::function<void()> /*changed*/) override {}
  [[nodiscard]] Result<void> truncate_after(Index last_kept) override {
    entries_.resize(last_kept.value());
    return {};
  }

  [[nodiscard]] std::unique_ptr<storage::FlushJob> take_flush() override {
    if (out_ || (entries_.size() == disk_->entries.size() && !marker_staged_)) return nullptr;
    out_ = true;
    auto job = std::make_unique<Job>();
    job->disk = disk_;
    job->entries = entries_;
    job->marker = std::exchange(marker_staged_, false);
    return job;
  }
  void complete_flush(std::unique_ptr<storage::FlushJob> job) override {
    out_ = false;
    durable_ = Index(static_cast<Job&>(*job).entries.size());
  }
  bool stage_marker() override {
    if (marked_ == durable_) return false;
    marked_ = durable_;
    marker_staged_ = true;
    return true;
  }
  void release_spare() override { ++disk_->spares_released; }
  [[nodiscard]] std::optional<LogId> id_at(Index index) const override {
    if (index.value() == 0 || index.value() > entries_.size()) return std::nullopt;
    return entries_[index.value() - 1].header.id();
  }
  [[nodiscard]] std::unique_ptr<storage::ReadPlan> read(Index from, Index to,
                                                        std::size_t /*bytes_max*/) override {
    auto plan = std::make_unique<Plan>();
    for (Index i = from; i <= to; i = i.next()) plan->entries.push_back(entries_[i.value() - 1]);
    return plan;
  }
  [[nodiscard]] std::unique_ptr<storage::ReadPlan> read_shard(
      ShardKey shard, const storage::ShardReadOptions& options) override {
    auto plan = std::make_unique<Plan>();
    std::size_t bytes = 0;
    for (const Entry& entry : entries_) {
      const EntryHeader& header = entry.header;
      if (header.kind != EntryKind::kBatch || header.shard != shard) continue;
      if (header.index == lost) continue;
      if (header.base_offset + header.record_count <= options.from) continue;
      if (header.base_offset >= options.below || (header.level_mask & options.level_mask) == 0) {
        continue;
      }
      if (!plan->entries.empty() && bytes + entry.payload.size() > options.bytes_max) break;
      bytes += entry.payload.size();
      plan->entries.push_back(entry);
    }
    return plan;
  }
  [[nodiscard]] std::optional<Offset> find_time(ShardKey shard, TimeUs time) const override {
    for (const Entry& entry : entries_) {
      if (entry.header.shard == shard && entry.header.append_time >= time) {
        return entry.header.base_offset;
      }
    }
    return std::nullopt;
  }
  void set_shard_start(ShardKey /*shard*/, Offset /*start*/, Index /*at*/) override {}
  // It holds no file that could be sent or replaced.
  [[nodiscard]] std::vector<storage::LogMark> boundaries(std::size_t /*most*/) const override {
    return {};
  }
  [[nodiscard]] storage::MarkSearch find_mark(std::vector<storage::LogMark> /*known*/) override {
    return nullptr;
  }
  [[nodiscard]] storage::KeptRead read_kept(Index /*after*/, Index /*to*/,
                                            std::size_t /*bytes_max*/) override {
    return nullptr;
  }
  [[nodiscard]] std::unique_ptr<storage::LogStage> begin_stage(
      const storage::LogMark& /*after*/) override {
    return nullptr;
  }
  void extend(storage::LogStage& /*stage*/) override {}
  [[nodiscard]] std::unique_ptr<storage::FlushJob> take_restore(
      std::unique_ptr<storage::LogStage> /*stage*/) override {
    return nullptr;
  }
  void complete_restore(std::unique_ptr<storage::FlushJob> /*job*/) override {}
  [[nodiscard]] std::unique_ptr<storage::FlushJob> take_clean(Index /*durable_image*/) override {
    return nullptr;
  }
  void complete_clean(std::unique_ptr<storage::FlushJob> /*job*/, bool /*ok*/) override {}
  [[nodiscard]] Usage usage() const override { return {}; }
  [[nodiscard]] std::vector<ShardKey> shards() const override {
    std::vector<ShardKey> found;
    for (const Entry& entry : entries_) {
      if (entry.header.kind == EntryKind::kBatch) found.push_back(entry.header.shard);
    }
    return found;
  }
  [[nodiscard]] std::uint64_t shard_bytes(ShardKey /*shard*/) const override { return 0; }
  [[nodiscard]] std::uint64_t shard_bytes_below(ShardKey /*shard*/,
                                                Offset /*offset*/) const override {
    return 0;
  }

 private:
  struct Job final : storage::FlushJob {
    std::shared_ptr<MemoryDisk> disk;
    std::vector<Entry> entries;
    bool marker = false;
    Result<void> run() override {
      if (disk->fail_flushes) return fail(Errc::kIo, "the disk failed");
      disk->entries = entries;
      disk->markers += marker ? 1 : 0;
      return {};
    }
  };
  struct Plan final : storage::ReadPlan {
    std::vector<Entry> entries;
    [[nodiscard]] bool in_memory() const override { return true; }
    std::optional<storage::ReadTrouble> none;
    Result<std::vector<Entry>> run() override { return entries; }
    [[nodiscard]] const std::optional<storage::ReadTrouble>& trouble() const override {
      return none;
    }
  };

  std::shared_ptr<MemoryDisk> disk_;
  std::vector<Entry> entries_;
  Index durable_;
  Index marked_;
  bool out_ = false;
  bool marker_staged_ = false;
  std::optional<Error> none_;
};

}  // namespace lignum::server::testing
