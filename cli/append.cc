#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cli/exit_code.h"
#include "cli/options.h"
#include "cli/quantity_text.h"
#include "cli/record_input.h"
#include "cli/shard_name.h"
#include "cli/terminal.h"
#include "cli/verbs.h"
#include "net/client.h"
#include "raft/error.h"
#include "raft/mutex.h"
#include "raft/types.h"

namespace lignum::cli {

namespace {

// Records read ahead of their acknowledgement; the client's own bound is in bytes.
constexpr std::uint64_t kOutstandingMax = 100'000;

// An open input file; standard input is borrowed.
class Input {
 public:
  explicit Input(std::string name) : name_(std::move(name)) {}
  ~Input() {
    if (descriptor_ > STDIN_FILENO) ::close(descriptor_);
  }
  Input(const Input&) = delete;
  Input& operator=(const Input&) = delete;

  Result<void> open() {
    if (name_ == "-") {
      descriptor_ = STDIN_FILENO;
      return {};
    }
    descriptor_ = ::open(name_.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor_ >= 0) return {};
    return fail(Errc::kIo, fmt::format("cannot open '{}': {}", name_, std::strerror(errno)));
  }

  Result<std::size_t> read(char* buffer, std::size_t bytes) const {
    for (;;) {
      const auto got = ::read(descriptor_, buffer, bytes);
      if (got >= 0) return static_cast<std::size_t>(got);
      if (errno != EINTR) {
        return fail(Errc::kIo, fmt::format("cannot read '{}': {}", name_, std::strerror(errno)));
      }
      if (interrupted_ != nullptr && interrupted_->load()) return std::size_t{0};
    }
  }
  [[nodiscard]] bool is_terminal() const { return ::isatty(descriptor_) != 0; }
  void stop_when(const std::atomic<bool>& interrupted) { interrupted_ = &interrupted; }

 private:
  std::string name_;
  int descriptor_ = -1;
  const std::atomic<bool>* interrupted_ = nullptr;
};

// Counts outcomes. Callbacks run on the client's thread.
class Tally {
 public:
  // Waits until fewer than `most` records are without an outcome.
  void wait_below(std::uint64_t most) EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    while (started_ - finished_ >= most) changed_.wait(mutex_);
  }
  void start() EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    ++started_;
  }
  // True when no record is without an outcome any more.
  bool finish(const Result<AppendAck>& outcome) EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    ++finished_;
    if (outcome) {
      ++acknowledged_;
    } else {
      ++(outcome.error().outcome_unknown() ? unknown_ : failed_);
      if (!first_error_) first_error_ = outcome.error();
    }
    changed_.notify_all();
    return finished_ == started_;
  }

  struct Counts {
    std::uint64_t acknowledged = 0;
    std::uint64_t failed = 0;
    std::uint64_t unknown = 0;
    std::optional<Error> first_error;
  };
  [[nodiscard]] Counts counts() EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    return {.acknowledged = acknowledged_,
            .failed = failed_,
            .unknown = unknown_,
            .first_error = first_error_};
  }
  [[nodiscard]] bool broken() EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    return first_error_.has_value();
  }

 private:
  Mutex mutex_;
  ConditionVariable changed_;
  std::uint64_t started_ GUARDED_BY(mutex_) = 0;
  std::uint64_t finished_ GUARDED_BY(mutex_) = 0;
  std::uint64_t acknowledged_ GUARDED_BY(mutex_) = 0;
  std::uint64_t failed_ GUARDED_BY(mutex_) = 0;
  std::uint64_t unknown_ GUARDED_BY(mutex_) = 0;
  std::optional<Error> first_error_ GUARDED_BY(mutex_);
};

std::string ack_json(std::string_view stream, const AppendAck& ack) {
  return fmt::format("{{\"stream\":\"{}\",\"shard\":{},\"offset\":{},\"time\":\"{}\"}}\n", stream,
                     ack.shard.value(), ack.offset.value(), rfc3339(ack.append_time, Zone::kUtc));
}

// Standard output, shared by the reader of the input (--tee) and the client's thread (-o json).
class Output {
 public:
  explicit Output(Terminal& terminal) : terminal_(terminal) {}
  void data(std::string_view text) EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    terminal_.data(text);
  }
  void flush() EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    terminal_.flush();
  }
  void progress(const std::string& text) EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    terminal_.progress(text);
  }

 private:
  Mutex mutex_;
  Terminal& terminal_;
};

class Appender {
 public:
  Appender(Session& session, const AppendOptions& options)
      : session_(session), options_(options), output_(session.terminal) {}

  Result<void> append_file(const std::string& name) {
    Input input(name);
    TRY(input.open());
    if (input.is_terminal()) {
      session_.terminal.status("appending what you type, line by line; Ctrl-D ends it");
    }
    input.stop_when(session_.interrupted);
    ItemReader items(
        [&input](char* buffer, std::size_t bytes) { return input.read(buffer, bytes); },
        options_.input.format);
    while (!session_.interrupted.load() && !tally_.broken()) {
      auto item = items.next();
      if (!item) return located(name, items.number() + 1, item.error());
      const std::optional<std::string_view>& text = *item;
      if (!text) return {};
      auto record = parse_record(*text, options_.input);
      if (!record) return located(name, items.number(), record.error());
      if (options_.tee) {
        output_.data(std::string(*text) +
                     (options_.input.format == InputFormat::kNull ? '\0' : '\n'));
        if (!items.buffered()) output_.flush();
      }
      tell_progress();
      if (auto sent = send(*record); !sent) {
        return located(name, items.number(), sent.error());
      }
    }
    return {};
  }

  Outcome finish(Result<void> read) {
    session_.client.flush();
    tally_.wait_below(1);
    const Tally::Counts counts = tally_.counts();
    std::string summary = fmt::format("{} record{} appended to {}", counts.acknowledged,
                                      counts.acknowledged == 1 ? "" : "s", options_.stream);
    if (counts.failed > 0) summary += fmt::format(", {} failed", counts.failed);
    if (counts.unknown > 0) {
      summary += fmt::format(", {} unknown (they may or may not be there)", counts.unknown);
    }
    session_.terminal.flush();
    session_.terminal.status(summary);
    if (!read) return std::unexpected(read.error());
    if (counts.first_error) {
      return fail(counts.first_error->code(),
                  fmt::format("{} record(s) failed, {} unknown; the first: {}", counts.failed,
                              counts.unknown, counts.first_error->message()));
    }
    return session_.interrupted.load() ? ExitCode::kInterrupted : ExitCode::kOk;
  }

 private:
  void tell_progress() {
    constexpr std::chrono::milliseconds kEvery{200};
    if (!session_.terminal.status_is_tty()) return;
    const auto now = std::chrono::steady_clock::now();
    if (now - told_ < kEvery) return;
    told_ = now;
    output_.progress(fmt::format("{} records acknowledged", tally_.counts().acknowledged));
  }

  [[nodiscard]] std::unexpected<Error> located(const std::string& name, std::size_t item,
                                               const Error& error) const {
    const InputFormat format = options_.input.format;
    return fail(error.code(),
                fmt::format("{}: {} {}: {}", name == "-" ? "standard input" : name,
                            format == InputFormat::kNull ? "item" : "line", item, error.message()));
  }

  Result<void> send(const Record& record) {
    tally_.wait_below(kOutstandingMax);
    tally_.start();
    const auto done = [this](const Result<AppendAck>& outcome) {
      if (outcome && options_.json_acks) output_.data(ack_json(options_.stream, *outcome));
      const bool idle = tally_.finish(outcome);
      // Whoever waits for these acks has sent nothing that is still to be acknowledged.
      if (idle && options_.json_acks) output_.flush();
    };
    auto queued = session_.client.append(options_.stream, record, done);
    while (!queued && queued.error().code() == Errc::kOverloaded) {
      // The client's buffer is full: it empties as batches are acknowledged.
      session_.client.flush();
      queued = session_.client.append(options_.stream, record, done);
    }
    if (!queued) {
      tally_.finish(std::unexpected(queued.error()));
      return queued;
    }
    return {};
  }

  Session& session_;
  const AppendOptions& options_;
  Output output_;
  std::chrono::steady_clock::time_point told_;
  Tally tally_;
};

Outcome append_expecting(Session& session, const AppendOptions& options, Offset expected) {
  TRY_ASSIGN(name, parse_shard_name(options.stream));
  if (!name.shard) {
    return fail(Errc::kInvalidArgument,
                "--expect-offset needs STREAM/SHARD: offsets count within a shard");
  }
  std::vector<Record> records;
  for (const std::string& file : options.files) {
    Input input(file);
    TRY(input.open());
    ItemReader items(
        [&input](char* buffer, std::size_t bytes) { return input.read(buffer, bytes); },
        options.input.format);
    for (;;) {
      TRY_ASSIGN(item, items.next());
      if (!item) break;
      TRY_ASSIGN(record, parse_record(*item, options.input));
      records.push_back(std::move(record));
    }
  }
  if (records.empty()) return fail(Errc::kInvalidArgument, "there is nothing to append");
  const std::size_t count = records.size();
  TRY_ASSIGN(
      ack, session.client.append_expecting(name.stream, *name.shard, expected, std::move(records)));
  if (options.json_acks) session.terminal.data(ack_json(name.stream, ack));
  session.terminal.status(fmt::format("{} record{} appended to {} at offset {}", count,
                                      count == 1 ? "" : "s", options.stream, ack.offset.value()));
  return ExitCode::kOk;
}

Result<void> create_if_missing(Session& session, const AppendOptions& options) {
  auto found = session.client.describe_stream(options.stream);
  if (found) return {};
  if (found.error().code() != Errc::kNotFound) return std::unexpected(found.error());
  if (!options.create) {
    return fail(Errc::kNotFound,
                fmt::format("stream '{0}' does not exist; make it with 'logctl streams create {0}' "
                            "or append with --create",
                            options.stream));
  }
  TRY_ASSIGN(created, session.client.create_stream(options.stream, {}));
  return {};
}

}  // namespace

Outcome run_append(Session& session, const AppendOptions& options) {
  if (options.expected_offset) {
    return append_expecting(session, options, Offset(*options.expected_offset));
  }
  TRY_ASSIGN(name, parse_shard_name(options.stream));
  if (name.shard) {
    return fail(Errc::kInvalidArgument,
                fmt::format("'{}' names a shard; only --expect-offset appends to a chosen one. A "
                            "key (-k) chooses the shard otherwise",
                            options.stream));
  }
  TRY(create_if_missing(session, options));
  Appender appender(session, options);
  Result<void> read;
  for (const std::string& file : options.files) {
    read = appender.append_file(file);
    if (!read || session.interrupted.load()) break;
  }
  return appender.finish(std::move(read));
}

}  // namespace lignum::cli
