#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/string.hpp>
#include <chrono>
#include <cstdint>
#include <expected>
#include <iostream>
#include <string>
#include <string_view>
#include <utility>

#include "cli/exit_code.h"
#include "cli/list_format.h"
#include "cli/options.h"
#include "cli/quantity_text.h"
#include "cli/shard_name.h"
#include "cli/table.h"
#include "cli/terminal.h"
#include "cli/verbs.h"
#include "net/client.h"
#include "raft/error.h"
#include "raft/types.h"

namespace lignum::cli {

namespace {

namespace json = boost::json;

std::string retention_text(const StreamDescription& stream) {
  std::string text = stream.retention ? human_duration(*stream.retention) : "for ever";
  if (stream.retention_bytes) text += ", " + human_bytes(*stream.retention_bytes);
  return text;
}

json::object json_stream(const StreamDescription& stream) {
  json::object out;
  out["name"] = stream.name;
  out["id"] = stream.id.value();
  out["shards"] = stream.shards.size();
  if (stream.retention) out["retention_ms"] = stream.retention->count();
  if (stream.retention_bytes) out["retention_bytes"] = *stream.retention_bytes;
  out["created"] = rfc3339(stream.created, Zone::kUtc);
  return out;
}

json::object json_shard(const StreamDescription::Shard& shard) {
  json::object out;
  out["shard"] = shard.number.value();
  out["group"] = shard.group.value();
  if (shard.unavailable) {
    out["unavailable"] = shard.unavailable->describe();
    return out;
  }
  out["start"] = shard.start.value();
  out["next"] = shard.next.value();
  out["bytes"] = shard.bytes;
  if (shard.last_append != 0) out["last_append"] = rfc3339(shard.last_append, Zone::kUtc);
  out["producers"] = shard.producers;
  return out;
}

// Asks the person to type the name; refuses where nobody can be asked.
Result<void> confirm(std::string_view what, std::string_view name) {
  if (::isatty(STDIN_FILENO) == 0) {
    return fail(Errc::kInvalidArgument,
                fmt::format("{}: say --yes to do it, as nobody can be asked here", what));
  }
  fmt::print(stderr, "{}. Type the stream's name to go on: ", what);
  std::string answer;
  if (std::getline(std::cin, answer) && answer == name) return {};
  return fail(Errc::kInvalidArgument, "the name was not repeated; nothing was done");
}

// First and next offset of a shard.
struct Bounds {
  Offset start;
  Offset next;
};

Result<Bounds> bounds_of(const StreamDescription& stream, ShardNumber number) {
  const auto found = std::ranges::find(stream.shards, number, &StreamDescription::Shard::number);
  if (found == stream.shards.end()) {
    return fail(Errc::kNotFound,
                fmt::format("stream {} has no shard {}; 'logctl streams describe {}' lists its "
                            "shards",
                            stream.name, number.value(), stream.name));
  }
  if (const auto& unavailable = found->unavailable) return std::unexpected(*unavailable);
  return Bounds{.start = found->start, .next = found->next};
}

// What a trim that deletes something would delete. An offset above the end is a slip (a zero too
// many), and would delete everything.
Result<std::string> describe_trim(const StreamsTrimOptions& options, const Bounds& bounds) {
  if (options.before > bounds.next.value()) {
    return fail(Errc::kOffsetOutOfRange,
                fmt::format("--before: offset {} lies above the end of {}, {}; nothing is deleted",
                            options.before, options.stream, bounds.next.value()) +
                    (bounds.start == bounds.next
                         ? std::string(". It holds no records")
                         : fmt::format(". --before {} deletes everything", bounds.next.value())));
  }
  const std::uint64_t count = options.before - bounds.start.value();
  const bool all = options.before == bounds.next.value();
  const std::string offsets =
      count == 1 ? fmt::format("offset {}", bounds.start.value())
                 : fmt::format("offsets {} to {}", bounds.start.value(), options.before - 1);
  return fmt::format("Trimming {} deletes {}{} record{} ({}) for good", options.stream,
                     all ? "all its " : "", count, count == 1 ? "" : "s", offsets);
}

}  // namespace

Outcome run_streams_create(Session& session, const StreamsCreateOptions& options) {
  TRY_ASSIGN(stream, session.client.create_stream(options.stream, options.settings));
  if (options.format == ListFormat::kJson) {
    session.terminal.data(json::serialize(json_stream(stream)) + "\n");
  } else {
    session.terminal.status(fmt::format("stream {}: {} shard{}, kept {}", stream.name,
                                        stream.shards.size(), stream.shards.size() == 1 ? "" : "s",
                                        retention_text(stream)));
  }
  return ExitCode::kOk;
}

Outcome run_streams_list(Session& session, const StreamsListOptions& options) {
  TRY_ASSIGN(streams, session.client.list_streams());
  if (options.format == ListFormat::kJson) {
    for (const StreamDescription& stream : streams) {
      session.terminal.data(json::serialize(json_stream(stream)) + "\n");
    }
    return ExitCode::kOk;
  }
  if (streams.empty()) {
    session.terminal.status("no streams yet; make one with 'logctl streams create NAME'");
    return ExitCode::kOk;
  }
  Table table({"STREAM", "SHARDS", "RETENTION", "CREATED"});
  for (const StreamDescription& stream : streams) {
    table.add({stream.name, std::to_string(stream.shards.size()), retention_text(stream),
               short_time(stream.created, Zone::kLocal)});
  }
  session.terminal.data(table.text());
  return ExitCode::kOk;
}

Outcome run_streams_describe(Session& session, const StreamsDescribeOptions& options) {
  TRY_ASSIGN(stream, session.client.describe_stream(options.stream));
  if (options.format == ListFormat::kJson) {
    json::object out = json_stream(stream);
    json::array shards;
    for (const auto& shard : stream.shards) shards.push_back(json_shard(shard));
    out["shards"] = std::move(shards);
    session.terminal.data(json::serialize(out) + "\n");
    return ExitCode::kOk;
  }
  session.terminal.data(fmt::format("{} (id {}), kept {}, made {}\n", stream.name,
                                    stream.id.value(), retention_text(stream),
                                    short_time(stream.created, Zone::kLocal)));
  Table table({"SHARD", "GROUP", "START", "NEXT", "RECORDS", "SIZE", "PRODUCERS", "LAST APPEND"});
  for (const auto& shard : stream.shards) {
    if (shard.unavailable) {
      table.add({std::to_string(shard.number.value()), std::to_string(shard.group.value()),
                 shard.unavailable->describe()});
      continue;
    }
    table.add({std::to_string(shard.number.value()), std::to_string(shard.group.value()),
               std::to_string(shard.start.value()), std::to_string(shard.next.value()),
               std::to_string(shard.next - shard.start), human_bytes(shard.bytes),
               std::to_string(shard.producers),
               shard.last_append == 0 ? "-" : short_time(shard.last_append, Zone::kLocal)});
  }
  session.terminal.data(table.text());
  return ExitCode::kOk;
}

Outcome run_streams_trim(Session& session, const StreamsTrimOptions& options) {
  TRY_ASSIGN(name, parse_shard_name(options.stream));
  if (!name.shard) {
    return fail(Errc::kInvalidArgument, "trim needs STREAM/SHARD: offsets count within a shard");
  }
  TRY_ASSIGN(stream, session.client.describe_stream(name.stream));
  TRY_ASSIGN(bounds, bounds_of(stream, *name.shard));
  if (options.before <= bounds.start.value()) {
    session.terminal.status(fmt::format("nothing to trim: {} begins at offset {}", options.stream,
                                        bounds.start.value()));
    return ExitCode::kOk;
  }
  TRY_ASSIGN(what, describe_trim(options, bounds));
  if (options.dry_run) {
    session.terminal.status(what + " (not done: --dry-run)");
    return ExitCode::kOk;
  }
  if (!options.yes) TRY(confirm(what, name.stream));
  TRY_ASSIGN(start, session.client.trim(name.stream, *name.shard, Offset(options.before)));
  session.terminal.status(fmt::format("{} now begins at offset {}", options.stream, start.value()));
  return ExitCode::kOk;
}

Outcome run_streams_delete(Session& session, const StreamsDeleteOptions& options) {
  TRY_ASSIGN(stream, session.client.describe_stream(options.stream));
  std::uint64_t records = 0;
  for (const auto& shard : stream.shards) records += shard.next - shard.start;
  const std::string what =
      fmt::format("Deleting stream {} deletes its {} records for good", stream.name, records);
  if (options.dry_run) {
    session.terminal.status(what + " (not done: --dry-run)");
    return ExitCode::kOk;
  }
  if (!options.yes) TRY(confirm(what, stream.name));
  TRY(session.client.delete_stream(options.stream));
  session.terminal.status(fmt::format("stream {} is deleted", stream.name));
  return ExitCode::kOk;
}

}  // namespace lignum::cli
