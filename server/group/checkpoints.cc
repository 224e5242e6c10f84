#include "server/group/checkpoints.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <expected>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include "raft/check.h"
#include "raft/error.h"
#include "raft/payload.h"
#include "raft/types.h"
#include "server/group/ports.h"
#include "server/group/state_machine.h"
#include "storage/byte_order.h"
#include "storage/file.h"
#include "storage/image_transfer.h"
#include "storage/log_mark.h"
#include "storage/segmented_log.h"
#include "storage/snapshot_image.h"
#include "storage/state_store.h"

namespace lignum::server {

namespace {

// What is damaged is done without; that it could not be opened for want of descriptors says nothing
// of it, and is passed on.
template <class T>
Result<void> lived_with(const Result<T>& read) {
  if (!read && read.error().code() == Errc::kTooManyFiles) return std::unexpected(read.error());
  return {};
}

// Sorts before every state key, so that a scan meets the mark first.
constexpr std::string_view kMarkKey = "!";
constexpr char kStateKey = 's';
constexpr std::size_t kMarkBytes = 48;

std::string encode_mark(const AppliedMark& mark, GroupIncarnation incarnation) {
  std::array<std::byte, kMarkBytes> bytes{};
  store_le<std::uint64_t>(bytes, 0, incarnation.value());
  store_le<std::uint64_t>(bytes, 8, mark.id.term.value());
  store_le<std::uint64_t>(bytes, 16, mark.id.index.value());
  store_le<std::int64_t>(bytes, 24, mark.append_time);
  store_le<std::uint64_t>(bytes, 32, mark.chain.low);
  store_le<std::uint64_t>(bytes, 40, mark.chain.high);
  std::string text(kMarkBytes, '\0');
  std::memcpy(text.data(), bytes.data(), kMarkBytes);
  return text;
}

Result<AppliedMark> decode_mark(std::string_view text, GroupIncarnation incarnation) {
  if (text.size() != kMarkBytes) return fail(Errc::kCorrupt, "the applied mark has a wrong size");
  const Bytes bytes = std::as_bytes(std::span(text.data(), text.size()));
  if (load_le<std::uint64_t>(bytes, 0) != incarnation.value()) {
    return fail(Errc::kCorrupt, "the checkpoint belongs to another group");
  }
  return AppliedMark{.id = {.term = Term(load_le<std::uint64_t>(bytes, 8)),
                            .index = Index(load_le<std::uint64_t>(bytes, 16))},
                     .append_time = load_le<std::int64_t>(bytes, 24),
                     .chain = {.low = load_le<std::uint64_t>(bytes, 32),
                               .high = load_le<std::uint64_t>(bytes, 40)}};
}

void add_remark(std::string& remark, std::string_view text) {
  if (!remark.empty()) remark += "; ";
  remark += text;
}

}  // namespace

Checkpoints::Checkpoints(GroupId group, GroupIncarnation incarnation, storage::StateStore& store,
                         std::shared_ptr<storage::Directory> images, Ports& ports)
    : group_(group),
      incarnation_(incarnation),
      prefix_(fmt::format("{:08x}/", group.value())),
      store_(store),
      images_(std::move(images)),
      ports_(ports),
      alive_(std::make_shared<bool>(true)) {}

Checkpoints::~Checkpoints() { *alive_ = false; }

Result<void> Checkpoints::take_stock(const std::vector<std::string>& names, std::string& remark) {
  for (const std::string& name : names) {
    const auto info = storage::read_image_info(*images_, name);
    TRY(lived_with(info));
    if (info && info->incarnation == incarnation_) {
      kept_.push_back(info->applied.index);
    } else {
      add_remark(remark,
                 info ? fmt::format("image {} is of another group", name) : info.error().message());
    }
  }
  std::ranges::sort(kept_);
  return {};
}

Result<storage::LogEvidence> Checkpoints::evidence() const {
  storage::LogEvidence found;
  // What of the store cannot be read is told by restore().
  (void)store_.scan(
      prefix_ + std::string(kMarkKey),
      [&](std::string_view, std::string_view value) -> Result<void> {
        const auto mark = decode_mark(value, incarnation_);
        if (mark) {
          found = {.index = mark->id.index,
                   .source = "the checkpoint",
                   .mark = storage::LogMark{
                       .id = mark->id, .chain = mark->chain, .append_time = mark->append_time}};
        }
        return {};
      });
  TRY_ASSIGN(names, storage::list_images(*images_));
  for (const std::string& name : names) {
    const auto info = storage::read_image_info(*images_, name);
    TRY(lived_with(info));
    if (!info || info->incarnation != incarnation_ || info->applied.index <= found.index) continue;
    found = {.index = info->applied.index,
             .source = fmt::format("the image {}", name),
             .mark = storage::LogMark{
                 .id = info->applied, .chain = info->chain, .append_time = info->append_time}};
  }
  return found;
}

Result<Checkpoints::Restored> Checkpoints::restore(StateMachine& machine, Index log_floor,
                                                   Index log_last) {
  Restored restored;
  const auto fits = [&](const AppliedMark& mark) {
    return mark.id.index.next() >= log_floor && mark.id.index <= log_last;
  };
  TRY_ASSIGN(names, storage::list_images(*images_));
  TRY(take_stock(names, restored.remark));
  std::erase_if(kept_, [&](Index index) { return index.next() < log_floor || index > log_last; });

  auto from_store = restore_from_store(machine);
  TRY(lived_with(from_store));
  if (!from_store) {
    add_remark(restored.remark, from_store.error().message());
    restored.store_damaged = true;
    rewrite_ = true;
  } else if (const auto& mark = *from_store;
             mark && fits(*mark) && (kept_.empty() || kept_.back() <= mark->id.index)) {
    restored.mark = *mark;
    checkpoint_ = mark->id.index;
    return restored;
  } else if (mark && mark->id.index > log_last) {
    // Only what is durable is applied: the log once reached further than it does now.
    machine.reset();
    return fail(Errc::kCorrupt,
                fmt::format("the log ends at entry {}, but the checkpoint has applied entry {}: "
                            "entries that were flushed are missing",
                            log_last.value(), mark->id.index.value()));
  } else if (mark) {
    add_remark(restored.remark,
               fmt::format("the checkpoint stands at entry {}, before the snapshot",
                           mark->id.index.value()));
    rewrite_ = true;
  }

  for (const std::string& name : names) {
    machine.reset();
    const auto mark = restore_from_image(machine, name);
    if (mark && fits(*mark)) {
      restored.mark = *mark;
      rewrite_ = true;
      return restored;
    }
    TRY(lived_with(mark));
    add_remark(restored.remark,
               mark ? fmt::format("the image {} stands at entry {} of a log from {} to {}", name,
                                  mark->id.index.value(), log_floor.value(), log_last.value())
                    : mark.error().message());
  }
  machine.reset();
  if (log_floor <= Index(1)) return restored;
  out_of_reach_ = true;
  return fail(Errc::kCorrupt,
              fmt::format("the log begins at entry {} and no checkpoint or image reaches it ({})",
                          log_floor.value(), restored.remark));
}

Result<std::optional<AppliedMark>> Checkpoints::restore_from_store(StateMachine& machine) const {
  std::optional<AppliedMark> mark;
  machine.reset();
  const Result<void> scanned =
      store_.scan(prefix_, [&](std::string_view key, std::string_view value) -> Result<void> {
        key.remove_prefix(prefix_.size());
        if (key == kMarkKey) {
          TRY_ASSIGN(decoded, decode_mark(value, incarnation_));
          mark = decoded;
          return {};
        }
        if (!mark || key.empty() || key.front() != kStateKey) {
          return fail(Errc::kCorrupt, "a checkpoint without its mark");
        }
        return machine.restore(key.substr(1), value);
      });
  if (!scanned) {
    machine.reset();
    if (scanned.error().code() == Errc::kTooManyFiles) return std::unexpected(scanned.error());
    return fail(Errc::kCorrupt, fmt::format("state store: {}", scanned.error().message()));
  }
  return mark;
}

Result<AppliedMark> Checkpoints::restore_from_image(StateMachine& machine,
                                                    std::string_view name) const {
  const auto info =
      storage::read_image(*images_, name, [&machine](std::string_view key, std::string_view value) {
        return machine.restore(key, value);
      });
  if (!info) {
    machine.reset();
    return std::unexpected(info.error());
  }
  if (info->incarnation != incarnation_) {
    machine.reset();
    return fail(Errc::kCorrupt, fmt::format("image {} is of another group", name));
  }
  return AppliedMark{.id = info->applied, .append_time = info->append_time, .chain = info->chain};
}

Result<std::string> Checkpoints::settle_snapshot(
    const std::function<std::optional<LogId>(Index)>& id_at) {
  TRY_ASSIGN(left, images_->exists(storage::kImagePartName));
  if (!left) return std::string();
  TRY_ASSIGN(index, storage::settle_staged_image(*images_, incarnation_, id_at));
  return index ? fmt::format("the image of a snapshot up to entry {} had arrived; it is kept",
                             index->value())
               : std::string("a snapshot that was being received was given up");
}

void Checkpoints::restored(Index index) {
  CHECK(!busy_);
  kept_ = {index};
  checkpoint_ = Index(0);
  rewrite_ = true;
}

void Checkpoints::store_was_replaced() {
  rewrite_ = true;
  checkpoint_ = Index(0);
}

void Checkpoints::begin(const AppliedMark& mark, StateMachine& machine, WorkDone done) {
  CHECK(!busy_);
  busy_ = true;
  auto plan = std::make_shared<Plan>();
  plan->info = {.group = group_,
                .incarnation = incarnation_,
                .applied = mark.id,
                .chain = mark.chain,
                .append_time = mark.append_time};
  plan->rewrite = std::exchange(rewrite_, false);
  std::vector<storage::StateWrite> changes = machine.take_changes();
  machine.for_each([&plan](std::string_view key, std::string_view value) {
    plan->pairs.emplace_back(key, value);
  });
  if (plan->rewrite) {
    for (const auto& [key, value] : plan->pairs) {
      plan->batch.push_back({.key = prefix_ + kStateKey + key, .value = value});
    }
  } else {
    for (storage::StateWrite& change : changes) {
      plan->batch.push_back(
          {.key = prefix_ + kStateKey + change.key, .value = std::move(change.value)});
    }
  }
  plan->batch.push_back(
      {.key = prefix_ + std::string(kMarkKey), .value = encode_mark(mark, incarnation_)});
  ports_.run(
      Pool::kBackground, [this, plan] { return write(*plan); },
      [this, mark, alive = alive_, done = std::move(done)](const Result<void>& outcome) mutable {
        if (*alive) completed(mark, outcome, std::move(done));
      });
}

Result<void> Checkpoints::write(const Plan& plan) const {
  if (plan.rewrite) TRY(store_.drop(prefix_));
  TRY(store_.write(plan.batch));
  TRY_ASSIGN(writer, storage::ImageWriter::create(*images_, plan.info));
  for (const auto& [key, value] : plan.pairs) TRY(writer->add(key, value));
  return writer->finish();
}

void Checkpoints::completed(const AppliedMark& mark, const Result<void>& outcome, WorkDone done) {
  busy_ = false;
  if (outcome) {
    checkpoint_ = mark.id.index;
    if (kept_.empty() || kept_.back() < mark.id.index) kept_.push_back(mark.id.index);
    while (kept_.size() > storage::kImagesKept) kept_.erase(kept_.begin());
  } else {
    rewrite_ = true;
  }
  done(outcome);
}

Index Checkpoints::durable_image() const {
  return kept_.size() < storage::kImagesKept ? Index(0) : kept_.front();
}

}  // namespace lignum::server
