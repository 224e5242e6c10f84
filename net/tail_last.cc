#include "net/tail_last.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "raft/types.h"

namespace lignum::net {

namespace {

constexpr TimeUs kFirstSpan = 16'000;
constexpr TimeUs kGrowth = 4;
// A window longer than any log: from the beginning.
constexpr TimeUs kSpanMax = TimeUs{1} << 60U;

}  // namespace

LastSearch::LastSearch(std::uint64_t count, std::vector<TailBounds> ends, TimeUs newest)
    : count_(count),
      ends_(std::move(ends)),
      newest_(newest),
      span_(kFirstSpan),
      starts_(ends_.size()) {}

void LastSearch::widen() { span_ = std::min(kSpanMax, span_ * kGrowth); }

LastSearch::Verdict LastSearch::on_window(std::span<const TailBounds> at) {
  std::uint64_t records = 0;
  everything_ = true;
  for (std::size_t i = 0; i < ends_.size(); ++i) {
    const Offset end = ends_.at(i).watermark;
    const Offset start = std::min(at[i].at, end);
    // Trimmed meanwhile: what is gone cannot be among the last.
    everything_ = everything_ && start <= std::max(ends_.at(i).start, at[i].start);
    starts_.at(i) = start;
    records += end - start;
  }
  if (records < count_ && !everything_) {
    widen();
    return Verdict::kWiden;
  }
  ring_.clear();
  return Verdict::kScan;
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
  if (ring_.size() < count_ && !everything_) {
    widen();
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
