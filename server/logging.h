#pragma once

// The node's own log: one line an event, on stderr, in one of three formats.
//
// human    2026-11-23 11:48:19.123 info  group 3: recovered ...   (coloured on a terminal)
// json     {"time":"...","level":"info","message":"..."}
// logfmt   time=... level=info message="..."
//
// When stderr is the journal (JOURNAL_STREAM is set) the human format leaves the time to journald
// and begins with its <N> priority prefix. A line that repeats is written kRepeatsMax times in a
// second and then counted: the count follows when it ends. So are lines for which stderr has no
// room, because nobody reads it: the node goes on without them. Safe from any thread; one per
// process, owned by App.

#include <unistd.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "raft/error.h"
#include "raft/mutex.h"
#include "server/group/ports.h"
#include "server/options.h"

namespace spdlog {
class logger;  // NOLINT(readability-identifier-naming): spdlog's name
}  // namespace spdlog

namespace lignum::server {

class StderrSink;

struct LoggingOptions {
  LogFormat format = LogFormat::kHuman;
  std::string level = "info";
  bool journald = false;
  bool colour = false;
  // Another than stderr in tests; borrowed.
  int fd = STDERR_FILENO;
};

class Logging {
 public:
  explicit Logging(const LoggingOptions& options);
  ~Logging();
  Logging(const Logging&) = delete;
  Logging& operator=(const Logging&) = delete;

  void write(Severity severity, std::string_view text) EXCLUDES(mutex_);

  // trace, debug, info, warn or error; returns the level before. kInvalidArgument otherwise.
  Result<std::string> set_level(std::string_view level);
  [[nodiscard]] std::string level() const;

  // Of one text in one second.
  static constexpr std::uint32_t kRepeatsMax = 10;

 private:
  void emit(Severity severity, std::string_view text);

  const std::shared_ptr<StderrSink> sink_;
  const std::shared_ptr<spdlog::logger> logger_;
  const LogFormat format_;
  const bool journald_;
  Mutex mutex_;
  std::string repeated_ GUARDED_BY(mutex_);
  std::uint32_t repeats_ GUARDED_BY(mutex_) = 0;
  std::int64_t repeats_since_s_ GUARDED_BY(mutex_) = 0;
};

// `text` as the inside of a JSON string or a quoted logfmt value.
[[nodiscard]] std::string escape_quoted(std::string_view text);

}  // namespace lignum::server
