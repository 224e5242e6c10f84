#include <fmt/format.h>
#include <fmt/ranges.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cli/exit_code.h"
#include "cli/input_file.h"
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
  // What was started was not taken, and will have no outcome.
  void withdraw() EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    --started_;
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

  // What is wrong with the input, and where.
  struct Trouble {
    InputPlace place;
    Error error;
  };

  std::optional<Trouble> append_file(const std::string& name) {
    InputFile input(name);
    const auto trouble = [&](std::size_t item, const Error& error) {
      return Trouble{.place = {.file = name, .item = item, .format = options_.input.format},
                     .error = error};
    };
    if (const auto opened = input.open(); !opened) return trouble(0, opened.error());
    if (input.is_terminal()) {
      session_.terminal.status("appending what you type, line by line; Ctrl-D ends it");
    }
    input.stop_when(session_.interrupted);
    ItemReader items(
        [&input](char* buffer, std::size_t bytes) { return input.read(buffer, bytes); },
        options_.input.format);
    while (!session_.interrupted.load() && !tally_.broken()) {
      const auto item = items.next();
      if (!item) return trouble(items.number() + 1, item.error());
      const std::optional<std::string_view>& text = *item;
      if (!text) return std::nullopt;
      const auto record = parse_record(*text, options_.input);
      if (!record) return trouble(items.number(), record.error());
      tell_progress();
      if (const auto sent = send(*record); !sent) return trouble(items.number(), sent.error());
      if (options_.tee) {
        output_.data(std::string(*text) +
                     (options_.input.format == InputFormat::kNull ? '\0' : '\n'));
        if (!items.buffered()) output_.flush();
      }
    }
    return std::nullopt;
  }

  // Waits for every outcome. `left`: the files behind the one that is in trouble.
  Outcome finish(const std::optional<Trouble>& trouble, std::span<const std::string> left) {
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
    if (trouble) return explain(*trouble, counts, left);
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

  // Where it is, what is wrong, what was done before it, and how to go on.
  [[nodiscard]] std::unexpected<Error> explain(const Trouble& trouble, const Tally::Counts& counts,
                                               std::span<const std::string> left) const {
    const InputPlace& place = trouble.place;
    std::string text = fmt::format("{}: {}; ", place.describe(), trouble.error.message());
    if (counts.first_error) {
      text += fmt::format(
          "of the records before it {} are appended, {} failed and {} are unknown ({}): read what "
          "is "
          "there before you append the rest",
          counts.acknowledged, counts.failed, counts.unknown, counts.first_error->message());
      return fail(trouble.error.code(), std::move(text));
    }
    text += counts.acknowledged == 0 ? "nothing is appended"
            : counts.acknowledged == 1
                ? "the 1 record before it is appended"
                : fmt::format("the {} records before it are appended", counts.acknowledged);
    if (place.item > 1) {
      text += fmt::format(". Correct it and {} (with the same flags)",
                          place.how_to_go_on(options_.stream));
    } else {
      text += ". Correct it and append it again";
    }
    if (!left.empty())
      text += fmt::format(", then the files behind it: '{}'", fmt::join(left, "' '"));
    return fail(trouble.error.code(), std::move(text));
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
      tally_.withdraw();
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

// All records of a file. As they go in one batch, an error says that nothing is appended.
Result<void> read_all(const std::string& file, const InputOptions& options,
                      std::vector<Record>& records) {
  InputFile input(file);
  const auto located = [&](std::size_t item, const Error& error) {
    const InputPlace place{.file = file, .item = item, .format = options.format};
    return fail(error.code(),
                fmt::format("{}: {}; nothing is appended", place.describe(), error.message()));
  };
  if (const auto opened = input.open(); !opened) return located(0, opened.error());
  ItemReader items([&input](char* buffer, std::size_t bytes) { return input.read(buffer, bytes); },
                   options.format);
  for (;;) {
    const auto item = items.next();
    if (!item) return located(items.number() + 1, item.error());
    const std::optional<std::string_view>& text = *item;
    if (!text) return {};
    auto record = parse_record(*text, options);
    if (!record) return located(items.number(), record.error());
    records.push_back(*std::move(record));
  }
}

Outcome append_expecting(Session& session, const AppendOptions& options, Offset expected) {
  TRY_ASSIGN(name, parse_shard_name(options.stream));
  if (!name.shard) {
    return fail(Errc::kInvalidArgument,
                "--expect-offset needs STREAM/SHARD: offsets count within a shard");
  }
  std::vector<Record> records;
  for (const std::string& file : options.files) TRY(read_all(file, options.input, records));
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
  // Exit code 0 says that all records are on disk, whoever reads what is told of them.
  if (options.tee || options.json_acks) session.terminal.require_reader();
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
  std::span<const std::string> left(options.files);
  std::optional<Appender::Trouble> trouble;
  while (!left.empty() && !trouble && !session.interrupted.load()) {
    trouble = appender.append_file(left.front());
    left = left.subspan(1);
  }
  return appender.finish(trouble, left);
}

}  // namespace lignum::cli
