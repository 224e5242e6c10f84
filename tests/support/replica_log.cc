#include "tests/support/replica_log.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "raft/check.h"
#include "raft/core.h"
#include "raft/entry.h"
#include "raft/membership.h"
#include "raft/output.h"
#include "raft/payload.h"
#include "raft/types.h"

namespace lignum::world {

namespace {

constexpr GroupIncarnation kGroup{1};

raft::Membership decoded(const Entry& entry) {
  auto membership = raft::decode_membership(entry.payload.bytes());
  CHECK(membership.has_value());
  return *std::move(membership);
}

}  // namespace

Entry text_entry(std::string_view text) {
  Entry entry;
  entry.header.kind = EntryKind::kBatch;
  entry.header.payload_bytes = static_cast<std::uint32_t>(text.size());
  entry.payload = Payload::copy_of(std::as_bytes(std::span(text)));
  return entry;
}

std::string text_of(const Entry& entry) {
  std::string text;
  for (const std::byte byte : entry.payload.bytes()) {
    text += static_cast<char>(byte);
  }
  return text;
}

const Entry* ReplicaLog::find(Index index) const {
  if (index <= base_.index || index > last().index) {
    return nullptr;
  }
  return &entries_[static_cast<std::size_t>(index - base_.index) - 1];
}

bool ReplicaLog::covers(LogId id) const {
  const Entry* entry = find(id.index);
  return id.index <= base_.index || (entry != nullptr && entry->header.term == id.term);
}

raft::Membership ReplicaLog::membership_at(Index index) const {
  raft::Membership membership = base_membership_;
  for (const Entry& entry : entries_) {
    if (entry.header.index <= index && entry.header.kind == EntryKind::kMembership) {
      membership = decoded(entry);
    }
  }
  return membership;
}

void ReplicaLog::perform(const raft::PersistOp& op) {
  if (op.hard_state) {
    hard_state_ = *op.hard_state;
  }
  if (op.restore) {
    CHECK(!op.truncate_after);
    base_ = op.restore->id;
    base_membership_ = op.restore->membership;
    entries_.clear();
  }
  if (op.truncate_after) {
    CHECK(*op.truncate_after >= base_.index && *op.truncate_after <= last().index);
    entries_.resize(static_cast<std::size_t>(*op.truncate_after - base_.index));
  }
  for (const Entry& entry : op.append) {
    append(entry);
  }
  CHECK(op.token.last == last());
}

void ReplicaLog::append(Entry entry) {
  CHECK(entry.header.index == last().index.next());
  CHECK(entry.header.term >= last().term);
  entries_.push_back(std::move(entry));
}

void ReplicaLog::compact(Index index) {
  CHECK(index >= base_.index && index <= last().index);
  raft::Membership membership = membership_at(index);
  const auto dropped = static_cast<std::ptrdiff_t>(index - base_.index);
  if (const Entry* entry = find(index)) {
    base_ = entry->header.id();
  }
  base_membership_ = std::move(membership);
  entries_.erase(entries_.begin(), entries_.begin() + dropped);
}

raft::Boot ReplicaLog::boot(ReplicaId self, Index commit) const {
  raft::Boot boot{.self = self,
                  .group = kGroup,
                  .hard_state = hard_state_,
                  .base = base_,
                  .last = last(),
                  .terms = {},
                  .commit = commit,
                  .configs = {{.index = base_.index, .membership = base_membership_}}};
  if (boot.hard_state.term < boot.last.term) {
    boot.hard_state.term = boot.last.term;
    boot.hard_state.vote.reset();
  }
  for (const Entry& entry : entries_) {
    if (boot.terms.empty() || boot.terms.back().term != entry.header.term) {
      boot.terms.push_back({.first = entry.header.index, .term = entry.header.term});
    }
    if (entry.header.kind != EntryKind::kMembership) {
      continue;
    }
    if (entry.header.index <= commit) {
      boot.configs.clear();
    }
    boot.configs.push_back({.index = entry.header.index, .membership = decoded(entry)});
  }
  return boot;
}

}  // namespace lignum::world
