#include "net/tail_last.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "raft/check.h"
#include "raft/types.h"

namespace lignum::net {

namespace {

constexpr TimeUs kFirstSpan = 16'000;
constexpr TimeUs kGrowth = 4;
// A window longer than any log: from the beginning.
constexpr TimeUs kSpanMax = TimeUs{1} << 60U;
// Windows that differ by less are not told apart.
constexpr TimeUs kFinest = 1'000;
// A window is worth a scan while it holds at most so many times what is looked for, and a few.
constexpr std::uint64_t kExcess = 4;
constexpr std::uint64_t kAFew = 16;
constexpr std::uint64_t kRecordsMax = std::uint64_t{1} << 60U;

}  // namespace

LastSearch::LastSearch(std::uint64_t count, std::vector<TailBounds> ends, TimeUs newest)
    : count_(count), ends_(std::move(ends)), newest_(newest), span_(kFirstSpan), target_(count) {}

LastSearch::Window LastSearch::window(std::span<const TailBounds> at) const {
  Window found{.span = span_, .starts = {}, .records = 0, .everything = true};
  for (std::size_t i = 0; i < ends_.size(); ++i) {
    const Offset end = ends_.at(i).watermark;
    const Offset start = std::min(at[i].at, end);
    // Trimmed meanwhile: what is gone cannot be among the last.
    found.everything = found.everything && start <= std::max(ends_.at(i).start, at[i].start);
    found.starts.push_back(start);
    found.records += end - start;
  }
  return found;
}

LastSearch::Verdict LastSearch::on_window(std::span<const TailBounds> at) {
  Window found = window(at);
  if (found.records >= target_ || found.everything) {
    enough_ = std::move(found);
  } else {
    too_short_ = span_;
  }
  return next_window();
}

LastSearch::Verdict LastSearch::next_window() {
  if (!enough_) {
    span_ = std::min(kSpanMax, span_ * kGrowth);
    return Verdict::kAskAgain;
  }
  const TimeUs doubt = enough_->span - too_short_;
  if (enough_->records <= target_ * kExcess + kAFew || doubt <= kFinest) {
    ring_.clear();
    return Verdict::kScan;
  }
  span_ = too_short_ + doubt / 2;
  return Verdict::kAskAgain;
}

Offset LastSearch::scan_start(std::size_t shard) const {
  CHECK(enough_.has_value());
  return enough_->starts.at(shard);
}

void LastSearch::on_record(std::size_t shard, Offset offset) {
  if (count_ == 0) {
    return;
  }
  if (ring_.size() == count_) {
    ring_.pop_front();
  }
  ring_.push_back({.shard = shard, .offset = offset});
}

std::optional<std::vector<Offset>> LastSearch::on_scanned() {
  CHECK(enough_.has_value());
  if (ring_.size() < count_ && !enough_->everything) {
    target_ = std::min(enough_->records, kRecordsMax / kExcess) * kExcess;
    too_short_ = enough_->span;
    span_ = std::min(kSpanMax, too_short_ * kGrowth);
    enough_.reset();
    return std::nullopt;
  }
  std::vector<Offset> starts;
  starts.reserve(ends_.size());
  for (const TailBounds& end : ends_) {
    starts.push_back(end.watermark);
  }
  for (const Place& place : ring_) {
    starts.at(place.shard) = std::min(starts.at(place.shard), place.offset);
  }
  return starts;
}

}  // namespace lignum::net
