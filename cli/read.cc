#include <fmt/format.h>
#include <fnmatch.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <expected>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "cli/cursor_file.h"
#include "cli/exit_code.h"
#include "cli/options.h"
#include "cli/record_filter.h"
#include "cli/record_printer.h"
#include "cli/shard_name.h"
#include "cli/terminal.h"
#include "cli/verbs.h"
#include "net/client.h"
#include "raft/error.h"
#include "raft/types.h"

namespace lignum::cli {

namespace {

// How often an idle tail looks whether it was interrupted.
constexpr std::chrono::milliseconds kWait{200};
constexpr std::chrono::seconds kCursorEvery{1};

// Names as given, patterns such as 'app-*' expanded; at least one stream, each once.
Result<std::vector<std::string>> expand(Session& session, const std::vector<std::string>& names) {
  std::set<std::string> streams;
  std::optional<std::vector<StreamDescription>> known;
  for (const std::string& name : names) {
    if (name.find_first_of("*?[") == std::string::npos) {
      streams.insert(name);
      continue;
    }
    if (!known) {
      TRY_ASSIGN(listed, session.client.list_streams());
      known = std::move(listed);
    }
    const std::size_t before = streams.size();
    for (const StreamDescription& stream : *known) {
      if (::fnmatch(name.c_str(), stream.name.c_str(), 0) == 0) streams.insert(stream.name);
    }
    if (streams.size() == before) {
      return fail(Errc::kNotFound, fmt::format("no stream matches '{}'; 'logctl streams ls' lists "
                                               "them",
                                               name));
    }
  }
  return std::vector<std::string>(streams.begin(), streams.end());
}

class Reader {
 public:
  Reader(Session& session, const ReadOptions& options, RecordFilter filter)
      : session_(session), options_(options), filter_(std::move(filter)) {
    // The last N of what passes filters that the library does not know are kept here, and those of
    // what lies behind a place or before a time.
    const bool counted =
        options.start.kind == TailStart::Kind::kLast && (has_local_filter() || options.until);
    keep_last_ = counted || options.last_max.has_value();
    keep_max_ = options.last_max.value_or(options.start.count);
  }

  Outcome run() {
    TRY_ASSIGN(wanted, tail_options());
    auto opened = session_.client.tail(std::move(wanted));
    if (!opened) return std::unexpected(explain(opened.error()));
    const std::unique_ptr<Tail> tail = std::move(*opened);
    Outcome outcome = follow(*tail);
    if (keep_last_) release_kept();
    session_.terminal.flush();
    TRY(save_cursor(*tail));
    if (options_.show_cursor) session_.terminal.status("cursor: " + tail->cursor());
    return outcome;
  }

 private:
  [[nodiscard]] bool has_local_filter() const {
    return options_.grep || options_.exclude || !options_.matches.empty();
  }

  Result<TailOptions> tail_options() {
    TailOptions wanted{.start = options_.start,
                       .follow = options_.follow,
                       .until = options_.until,
                       .level_mask = options_.level_mask,
                       .skip_gaps = options_.skip_gaps};
    if (options_.streams.size() == 1 && options_.streams.front().contains('/')) {
      TRY_ASSIGN(name, parse_shard_name(options_.streams.front()));
      wanted.streams = {name.stream};
      wanted.shard = name.shard;
    } else {
      TRY_ASSIGN(streams, expand(session_, options_.streams));
      wanted.streams = std::move(streams);
    }
    if (keep_last_ && !options_.last_max) wanted.start = {.kind = TailStart::Kind::kEarliest};
    if (!options_.cursor_file) return wanted;
    TRY(check_cursor_writable(*options_.cursor_file));
    TRY_ASSIGN(cursor, load_cursor(*options_.cursor_file));
    if (cursor) {
      wanted.start = {.kind = TailStart::Kind::kCursor, .cursor = *cursor};
      keep_last_ = false;
      resumed_ = true;
    }
    return wanted;
  }

  Outcome follow(Tail& tail) {
    while (!session_.interrupted.load()) {
      auto item = tail.next(kWait);
      if (!item) return std::unexpected(explain(item.error()));
      if (std::holds_alternative<Tail::End>(*item)) return ExitCode::kOk;
      if (const auto* gap = std::get_if<Gap>(&*item)) {
        tell(*gap);
      } else if (const auto* record = std::get_if<ReadRecord>(&*item)) {
        if (show(*record)) return ExitCode::kOk;
      } else {
        TRY(rest(tail, std::get<Tail::Idle>(*item)));
      }
      TRY(save_cursor_sometimes(tail));
    }
    return ExitCode::kInterrupted;
  }

  void tell(const Gap& gap) {
    session_.terminal.status(
        fmt::format("-- {} records of {}/{} {} ({} to {}): {} --", gap.to - gap.from, gap.stream,
                    gap.shard.value(), gap.reason == Errc::kTrimmed ? "are gone" : "are unreadable",
                    gap.from.value(), gap.to.value() - 1, errc_name(gap.reason)));
  }

  [[nodiscard]] Error explain(const Error& error) const {
    std::string text = error.message();
    if (error.code() == Errc::kNotFound) {
      text += "; 'logctl streams ls' lists what there is";
    } else if (error.code() == Errc::kTrimmed) {
      text += "; go on over the gap with --skip-gaps";
    } else if (error.code() == Errc::kTimeout) {
      text += "; wait longer with --timeout";
    } else if (error.code() == Errc::kCorrupt || error.code() == Errc::kIo) {
      text +=
          "; go on behind what cannot be read with --skip-gaps, or with --from OFFSET of "
          "STREAM/SHARD";
    }
    if (error.code() == Errc::kOffsetOutOfRange && !resumed_) {
      text += "; 'logctl tail -f' without --from waits for new records";
    }
    const bool about_place = error.code() == Errc::kNotFound || error.code() == Errc::kTrimmed ||
                             error.code() == Errc::kOffsetOutOfRange;
    if (resumed_ && options_.cursor_file && about_place) {
      text += fmt::format(" (begun with the cursor in '{}')", *options_.cursor_file);
    }
    return {error.code(), std::move(text)};
  }

  // True when enough was shown.
  bool show(const ReadRecord& record) {
    const std::uint64_t next = record.offset.value() + 1;
    if (options_.to_offset && next > *options_.to_offset) return true;
    // The cursor is to end where the output does.
    const bool last = options_.to_offset && next == *options_.to_offset;
    if (!filter_.passes(record)) return last;
    std::string text = print_record(record, options_.print);
    if (keep_last_) {
      kept_.push_back(std::move(text));
      if (kept_.size() > keep_max_) kept_.pop_front();
      return last;
    }
    session_.terminal.data(text);
    ++shown_;
    return last || (options_.count_max && shown_ >= *options_.count_max);
  }

  void release_kept() {
    for (const std::string& text : kept_) session_.terminal.data(text);
    kept_.clear();
    keep_last_ = false;
  }

  Result<void> rest(Tail& tail, const Tail::Idle& idle) {
    // Caught up: what was kept back is the last there is.
    if (keep_last_) release_kept();
    session_.terminal.flush();
    if (idle.stalled && !stall_told_) {
      session_.terminal.status(fmt::format("-- waiting: {} --", idle.stalled->describe()));
    }
    stall_told_ = idle.stalled.has_value();
    return save_cursor(tail);
  }

  Result<void> save_cursor_sometimes(Tail& tail) {
    const auto now = std::chrono::steady_clock::now();
    if (!options_.cursor_file || now - saved_at_ < kCursorEvery) return {};
    session_.terminal.flush();
    return save_cursor(tail);
  }

  // After the output it stands for has left.
  Result<void> save_cursor(Tail& tail) {
    if (!options_.cursor_file || keep_last_) return {};
    saved_at_ = std::chrono::steady_clock::now();
    std::string cursor = tail.cursor();
    if (cursor == saved_) return {};
    TRY(store_cursor(*options_.cursor_file, cursor));
    saved_ = std::move(cursor);
    return {};
  }

  Session& session_;
  const ReadOptions& options_;
  RecordFilter filter_;
  bool keep_last_ = false;
  std::uint64_t keep_max_ = 0;
  // Begins after a cursor.
  bool resumed_ = false;
  bool stall_told_ = false;
  std::uint64_t shown_ = 0;
  std::deque<std::string> kept_;
  std::string saved_;
  std::chrono::steady_clock::time_point saved_at_;
};

}  // namespace

Outcome run_read(Session& session, const ReadOptions& options) {
  ReadOptions adapted = options;
  adapted.print.color = session.terminal.color();
  if (session.terminal.data_is_tty()) adapted.print.escaping = Escaping::kVisible;
  TRY_ASSIGN(filter, RecordFilter::make(adapted));
  const auto& highlight = options.highlight ? options.highlight : options.grep;
  if (highlight) {
    TRY_ASSIGN(highlighter, make_highlighter(*highlight));
    if (adapted.print.color) adapted.print.decorate = std::move(highlighter);
  }
  if (options.count_max == 0) return ExitCode::kOk;
  Reader reader(session, adapted, std::move(filter));
  return reader.run();
}

}  // namespace lignum::cli
