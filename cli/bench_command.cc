#include "cli/bench_command.h"

#include <fmt/format.h>

#include <CLI/App.hpp>
#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "cli/bench.h"
#include "cli/flag_value.h"
#include "cli/list_format.h"
#include "cli/options.h"
#include "cli/quantity_text.h"
#include "cli/whole_number.h"
#include "raft/error.h"
#include "storage/compression.h"

namespace lignum::cli {

namespace {

constexpr const char* kBenchFooter = R"(
"In flight" counts appends (records) that were started and are not acknowledged yet. Every ack
means that the record is on the disk. Figures are the median of the runs; only ratios of runs
made side by side can be compared between machines.)";

constexpr const char* kAppendFooter = R"(
The node is measured beside `bench limit --replicas 1` with the same records, windows and groups,
run by run in turn, and the ratio of the two is printed. --size, --in-flight and --groups take
lists: every combination is measured.

Without --rate the loop is closed: each ack starts the next append. With --rate appends start on
schedule whatever the node does, and latency counts from the moment an append should have started,
so that no stall hides behind the ones waiting for it (no coordinated omission).

Examples:
  logctl bench append --size 1KiB --in-flight 1024
  logctl bench append --size 100,1KiB,16KiB --in-flight 1,64,1024 --groups 1,8
  logctl bench append --rate 20000 --in-flight 10000 --duration 30s
  logctl bench append --stream load --verify   keeps the stream, reads every record back)";

constexpr const char* kLimitFooter = R"(
What this disk and loopback allow with no log at all: the same messages and batches, their CRC
checked, written by group commit to pre-written files (O_DIRECT or buffered, whichever is faster
here), fdatasync before the ack; with --replicas N the ack after a majority of N copies. Needs no
node. Writes 64 MiB for each file and replica, and removes it.

Examples:
  logctl bench limit --dir /var/lib/lignum --size 1KiB --in-flight 1024
  logctl bench limit --replicas 3 --files 8 --fresh)";

constexpr const char* kReadFooter = R"(
Reads the stream from its first record to its end through the client library, in the merged order.
The second run reads from the page cache.

Example:
  logctl bench read --stream load)";

struct MatrixWords {
  std::string sizes = "100";
  std::string in_flight = "64";
  std::string groups = "1";
  // How the verb calls them: --groups or --files.
  const char* groups_flag = "--groups";
  std::string duration = "3s";
  std::string warmup = "300ms";
  std::string repeat = "5";
  std::optional<std::string> rate;
  std::string compression = "none";
  std::string output = "table";
};

Result<std::vector<std::size_t>> list_of(
    const std::string& text, const std::function<Result<std::uint64_t>(std::string_view)>& parse) {
  std::vector<std::size_t> values;
  std::string_view rest = text;
  while (true) {
    const std::size_t comma = std::min(rest.find(','), rest.size());
    TRY_ASSIGN(value, parse(rest.substr(0, comma)));
    values.push_back(value);
    if (comma == rest.size()) return values;
    rest.remove_prefix(comma + 1);
  }
}

Result<std::uint64_t> parse_count(std::string_view text) { return parse_whole_number(text); }

// Any finite number; check_matrix refuses those that are not positive.
Result<double> parse_rate(std::string_view text) {
  double rate = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), rate, std::chars_format::fixed);
  if (error == std::errc{} && end == text.data() + text.size() && std::isfinite(rate)) {
    return rate;
  }
  return fail(Errc::kInvalidArgument,
              fmt::format("'{}' is not a number; write it like 20000", text));
}

Result<std::chrono::milliseconds> milliseconds_of(const std::string& text) {
  TRY_ASSIGN(duration, parse_duration(text));
  return std::chrono::ceil<std::chrono::milliseconds>(duration);
}

Result<ListFormat> format_of(const std::string& name) {
  if (name == "table") return ListFormat::kTable;
  if (name == "json") return ListFormat::kJson;
  return fail(Errc::kInvalidArgument, fmt::format("-o takes table or json here, not '{}'", name));
}

Result<BenchMatrix> matrix_of(const MatrixWords& words) {
  BenchMatrix matrix;
  TRY_ASSIGN(sizes, flag_value("--size", list_of(words.sizes, parse_size)));
  matrix.record_bytes = std::move(sizes);
  TRY_ASSIGN(in_flight, flag_value("--in-flight", list_of(words.in_flight, parse_count)));
  matrix.in_flight = std::move(in_flight);
  TRY_ASSIGN(groups, flag_value(words.groups_flag, list_of(words.groups, parse_count)));
  matrix.groups = std::move(groups);
  TRY_ASSIGN(duration, flag_value("--duration", milliseconds_of(words.duration)));
  matrix.duration = duration;
  TRY_ASSIGN(warmup, flag_value("--warmup", milliseconds_of(words.warmup)));
  matrix.warmup = warmup;
  TRY_ASSIGN(repeat, flag_value("--repeat", parse_count(words.repeat)));
  matrix.repeat = repeat;
  if (words.rate) {
    TRY_ASSIGN(rate, flag_value("--rate", parse_rate(*words.rate)));
    matrix.rate = rate;
  }
  const auto codec = codec_from_name(words.compression);
  if (!codec) {
    return fail(Errc::kInvalidArgument,
                fmt::format("'{}' is no compression; use none, gzip, snappy, lz4 or zstd",
                            words.compression));
  }
  matrix.compression = *codec;
  TRY_ASSIGN(format, format_of(words.output));
  matrix.format = format;
  TRY(check_matrix(matrix));
  return matrix;
}

void declare_matrix(CLI::App& verb, MatrixWords& words, const char* groups, const char* help) {
  verb.add_option("--size", words.sizes, "Bytes of a record's value, or a list [100]");
  verb.add_option("--in-flight", words.in_flight, "Appends at once, or a list [64]");
  words.groups_flag = groups;
  verb.add_option(groups, words.groups, help);
  verb.add_option("--duration", words.duration, "Of each run [3s]");
  verb.add_option("--warmup", words.warmup, "Before each run, not measured [300ms]");
  verb.add_option("--repeat", words.repeat, "Runs; their median is told [5]");
  verb.add_option("--rate", words.rate, "Records a second, started on schedule");
  verb.add_option("-z,--compress", words.compression, "none, gzip, snappy, lz4 or zstd [none]");
  verb.add_option("-o,--output", words.output, "table or json [table]");
}

}  // namespace

struct BenchCommand::Words {
  MatrixWords append_matrix;
  BenchAppendOptions append;
  bool no_limit = false;
  MatrixWords limit_matrix;
  BenchLimitOptions limit;
  std::string replicas = "1";
  BenchReadOptions read;
  std::string read_repeat = "5";
  std::string read_output = "table";
};

BenchCommand::BenchCommand() : words_(std::make_unique<Words>()) { words_->limit.directory = "."; }
BenchCommand::~BenchCommand() = default;

void BenchCommand::declare(CLI::App& app) {
  CLI::App* bench = app.add_subcommand("bench", "Measure a node, and what the machine allows");
  bench->require_subcommand(1);
  bench->footer(kBenchFooter);
  CLI::App* append = bench->add_subcommand("append", "Records a second and latency of appends");
  declare_matrix(*append, words_->append_matrix, "--groups",
                 "Raft groups to spread the load over, or a list [1]");
  append->add_option("--stream", words_->append.stream,
                     "Append to this stream and keep it [streams of its own, deleted afterwards]");
  append->add_option("--direct-dir", words_->append.direct_dir,
                     "Where the limit writes [beside the node's data]");
  append->add_flag("--no-limit", words_->no_limit, "Measure the node alone");
  append->add_flag("--verify", words_->append.verify, "Read back every acknowledged record");
  append->footer(kAppendFooter);
  CLI::App* limit = bench->add_subcommand("limit", "What disk and loopback allow with no log");
  declare_matrix(*limit, words_->limit_matrix, "--files",
                 "Files to spread the load over, or a list [1]");
  limit->add_option("-d,--dir", words_->limit.directory, "Where to write [.]");
  limit->add_option("--replicas", words_->replicas, "Copies; the ack after a majority [1]");
  limit->add_flag("--fresh", words_->limit.fresh, "Growing files instead of pre-written ones");
  limit->footer(kLimitFooter);
  CLI::App* read = bench->add_subcommand("read", "Bytes and records a second of reading");
  read->add_option("--stream", words_->read.stream, "The stream")->required();
  read->add_option("--repeat", words_->read_repeat, "Runs; their median is told [5]");
  read->add_option("-o,--output", words_->read_output, "table or json [table]");
  read->footer(kReadFooter);
}

Result<Verb> BenchCommand::verb(const CLI::App& bench) const {
  const std::string& name = bench.get_subcommands().front()->get_name();
  if (name == "append") {
    BenchAppendOptions options = words_->append;
    TRY_ASSIGN(matrix, matrix_of(words_->append_matrix));
    options.matrix = std::move(matrix);
    options.limit = !words_->no_limit;
    if (options.stream && options.matrix.groups != std::vector<std::size_t>{1}) {
      return fail(Errc::kInvalidArgument,
                  "--stream is one shard in one group; leave out --groups or --stream");
    }
    return options;
  }
  if (name == "limit") {
    BenchLimitOptions options = words_->limit;
    TRY_ASSIGN(matrix, matrix_of(words_->limit_matrix));
    options.matrix = std::move(matrix);
    TRY_ASSIGN(replicas, flag_value("--replicas", parse_count(words_->replicas)));
    options.replicas = replicas;
    return options;
  }
  BenchReadOptions options = words_->read;
  TRY_ASSIGN(repeat, flag_value("--repeat", parse_count(words_->read_repeat)));
  options.repeat = repeat;
  if (options.repeat < 1 || options.repeat > kRepeatMax) {
    return fail(Errc::kInvalidArgument, fmt::format("--repeat goes from 1 to {}", kRepeatMax));
  }
  TRY_ASSIGN(format, format_of(words_->read_output));
  options.format = format;
  return options;
}

}  // namespace lignum::cli
