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

// The search for the last N records of a merged order: looks back in windows of time until one
// holds N records that pass the filter, or the logs begin.
//
// A window of time cuts all shards at one place of the merged order, so the last N of a window that
// holds N are the last N of all. Windows grow fourfold from 16 ms until one holds enough; where it
// holds far more (a stream that has been idle for an hour was filled in a minute), halving finds a
// shorter one. Both are questions for offsets, which cost next to nothing: at most some 50 rounds
// before a scan, and what is scanned is little more than 4 N records, or those of one millisecond.
// Where the filter leaves too few, the next window holds four times as many. Memory: one place per
// record asked for.
//
// A value of TailReader, which asks the nodes and feeds the scan.
class LastSearch {
 public:
  // `ends`: the watermarks found first; the search never looks beyond. `newest`: no record is
  // stamped later.
  LastSearch(std::uint64_t count, std::vector<TailBounds> ends, TimeUs newest);

  // The window's beginning, to ask every shard for.
  [[nodiscard]] TimeUs window_start() const { return newest_ - span_; }
  enum class Verdict : std::uint8_t { kAskAgain, kScan };
  // Takes the offsets at window_start(). kAskAgain: too few or far too many; kScan: count them.
  [[nodiscard]] Verdict on_window(std::span<const TailBounds> at);
  // Where the scan of the window found reads; after kScan.
  [[nodiscard]] Offset scan_start(std::size_t shard) const;
  [[nodiscard]] Offset end(std::size_t shard) const { return ends_.at(shard).watermark; }

  [[nodiscard]] const std::vector<TailBounds>& ends() const { return ends_; }

  // One record that passes the filter, in the merged order.
  void on_record(std::size_t shard, Offset offset);
  // The window has been scanned. The start of each shard, or none: too few passed, ask again.
  [[nodiscard]] std::optional<std::vector<Offset>> on_scanned();

 private:
  struct Place {
    std::size_t shard;
    Offset offset;
  };

  // What lies in a window of time.
  struct Window {
    TimeUs span = 0;
    std::vector<Offset> starts;
    std::uint64_t records = 0;
    // It reaches back to where the logs begin.
    bool everything = false;
  };

  [[nodiscard]] Window window(std::span<const TailBounds> at) const;
  [[nodiscard]] Verdict next_window();

  std::uint64_t count_;
  std::vector<TailBounds> ends_;
  TimeUs newest_;
  TimeUs span_;
  // How many records a window has to hold to be worth a scan: more than `count_` once a filter has
  // left too few.
  std::uint64_t target_;
  // The longest window known to hold too few, and the shortest known to hold enough.
  TimeUs too_short_ = 0;
  std::optional<Window> enough_;
  std::deque<Place> ring_;
};

}  // namespace lignum::net
