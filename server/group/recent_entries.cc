#include "server/group/recent_entries.h"

#include <cstddef>
#include <cstdint>
#include <vector>

#include "raft/check.h"
#include "raft/entry.h"
#include "raft/options.h"
#include "raft/types.h"

namespace lignum::server {

std::size_t entry_weight(const Entry& entry) {
  return entry.payload.size() + raft::kEntryOverheadBytes;
}

void trim_to(std::vector<Entry>& entries, std::size_t bytes_max) {
  std::size_t bytes = 0;
  std::size_t fit = 0;
  for (const Entry& entry : entries) {
    bytes += entry_weight(entry);
    if (bytes > bytes_max && fit > 0) break;
    ++fit;
  }
  entries.resize(fit);
}

const RecentEntries::Item* RecentEntries::find(Index index) const {
  if (items_.empty() || index < first()) return nullptr;
  const std::uint64_t at = index - first();
  return at < items_.size() ? &items_[at] : nullptr;
}

std::vector<Entry> RecentEntries::copy(Index from, Index to, std::size_t bytes_max) const {
  std::vector<Entry> entries;
  std::size_t bytes = 0;
  for (const Item* item = find(from); item != nullptr; item = find(from)) {
    bytes += entry_weight(item->entry);
    if (from > to || (bytes > bytes_max && !entries.empty())) break;
    entries.push_back(item->entry);
    from = from.next();
  }
  return entries;
}

void RecentEntries::append(const Entry& entry, const Hash128& chain) {
  CHECK(items_.empty() || entry.header.index == items_.back().entry.header.index.next());
  items_.push_back({.entry = entry, .chain = chain});
}

void RecentEntries::truncate_after(Index last_kept) {
  while (!items_.empty() && items_.back().entry.header.index > last_kept) {
    // What is applied is committed and never cut.
    CHECK(items_.size() > applied_);
    items_.pop_back();
  }
}

void RecentEntries::clear() {
  items_.clear();
  applied_ = 0;
  applied_bytes_ = 0;
}

void RecentEntries::release(Index applied, std::size_t bytes_max) {
  while (applied_ < items_.size() && items_[applied_].entry.header.index <= applied) {
    applied_bytes_ += entry_weight(items_[applied_].entry);
    ++applied_;
  }
  while (applied_bytes_ > bytes_max) pop_front();
}

void RecentEntries::pop_front() {
  CHECK(applied_ > 0);
  applied_bytes_ -= entry_weight(items_.front().entry);
  --applied_;
  items_.pop_front();
}

}  // namespace lignum::server
