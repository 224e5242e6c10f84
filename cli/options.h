#pragma once

// What was asked for on the command line, as plain values. command_line.cc fills them in; each verb
// takes its own.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "cli/bench.h"
#include "cli/contexts.h"
#include "cli/list_format.h"
#include "cli/record_input.h"
#include "cli/record_printer.h"
#include "cli/terminal.h"
#include "cli/verify.h"
#include "net/client.h"

namespace lignum::cli {

struct GlobalOptions {
  EndpointChoice choice;
  // What the choice comes to, once the contexts are known.
  std::vector<std::string> endpoints;
  std::chrono::milliseconds timeout{10000};
  ColorChoice color = ColorChoice::kAuto;
  bool quiet = false;
};

struct AppendOptions {
  std::string stream;
  std::vector<std::string> files;  // empty or "-": standard input
  InputOptions input;
  std::string compression = "none";
  std::size_t batch_bytes = std::size_t{256} << 10;
  std::chrono::microseconds linger{0};
  std::optional<std::uint64_t> expected_offset;
  std::chrono::milliseconds deadline{30000};
  bool create = false;
  bool tee = false;
  bool json_acks = false;
};

// read and tail.
struct ReadOptions {
  std::vector<std::string> streams;
  TailStart start;
  bool follow = false;
  std::optional<TimeUs> until;
  // Exclusive; read STREAM/SHARD only.
  std::optional<std::uint64_t> to_offset;
  // No more than so many.
  std::optional<std::uint64_t> count_max;
  // Of what is there already, from the start on, only the last so many.
  std::optional<std::uint64_t> last_max;
  std::uint32_t level_mask = 0xFFFFFFFFU;
  std::optional<std::string> grep;
  std::optional<std::string> exclude;
  std::optional<std::string> highlight;
  // Every one must match.
  std::vector<Field> matches;
  PrintOptions print;
  std::optional<std::string> cursor_file;
  bool show_cursor = false;
  bool skip_gaps = false;
};

struct StreamsCreateOptions {
  std::string stream;
  StreamOptions settings;
  ListFormat format = ListFormat::kTable;
};
struct StreamsListOptions {
  ListFormat format = ListFormat::kTable;
};
struct StreamsDescribeOptions {
  std::string stream;
  ListFormat format = ListFormat::kTable;
};
struct StreamsTrimOptions {
  std::string stream;  // STREAM/SHARD
  std::uint64_t before = 0;
  bool yes = false;
  bool dry_run = false;
};
struct StreamsDeleteOptions {
  std::string stream;
  bool yes = false;
  bool dry_run = false;
};
struct StatOptions {
  ListFormat format = ListFormat::kTable;
};
struct LogLevelOptions {
  std::string level;
};
struct VersionOptions {
  ListFormat format = ListFormat::kTable;
};
struct CompletionOptions {
  std::string shell;
};
struct CompleteOptions {
  std::vector<std::string> words;
};

enum class ContextAction : std::uint8_t { kList, kUse, kAdd, kShow, kRemove };
struct ContextOptions {
  ContextAction action = ContextAction::kList;
  std::string name;  // kShow: empty means the current one
  std::string endpoints;
  ListFormat format = ListFormat::kTable;
};

using Verb = std::variant<AppendOptions, ReadOptions, StreamsCreateOptions, StreamsListOptions,
                          StreamsDescribeOptions, StreamsTrimOptions, StreamsDeleteOptions,
                          StatOptions, LogLevelOptions, VersionOptions, CompletionOptions,
                          CompleteOptions, ContextOptions, BenchAppendOptions, BenchLimitOptions,
                          BenchReadOptions, VerifyOptions>;

struct CommandLine {
  GlobalOptions global;
  Verb verb;
};

}  // namespace lignum::cli
