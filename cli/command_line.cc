#include "cli/command_line.h"

#include <fmt/format.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Error.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "cli/bench_command.h"
#include "cli/completion_words.h"
#include "cli/flag_value.h"
#include "cli/global_words.h"
#include "cli/help_texts.h"
#include "cli/list_format.h"
#include "cli/options.h"
#include "cli/quantity_text.h"
#include "cli/read_arguments.h"
#include "cli/record_input.h"
#include "cli/verify.h"
#include "cli/whole_number.h"
#include "cli/word_hints.h"
#include "net/client.h"
#include "raft/error.h"
#include "raft/types.h"
#include "storage/compression.h"
#include "storage/level.h"
#include "storage/record_batch.h"

namespace lignum::cli {

namespace {

using std::chrono::milliseconds;

// What the words said, still as text; made into options once parsing is done.
struct Words {
  GlobalWords global;

  AppendOptions append;
  bool null = false;
  bool json = false;
  std::string level;
  std::string key;
  std::string key_field;
  std::vector<std::string> fields;
  std::optional<std::string> batch;
  std::optional<std::string> linger;
  std::optional<std::string> deadline;
  // Numbers are text, too: CLI11 takes -1 and what is too large for the largest there is, and 010
  // for eight.
  std::optional<std::string> expect_offset;
  std::string append_output;

  ReadArguments read;
  ReadArguments tail;

  StreamsCreateOptions create;
  std::optional<std::string> shards;
  std::optional<std::string> retention;
  std::optional<std::string> retention_bytes;
  StreamsDescribeOptions describe;
  StreamsTrimOptions trim;
  std::string before;
  StreamsDeleteOptions remove;
  std::string output = "table";
  LogLevelOptions log_level;
  CompletionOptions completion;
  CompleteOptions complete;
  ContextOptions context_options;
  BenchCommand bench;
  VerifyOptions verify;
};

Result<ListFormat> list_format(const std::string& name) {
  if (name == "table") return ListFormat::kTable;
  if (name == "json") return ListFormat::kJson;
  return fail(Errc::kInvalidArgument, fmt::format("-o takes table or json here, not '{}'", name));
}

void declare_global(CLI::App& app, Words& words) {
  words.global.declare(app);
  app.footer(help::kGlobal);
  app.require_subcommand(1);
  app.set_version_flag("--version", "logctl " LIGNUM_VERSION, "Print the version and end");
  // Global flags may stand behind the verb too.
  app.fallthrough();
}

void declare_append(CLI::App& app, Words& words) {
  CLI::App* verb = app.add_subcommand("append", "Append lines, items or JSON objects to a stream");
  verb->add_option("STREAM", words.append.stream, "The stream (STREAM/SHARD with --expect-offset)")
      ->required();
  verb->add_option("FILE", words.append.files, "Files; '-' or none: standard input");
  verb->add_flag("-0,--null", words.null, "Items end with NUL instead of newline");
  verb->add_flag("--json", words.json,
                 "Each line is a JSON object: message, level and time are "
                 "taken from it, other members become fields");
  verb->add_flag("--syslog", words.append.input.syslog, "Lines begin with a syslog <PRI>");
  verb->add_option("-k,--key", words.key, "Key: records of one key keep their order");
  verb->add_option("--key-field", words.key_field, "With --json: the member that is the key");
  verb->add_option("-l,--level", words.level,
                   "Level of records that bring none of their own: a name or syslog number");
  verb->add_option("-F,--field", words.fields, "name=value on every record; may be repeated")
      ->expected(1)
      ->take_all()
      ->allow_extra_args(false);
  verb->add_option("--level-field", words.append.input.level_field, "JSON member [level]");
  verb->add_option("--time-field", words.append.input.time_field, "JSON member [time]");
  verb->add_option("--message-field", words.append.input.message_field, "JSON member [message]");
  verb->add_option("--expect-offset", words.expect_offset,
                   "Append all as one batch, only if this is the shard's next offset");
  verb->add_option("-z,--compress", words.append.compression, "none, gzip, snappy, lz4 or zstd");
  verb->add_option("--batch", words.batch, "Largest batch, at most 7MiB [256KiB]");
  verb->add_option("--linger", words.linger, "Wait this long for a batch to fill [0s]");
  verb->add_option("--deadline", words.deadline,
                   "Retry for this long, once a node was reached [30s]");
  verb->add_flag("--create", words.append.create, "Make the stream if it does not exist");
  verb->add_flag("--tee", words.append.tee, "Copy what is appended to standard output");
  verb->add_option("-o,--output", words.append_output,
                   "json: one ack per record on standard output");
  verb->footer(help::kAppend);
}

void declare_reading(CLI::App& verb, ReadArguments& words) {
  verb.add_option("STREAM", words.words,
                  "Streams, patterns ('app-*') or one STREAM/SHARD, then field=value matches")
      ->required();
  verb.add_option(
      "-n,--lines", words.lines,
      words.is_tail ? "Begin with the last N records, or all [10]" : "Stop after N records");
  verb.add_option("-S,--since", words.since, "Records appended since");
  verb.add_option("-U,--until", words.until, "Records appended before");
  verb.add_option("--from", words.from, "First offset (STREAM/SHARD), a time, start or end");
  verb.add_option("-p,--priority", words.priority, "Level and above, or a range: info..error");
  verb.add_option("-g,--grep", words.options.grep, "Only messages that match this RE2 pattern");
  verb.add_option("-v,--exclude", words.options.exclude, "No messages that match this pattern");
  verb.add_option("-H,--highlight", words.options.highlight, "Colour what matches this pattern");
  verb.add_option("-o,--output", words.output,
                  "short, short-iso, verbose, cat, raw, json, json-pretty or logfmt [short]");
  verb.add_option("--format", words.record_template,
                  "%t stream %p shard %o offset %T time %k key %s value %l level %h fields");
  verb.add_option("--cursor-file", words.options.cursor_file,
                  "Begin after the cursor in this file; keep it up to date");
  verb.add_flag("--show-cursor", words.options.show_cursor, "Tell the cursor at the end");
  verb.add_flag("--skip-gaps", words.options.skip_gaps,
                "Go on where records are gone or unreadable");
  verb.add_flag("--utc", words.utc, "Times in UTC");
}

void declare_streams(CLI::App& app, Words& words) {
  CLI::App* streams = app.add_subcommand("streams", "Make, list, describe, trim, delete streams");
  streams->require_subcommand(1);
  streams->footer(help::kStreams);
  const auto with_output = [&words](CLI::App* verb) {
    verb->add_option("-o,--output", words.output, "table or json [table]");
  };
  CLI::App* create = streams->add_subcommand("create", "Make a stream");
  create->add_option("STREAM", words.create.stream, "[A-Za-z0-9._-], at most 249, no '-' in front")
      ->required();
  create->add_option("-s,--shards", words.shards, "Ordered pieces, fixed for ever [4]");
  create->add_option("--retention", words.retention, "Keep records this long, or 'forever' [7d]");
  create->add_option("--retention-bytes", words.retention_bytes, "Keep at most this much");
  create->footer(help::kStreamsCreate);
  with_output(create);
  with_output(streams->add_subcommand("ls", "List streams"));
  CLI::App* describe = streams->add_subcommand("describe", "Shards, offsets and sizes");
  describe->add_option("STREAM", words.describe.stream, "The stream")->required();
  with_output(describe);
  CLI::App* trim = streams->add_subcommand("trim", "Delete the oldest records of a shard");
  trim->add_option("STREAM/SHARD", words.trim.stream, "The shard")->required();
  trim->add_option("--before", words.before, "Becomes the first offset kept")->required();
  trim->footer(help::kStreamsTrim);
  trim->add_flag("-y,--yes", words.trim.yes, "Do not ask");
  trim->add_flag("--dry-run", words.trim.dry_run, "Only say what would be done");
  CLI::App* remove = streams->add_subcommand("delete", "Delete a stream and its records");
  remove->add_option("STREAM", words.remove.stream, "The stream")->required();
  remove->footer(help::kStreamsDelete);
  remove->add_flag("-y,--yes", words.remove.yes, "Do not ask");
  remove->add_flag("--dry-run", words.remove.dry_run, "Only say what would be done");
}

void declare_context(CLI::App& app, Words& words) {
  ContextOptions& options = words.context_options;
  CLI::App* context = app.add_subcommand("context", "Names for clusters, so that -e is not needed");
  context->require_subcommand(1);
  context->footer(help::kContext);
  context->add_subcommand("ls", "List them; * marks the current one")
      ->add_option("-o,--output", words.output, "table or json [table]");
  context->add_subcommand("use", "Make one the current one")
      ->add_option("NAME", options.name, "The context")
      ->required();
  CLI::App* add = context->add_subcommand("add", "Name the nodes of a cluster");
  add->add_option("NAME", options.name, "The context; the first one becomes current")->required();
  add->add_option("ENDPOINTS", options.endpoints, "HOST:PORT,... of its nodes")->required();
  context->add_subcommand("show", "What a context means")
      ->add_option("NAME", options.name, "The context [the current one]");
  context->add_subcommand("rm", "Forget one")
      ->add_option("NAME", options.name, "The context")
      ->required();
}

void declare_rest(CLI::App& app, Words& words) {
  CLI::App* stat = app.add_subcommand("stat", "The node, its groups, its disk");
  stat->footer(help::kStat);
  stat->add_option("-o,--output", words.output, "table or json [table]");
  CLI::App* verify = app.add_subcommand("verify", "Check a data directory, byte by byte");
  verify->footer(help::kVerify);
  verify->add_option("DIR", words.verify.directory, "The data directory of a stopped logd")
      ->required();
  verify->add_flag("--map", words.verify.map, "Also print what every byte is for");
  verify->add_option("-o,--output", words.output, "table or json [table]");
  app.add_subcommand("version", "The version of logctl")
      ->add_option("-o,--output", words.output, "table or json [table]");
  declare_context(app, words);
  words.bench.declare(app);
  CLI::App* node = app.add_subcommand("node", "What a node does");
  node->require_subcommand(1);
  node->footer(help::kNode);
  node->add_subcommand("log-level", "Change what logd logs")
      ->add_option("LEVEL", words.log_level.level, "trace, debug, info, warn or error")
      ->required();
  CLI::App* completion =
      app.add_subcommand("completion", "A script that completes logctl in your shell");
  completion->footer(help::kCompletion);
  completion->add_option("SHELL", words.completion.shell, "bash, zsh or fish")->required();
}

void declare(CLI::App& app, Words& words) {
  declare_global(app, words);
  declare_append(app, words);
  CLI::App* read = app.add_subcommand("read", "Read from the beginning, or from where you say");
  declare_reading(*read, words.read);
  read->footer(help::kRead);
  read->add_option("--to", words.read.to, "End before this offset (STREAM/SHARD) or time");
  words.tail.is_tail = true;
  CLI::App* tail = app.add_subcommand("tail", "The newest records; -f follows");
  declare_reading(*tail, words.tail);
  tail->add_flag("-f,--follow", words.tail.follow, "Go on with what comes");
  tail->footer(help::kTail);
  declare_streams(app, words);
  declare_rest(app, words);
}

Result<void> append_tuning(const Words& words, AppendOptions& options) {
  if (words.batch) {
    TRY_ASSIGN(bytes, flag_value("--batch", parse_size(*words.batch)));
    // Where one record more must still fit.
    constexpr std::size_t kMost = kBatchBytesMax - kRecordBytesMax;
    if (bytes < 1 || bytes > kMost) {
      return fail(Errc::kInvalidArgument,
                  fmt::format("--batch: '{}' is out of range; it goes from 1 byte to {}",
                              *words.batch, human_bytes(kMost)));
    }
    options.batch_bytes = bytes;
  }
  if (words.linger) {
    // Not to wait is what linger begins with.
    const bool none = parse_duration(*words.linger) == std::chrono::microseconds(0);
    if (!none) TRY(flag_value("--linger", parse_wait(*words.linger)));
    TRY_ASSIGN(linger, parse_duration(*words.linger));
    options.linger = linger;
  }
  if (words.deadline) {
    TRY_ASSIGN(deadline, flag_value("--deadline", parse_wait(*words.deadline)));
    options.deadline = deadline;
  }
  if (words.expect_offset) {
    TRY_ASSIGN(offset, flag_value("--expect-offset", parse_whole_number(*words.expect_offset)));
    options.expected_offset = offset;
  }
  return {};
}

// A name, or a syslog number as -p takes it.
Result<Level> parse_level(const std::string& text) {
  if (const auto level = level_from_name(text)) return *level;
  if (text.size() == 1 && text[0] >= '0' && text[0] <= '7') {
    return level_from_syslog(static_cast<std::uint8_t>(text[0] - '0'));
  }
  return fail(Errc::kInvalidArgument,
              fmt::format("'{}' is not a level; use trace, debug, info, notice, warn, error, "
                          "critical, alert, fatal or a syslog number from 0 to 7",
                          text));
}

Result<Verb> append_options(const Words& words) {
  AppendOptions options = words.append;
  if (words.null && words.json) {
    return fail(Errc::kInvalidArgument, "--null and --json cannot be used together");
  }
  if (words.json && options.input.syslog) {
    return fail(Errc::kInvalidArgument, "--syslog and --json cannot be used together");
  }
  if (words.null) options.input.format = InputFormat::kNull;
  if (words.json) options.input.format = InputFormat::kJson;
  if (options.files.empty()) options.files = {"-"};
  if (!words.key.empty()) options.input.key = words.key;
  if (!words.key_field.empty()) options.input.key_field = words.key_field;
  if (!words.level.empty()) {
    TRY_ASSIGN(level, flag_value("-l", parse_level(words.level)));
    options.input.level = level;
  }
  for (const std::string& field : words.fields) {
    const std::size_t equals = field.find('=');
    if (equals == std::string::npos || equals == 0) {
      return fail(Errc::kInvalidArgument, fmt::format("-F takes name=value, not '{}'", field));
    }
    if (field.substr(0, equals) == kLevelHeader) {
      return fail(Errc::kInvalidArgument, "the field 'level' is reserved; use -l");
    }
    options.input.fields.push_back(
        {.name = field.substr(0, equals), .value = field.substr(equals + 1)});
  }
  if (!codec_from_name(options.compression)) {
    return fail(Errc::kInvalidArgument,
                fmt::format("'{}' is no compression; use none, gzip, snappy, lz4 or zstd",
                            options.compression));
  }
  TRY(append_tuning(words, options));
  if (!words.append_output.empty() && words.append_output != "json") {
    return fail(Errc::kInvalidArgument, "append -o takes only json");
  }
  options.json_acks = words.append_output == "json";
  return options;
}

Result<Verb> create_options(const Words& words) {
  StreamsCreateOptions options = words.create;
  if (words.shards) {
    constexpr std::uint32_t kMost = std::numeric_limits<std::uint32_t>::max();
    TRY_ASSIGN(shards, flag_value("--shards", parse_whole_number(*words.shards, kMost)));
    options.settings.shards = static_cast<std::uint32_t>(shards);
  }
  if (words.retention == "forever") {
    options.settings.retention = milliseconds(-1);
  } else if (words.retention) {
    TRY_ASSIGN(retention, flag_value("--retention", parse_duration(*words.retention)));
    options.settings.retention = std::chrono::ceil<milliseconds>(retention);
    if (retention.count() == 0) {
      return fail(
          Errc::kInvalidArgument,
          fmt::format("--retention: '{}' would keep nothing; write how long to keep records, "
                      "like 7d, or 'forever'",
                      *words.retention));
    }
  }
  if (words.retention_bytes) {
    TRY_ASSIGN(bytes, flag_value("--retention-bytes", parse_size(*words.retention_bytes)));
    options.settings.retention_bytes = static_cast<std::int64_t>(bytes);
    if (bytes == 0) {
      return fail(Errc::kInvalidArgument,
                  "--retention-bytes: 0 would keep nothing; write how much to keep, like 10GiB");
    }
  }
  TRY_ASSIGN(format, list_format(words.output));
  options.format = format;
  return options;
}

Result<Verb> trim_options(const Words& words) {
  StreamsTrimOptions options = words.trim;
  TRY_ASSIGN(before, flag_value("--before", parse_whole_number(words.before)));
  options.before = before;
  return options;
}

Result<Verb> streams_verb(const CLI::App& streams, const Words& words) {
  const std::string& name = streams.get_subcommands().front()->get_name();
  if (name == "create") return create_options(words);
  if (name == "trim") return trim_options(words);
  if (name == "delete") return words.remove;
  TRY_ASSIGN(format, list_format(words.output));
  if (name == "ls") return StreamsListOptions{.format = format};
  return StreamsDescribeOptions{.stream = words.describe.stream, .format = format};
}

Result<Verb> context_verb(const CLI::App& context, const Words& words) {
  ContextOptions options = words.context_options;
  const std::string& name = context.get_subcommands().front()->get_name();
  TRY_ASSIGN(format, list_format(words.output));
  options.format = format;
  if (name == "use") options.action = ContextAction::kUse;
  if (name == "add") options.action = ContextAction::kAdd;
  if (name == "show") options.action = ContextAction::kShow;
  if (name == "rm") options.action = ContextAction::kRemove;
  return options;
}

Result<Verb> chosen_verb(const CLI::App& app, const Words& words, TimeUs now) {
  const CLI::App& verb = *app.get_subcommands().front();
  const std::string& name = verb.get_name();
  if (name == "append") return append_options(words);
  if (name == "read" || name == "tail") {
    TRY_ASSIGN(options, resolve(name == "tail" ? words.tail : words.read, now));
    return options;
  }
  if (name == "streams") return streams_verb(verb, words);
  if (name == "node") return words.log_level;
  if (name == "context") return context_verb(verb, words);
  if (name == "bench") return words.bench.verb(verb);
  if (name == "completion") return words.completion;
  TRY_ASSIGN(format, list_format(words.output));
  if (name == "stat") return StatOptions{.format = format};
  if (name == "verify") {
    VerifyOptions options = words.verify;
    options.format = format;
    return options;
  }
  return VersionOptions{.format = format};
}

bool asks_read_to_follow(const CLI::App& app, const std::vector<std::string>& words) {
  if (verb_place(app, words).verb->get_name() != "read") return false;
  const auto flags_end = std::ranges::find(words, "--");
  return std::any_of(words.begin(), flags_end,
                     [](const std::string& word) { return word == "-f" || word == "--follow"; });
}

}  // namespace

Result<std::variant<CommandLine, HelpText>> parse_command_line(
    const std::vector<std::string>& words, TimeUs now) {
  if (words.size() >= 1 && words.front() == "__complete") {
    CommandLine line;
    line.global.choice = environment_choice();
    CompleteOptions complete{.words = {words.begin() + 1, words.end()}};
    if (!complete.words.empty() && complete.words.front() == "--") {
      complete.words.erase(complete.words.begin());
    }
    line.verb = std::move(complete);
    return line;
  }
  Words said;
  CLI::App app("Append to, read and look after the streams of a Lignum log.", "logctl");
  declare(app, said);
  std::vector<std::string> reversed(words.rbegin(), words.rend());
  try {
    app.parse(reversed);
  } catch (const CLI::CallForHelp&) {
    return HelpText{.text = app.help()};
  } catch (const CLI::CallForVersion& version) {
    return HelpText{.text = std::string(version.what()) + "\n"};
  } catch (const CLI::CallForAllHelp&) {
    return HelpText{.text = app.help("", CLI::AppFormatMode::All)};
  } catch (const CLI::ParseError& error) {
    if (asks_read_to_follow(app, words)) {
      return fail(Errc::kInvalidArgument,
                  "read ends with what is there now; 'logctl tail -f' follows");
    }
    return std::unexpected(refuse_words(app, words, error.what()));
  }
  CommandLine line;
  TRY_ASSIGN(global, said.global.options());
  line.global = std::move(global);
  TRY_ASSIGN(verb, chosen_verb(app, said, now));
  line.verb = std::move(verb);
  return line;
}

std::vector<std::string> complete_words(const std::vector<std::string>& words) {
  Words said;
  CLI::App app("", "logctl");
  declare(app, said);
  return words_at_end(app, words);
}

bool stream_may_follow(const std::vector<std::string>& words) {
  Words said;
  CLI::App app("", "logctl");
  declare(app, said);
  return stream_at_end(app, words);
}

}  // namespace lignum::cli
