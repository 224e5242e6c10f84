#pragma once

// Reads the log of a replica from end to end, slowly, so that damage is found while others still
// have what it hit (docs/design/0007-repair-of-damaged-ranges.md).
//
// A pass reads everything that is kept and durable, a piece at a time with a pause between by
// the cold readers; every checksum is looked at, and nothing else is done with it. Part of a
// replica that has other members; its lane only.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "raft/error.h"
#include "raft/types.h"
#include "server/group/ports.h"
#include "storage/log.h"

namespace lignum::server {

// A megabyte a second at most, and all of it once a day.
struct ScrubPace {
  std::size_t piece_bytes = std::size_t{1} << 20;
  std::int64_t piece_every_us = 1'000'000;
  std::int64_t pass_every_us = std::int64_t{86'400} * 1'000'000;
};

class LogScrubber {
 public:
  struct Parts {
    Ports& ports;
    storage::Log& log;
    ScrubPace pace;
    // The log is damaged.
    std::function<void(const Error&)> damaged;
  };
  explicit LogScrubber(Parts parts);
  ~LogScrubber();
  LogScrubber(const LogScrubber&) = delete;
  LogScrubber& operator=(const LogScrubber&) = delete;

  // Reads a piece where one is due.
  void tick(std::int64_t now);
  // A piece is being read.
  [[nodiscard]] bool busy() const { return busy_; }
  [[nodiscard]] std::uint64_t passes() const { return passes_; }

 private:
  void on_read(const Result<Index>& reached, Index to);

  const Parts parts_;
  // Everything up to it was read in this pass.
  Index at_;
  std::int64_t next_at_ = 0;
  std::int64_t pass_began_ = 0;
  std::uint64_t passes_ = 0;
  bool busy_ = false;
  std::shared_ptr<bool> alive_;
};

}  // namespace lignum::server
