#include "cli/read_arguments.h"

#include <fmt/format.h>

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cli/flag_value.h"
#include "cli/options.h"
#include "cli/quantity_text.h"
#include "cli/record_printer.h"
#include "cli/whole_number.h"
#include "net/client.h"
#include "raft/error.h"
#include "raft/types.h"
#include "storage/level.h"

namespace lignum::cli {

namespace {

constexpr std::uint64_t kTailLines = 10;

Result<std::uint64_t> count_of(std::string_view text) {
  if (const auto number = parse_whole_number(text)) return *number;
  return fail(Errc::kInvalidArgument, fmt::format("-n takes a number or 'all', not '{}'", text));
}

Result<void> split_words(const std::vector<std::string>& words, ReadOptions& options) {
  for (const std::string& word : words) {
    const std::size_t equals = word.find('=');
    if (equals == std::string::npos) {
      options.streams.push_back(word);
    } else {
      options.matches.push_back({.name = word.substr(0, equals), .value = word.substr(equals + 1)});
    }
  }
  if (options.streams.empty()) return fail(Errc::kInvalidArgument, "name a stream");
  for (const std::string& stream : options.streams) {
    if (stream.contains('/') && options.streams.size() > 1) {
      return fail(Errc::kInvalidArgument,
                  fmt::format("'{}' names a shard; only one can be read at a time", stream));
    }
  }
  return {};
}

std::unexpected<Error> offset_without_shard(std::string_view flag) {
  return fail(Errc::kInvalidArgument,
              fmt::format("{}: an offset needs STREAM/SHARD, as offsets count within a shard; a "
                          "time is written like 5m (ago) or 2026-11-23T10:00:00Z",
                          flag));
}

// Where `from` points: an offset of one shard, or a time.
Result<TailStart> start_at(std::string_view from, const ReadOptions& options, TimeUs now) {
  if (from == "start") return TailStart{.kind = TailStart::Kind::kEarliest};
  if (from == "end") return TailStart{.kind = TailStart::Kind::kLatest};
  if (const auto offset = parse_whole_number(from)) {
    if (!options.streams.front().contains('/')) {
      return offset_without_shard("--from");
    }
    return TailStart{.kind = TailStart::Kind::kOffset, .offset = Offset(*offset)};
  }
  TRY_ASSIGN(time, flag_value("--from", parse_time(from, now)));
  return TailStart{.kind = TailStart::Kind::kTime, .time = time};
}

Result<void> resolve_end(const ReadArguments& arguments, TimeUs now, ReadOptions& options) {
  if (arguments.until) {
    TRY_ASSIGN(until, flag_value("--until", parse_time(*arguments.until, now)));
    options.until = until;
  }
  if (!arguments.to) return {};
  // An offset may stand beside a time: whichever comes first ends it.
  if (const auto offset = parse_whole_number(*arguments.to)) {
    if (!options.streams.front().contains('/')) {
      return offset_without_shard("--to");
    }
    options.to_offset = *offset;
    return {};
  }
  if (arguments.until) {
    return fail(Errc::kInvalidArgument, "--to and --until both name a time: give one");
  }
  TRY_ASSIGN(time, flag_value("--to", parse_time(*arguments.to, now)));
  options.until = time;
  return {};
}

Result<void> resolve_start(const ReadArguments& arguments, TimeUs now, ReadOptions& options) {
  options.start = {.kind = TailStart::Kind::kEarliest};
  std::optional<std::uint64_t> lines;
  const bool all = arguments.lines == "all";
  if (arguments.lines && !all) {
    TRY_ASSIGN(count, count_of(*arguments.lines));
    lines = count;
  }
  if (arguments.from) {
    TRY_ASSIGN(start, start_at(*arguments.from, options, now));
    options.start = start;
  } else if (arguments.since) {
    TRY_ASSIGN(since, flag_value("--since", parse_time(*arguments.since, now)));
    options.start = {.kind = TailStart::Kind::kTime, .time = since};
  }
  if (!arguments.is_tail) {
    options.count_max = lines;
    return {};
  }
  if (arguments.from || arguments.since) {
    options.last_max = lines;
    return {};
  }
  if (all) return {};
  const std::uint64_t count = lines.value_or(kTailLines);
  options.start = count == 0 ? TailStart{.kind = TailStart::Kind::kLatest}
                             : TailStart{.kind = TailStart::Kind::kLast, .count = count};
  return {};
}

}  // namespace

Result<ReadOptions> resolve(ReadArguments arguments, TimeUs now) {
  if (arguments.from && arguments.since) {
    return fail(Errc::kInvalidArgument, "--from and --since both say where to begin: give one");
  }
  ReadOptions options = std::move(arguments.options);
  options.follow = arguments.follow;
  TRY(split_words(arguments.words, options));
  TRY(resolve_start(arguments, now, options));
  TRY(resolve_end(arguments, now, options));
  if (arguments.priority) {
    TRY_ASSIGN(mask, parse_level_filter(*arguments.priority));
    options.level_mask = mask;
  }
  TRY_ASSIGN(format, parse_output_format(arguments.output));
  options.print.format = format;
  if (arguments.record_template) {
    TRY(flag_value("--format", check_template(*arguments.record_template)));
  }
  options.print.record_template = arguments.record_template;
  options.print.zone = arguments.utc ? Zone::kUtc : Zone::kLocal;
  return options;
}

}  // namespace lignum::cli
