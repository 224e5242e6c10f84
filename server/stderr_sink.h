#pragma once

// The sink of the node's log: writes lines to stderr, and loses them sooner than it waits.
//
// Whoever reads stderr may stop reading, a log collector that hangs or a terminal that was stopped,
// and a write would then block the thread that has something to say: a lane, with all groups on it.
// So a line is written only while there is room. The first that finds none waits kWaitMax for it;
// then lines are counted, not written, until there is room again. Where another process writes to
// the same pipe it can take the room in between: then this one waits for the reader as well.
//
// Safe from any thread; owned by Logging.

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include <spdlog/details/log_msg.h>
#include <spdlog/formatter.h>
#include <spdlog/sinks/sink.h>
#include "raft/mutex.h"

namespace lignum::server {

class StderrSink final : public spdlog::sinks::sink {
 public:
  static constexpr std::chrono::milliseconds kWaitMax{50};

  struct Options {
    // Borrowed.
    int fd;
    bool coloured = false;
  };
  explicit StderrSink(const Options& options);

  void log(const spdlog::details::log_msg& message) override EXCLUDES(mutex_);
  void flush() override {}
  void set_pattern(const std::string& pattern) override EXCLUDES(mutex_);
  void set_formatter(std::unique_ptr<spdlog::formatter> formatter) override EXCLUDES(mutex_);

  // Lines that found no room since this was asked the last time; 0 as long as there is still none.
  [[nodiscard]] std::uint64_t take_lost();

 private:
  // Whether the descriptor takes a chunk now, or will within `patience`.
  [[nodiscard]] bool has_room(std::chrono::milliseconds patience) const;
  void write_line(std::string_view line) REQUIRES(mutex_);

  const Options options_;
  std::atomic<std::uint64_t> lost_{0};
  Mutex mutex_;
  std::unique_ptr<spdlog::formatter> formatter_ GUARDED_BY(mutex_);
  // A line was lost and none was written since.
  bool stalled_ GUARDED_BY(mutex_) = false;
  // The line that was written last lacks its end.
  bool cut_ GUARDED_BY(mutex_) = false;
};

// Writes `text` to stderr as far as it is read within `patience`: for the last words of a process.
void write_last_words(std::string_view text, std::chrono::milliseconds patience);

}  // namespace lignum::server
