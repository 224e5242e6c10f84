#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <vector>

#include "raft/types.h"

namespace lignum::net {

// What a node said of one shard.
struct TailBounds {
  Offset start;
  Offset watermark;
  // First offset at or after the time asked for; the watermark where there is none.
  Offset at;
  TimeUs closed = 0;
};

// The search for the last N records of a merged order: looks back in growing windows of time until
// one holds N records that pass the filter, or the logs begin.
//
// A window of time cuts all shards at one place of the merged order, so the last N of a window that
// holds N are the last N of all. Windows grow fourfold from 16 ms: a few rounds of cheap questions
// while they are empty, and at most a third more reading than the last one takes. Memory: one place
// per record asked for.
//
// A value of TailReader, which asks the nodes and feeds the scan.
class LastSearch {
 public:
  // `ends`: the watermarks found first; the search never looks beyond. `newest`: no record is
  // stamped later.
  LastSearch(std::uint64_t count, std::vector<TailBounds> ends, TimeUs newest);

  // The window's beginning, to ask every shard for.
  [[nodiscard]] TimeUs window_start() const { return newest_ - span_; }
  enum class Verdict : std::uint8_t { kWiden, kScan };
  // Takes the offsets at window_start(). kWiden: surely too few, ask again; kScan: count them.
  [[nodiscard]] Verdict on_window(std::span<const TailBounds> at);
  // Where the scan of this window reads.
  [[nodiscard]] Offset scan_start(std::size_t shard) const { return starts_.at(shard); }
  [[nodiscard]] Offset end(std::size_t shard) const { return ends_.at(shard).watermark; }

  [[nodiscard]] const std::vector<TailBounds>& ends() const { return ends_; }

  // One record that passes the filter, in the merged order.
  void on_record(std::size_t shard, Offset offset);
  // The window has been scanned. The start of each shard, or none: widen and go on.
  [[nodiscard]] std::optional<std::vector<Offset>> on_scanned();

 private:
  struct Place {
    std::size_t shard;
    Offset offset;
  };

  void widen();

  std::uint64_t count_;
  std::vector<TailBounds> ends_;
  TimeUs newest_;
  TimeUs span_;
  bool everything_ = false;
  std::vector<Offset> starts_;
  std::deque<Place> ring_;
};

}  // namespace lignum::net
