#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "cli/bench.h"
#include "cli/command_line.h"
#include "cli/list_format.h"
#include "cli/nearest_word.h"
#include "cli/options.h"
#include "cli/quantity_text.h"
#include "cli/record_input.h"
#include "cli/record_printer.h"
#include "cli/terminal.h"
#include "net/client.h"
#include "raft/error.h"
#include "raft/types.h"
#include "storage/level.h"

namespace lignum::cli {
namespace {

using std::chrono::milliseconds;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsSupersetOf;
using testing::Not;

constexpr TimeUs kNow = 1'700'000'000'000'000;

template <class Options>
Options verb_of(const std::vector<std::string>& words) {
  auto parsed = parse_command_line(words, kNow);
  EXPECT_TRUE(parsed) << parsed.error().message();
  if (!parsed || !std::holds_alternative<CommandLine>(*parsed)) return {};
  const auto& line = std::get<CommandLine>(*parsed);
  EXPECT_TRUE(std::holds_alternative<Options>(line.verb));
  return std::holds_alternative<Options>(line.verb) ? std::get<Options>(line.verb) : Options{};
}

std::string refusal_of(const std::vector<std::string>& words) {
  const auto parsed = parse_command_line(words, kNow);
  if (parsed) return "was accepted";
  EXPECT_EQ(parsed.error().code(), Errc::kInvalidArgument);
  return parsed.error().message();
}

GlobalOptions global_of(const std::vector<std::string>& words) {
  auto parsed = parse_command_line(words, kNow);
  EXPECT_TRUE(parsed) << parsed.error().message();
  return parsed ? std::get<CommandLine>(*parsed).global : GlobalOptions{};
}

// -1 would be the end of every shard: a trim to there deletes everything.
TEST(CommandLine, AnOffsetIsAWholeNumberFromZeroOn) {
  for (const std::string text : {"-1", "1.5", "0x10", " 7", "1e3", ""}) {
    EXPECT_THAT(refusal_of({"streams", "trim", "app/0", "--before=" + text}), HasSubstr("--before"))
        << text;
    EXPECT_THAT(refusal_of({"append", "app/0", "--expect-offset=" + text}),
                HasSubstr("--expect-offset"))
        << text;
  }
  EXPECT_EQ(verb_of<StreamsTrimOptions>({"streams", "trim", "app/0", "--before", "7"}).before, 7U);
}

// Taken for the largest number there is, it would delete everything.
TEST(CommandLine, AnOffsetBeyondTheLargestNumberIsRefused) {
  for (const std::string text : {"18446744073709551616", "99999999999999999999"}) {
    const std::string why = "'" + text + "' is too large; the largest is 18446744073709551615";
    EXPECT_EQ(refusal_of({"streams", "trim", "app/0", "--yes", "--before", text}),
              "--before: " + why);
    EXPECT_EQ(refusal_of({"append", "app/0", "--expect-offset", text}), "--expect-offset: " + why);
  }
  EXPECT_EQ(
      verb_of<StreamsTrimOptions>({"streams", "trim", "app/0", "--before", "18446744073709551615"})
          .before,
      18446744073709551615U);
}

TEST(CommandLine, AZeroInFrontMakesNoOctalNumber) {
  for (const auto& [text, number] : {std::pair("010", 10U), std::pair("08", 8U)}) {
    EXPECT_EQ(verb_of<StreamsTrimOptions>({"streams", "trim", "app/0", "--before", text}).before,
              number);
    EXPECT_EQ(verb_of<AppendOptions>({"append", "app/0", "--expect-offset", text}).expected_offset,
              number);
    EXPECT_EQ(
        verb_of<StreamsCreateOptions>({"streams", "create", "app", "-s", text}).settings.shards,
        number);
    EXPECT_EQ(
        verb_of<BenchReadOptions>({"bench", "read", "--stream", "s", "--repeat", text}).repeat,
        number);
    EXPECT_EQ(verb_of<BenchLimitOptions>({"bench", "limit", "--replicas", text}).replicas, number);
  }
}

TEST(CommandLine, WrongNumbersNameTheirFlag) {
  EXPECT_EQ(refusal_of({"streams", "create", "app", "--shards", "4294967297"}),
            "--shards: '4294967297' is too large; the largest is 4294967295");
  EXPECT_THAT(refusal_of({"bench", "read", "--stream", "s", "--repeat", "x"}),
              HasSubstr("--repeat: 'x' is not a whole number"));
  EXPECT_THAT(refusal_of({"bench", "limit", "--replicas", "-1"}), HasSubstr("--replicas: '-1'"));
  EXPECT_THAT(refusal_of({"bench", "append", "--rate", "fast"}), HasSubstr("--rate: 'fast'"));
  EXPECT_THAT(refusal_of({"bench", "append", "--rate", "inf"}), HasSubstr("--rate: 'inf'"));
  EXPECT_THAT(refusal_of({"bench", "append", "--in-flight", "1,x"}), HasSubstr("--in-flight: 'x'"));
  EXPECT_THAT(refusal_of({"bench", "limit", "--files", "x"}), HasSubstr("--files: 'x'"));
}

TEST(CommandLine, GlobalFlagsStandBeforeOrBehindTheVerb) {
  const std::vector<std::string> endpoints = {"a:1", "b:2"};
  EXPECT_EQ(global_of({"-e", "a:1,b:2", "stat"}).choice.endpoints, endpoints);
  EXPECT_EQ(global_of({"stat", "--endpoints", "a:1,b:2"}).choice.endpoints, endpoints);
  EXPECT_EQ(global_of({"stat"}).choice.endpoints, std::nullopt);
  EXPECT_EQ(global_of({"stat", "--timeout", "1500ms"}).timeout, milliseconds(1500));
  EXPECT_EQ(global_of({"--color", "always", "stat"}).color, ColorChoice::kAlways);
  EXPECT_TRUE(global_of({"stat", "-q"}).quiet);
  EXPECT_EQ(global_of({"--context", "prod", "stat"}).choice.context, "prod");
  EXPECT_THAT(refusal_of({"--color", "blue", "stat"}), HasSubstr("auto, always or never"));
  EXPECT_THAT(refusal_of({"-e", "nowhere", "stat"}), HasSubstr("HOST:PORT"));
  EXPECT_THAT(refusal_of({"-e", "localhost:73247", "stat"}), HasSubstr("1 to 65535"));
  EXPECT_THAT(refusal_of({"-e", "localhost:0", "stat"}), HasSubstr("1 to 65535"));
  EXPECT_THAT(refusal_of({"--timeout", "5", "stat"}), HasSubstr("not a duration"));
}

class Variable {
 public:
  Variable(const char* name, const char* value) : name_(name) { ::setenv(name, value, 1); }
  ~Variable() { ::unsetenv(name_); }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;

 private:
  const char* name_;
};

TEST(CommandLine, EnvironmentStandsBehindFlags) {
  const Variable endpoints("LOGCTL_ENDPOINTS", "env:1");
  const Variable context("LOGCTL_CONTEXT", "prod");
  const Variable timeout("LOGCTL_TIMEOUT", "3s");
  const GlobalOptions plain = global_of({"stat"});
  EXPECT_EQ(plain.choice.endpoints, std::nullopt);
  EXPECT_EQ(plain.choice.context, std::nullopt);
  EXPECT_EQ(plain.choice.environment_endpoints, "env:1");
  EXPECT_EQ(plain.choice.environment_context, "prod");
  EXPECT_EQ(plain.timeout, milliseconds(3000));
  const GlobalOptions said =
      global_of({"-e", "flag:2", "--context", "test", "--timeout", "1s", "stat"});
  EXPECT_THAT(*said.choice.endpoints, ElementsAre("flag:2"));
  EXPECT_EQ(said.choice.context, "test");
  EXPECT_EQ(said.timeout, milliseconds(1000));
}

TEST(CommandLine, AnEmptyVariableCountsAsNotSet) {
  const Variable endpoints("LOGCTL_ENDPOINTS", "");
  const Variable timeout("LOGCTL_TIMEOUT", "");
  EXPECT_EQ(global_of({"stat"}).choice.environment_endpoints, std::nullopt);
  EXPECT_EQ(global_of({"stat"}).timeout, milliseconds(10000));
  // An empty flag is a mistake: a variable of a script that was not set.
  EXPECT_THAT(refusal_of({"-e", "", "stat"}), HasSubstr("--endpoints: no endpoint"));
}

TEST(CommandLine, AWrongVariableIsNamed) {
  const Variable timeout("LOGCTL_TIMEOUT", "soon");
  EXPECT_THAT(refusal_of({"stat"}), HasSubstr("LOGCTL_TIMEOUT: 'soon'"));
  EXPECT_EQ(global_of({"--timeout", "1s", "stat"}).timeout, milliseconds(1000));
}

// Giving up at once, or after all time there is, is nobody's wish.
TEST(CommandLine, WaitsAreLongerThanNothingAndShorterThanALifetime) {
  for (const std::string flag : {"--timeout", "--deadline"}) {
    for (const std::string text :
         {"0s", "0ms", "0.0001us", "36501d", "99999999w", "-5s", "", "5"}) {
      std::string word = flag + "=";
      word += text;
      EXPECT_THAT(refusal_of({"append", "app", word}), HasSubstr(flag + ": ")) << text;
    }
  }
  EXPECT_EQ(global_of({"--timeout", "36500d", "stat"}).timeout, std::chrono::days(36500));
  EXPECT_THAT(refusal_of({"--timeout", "0s", "stat"}), HasSubstr("would not wait at all"));
  EXPECT_THAT(refusal_of({"append", "app", "--linger", "-5ms"}), HasSubstr("--linger: '-5ms'"));
  EXPECT_THAT(refusal_of({"append", "app", "--linger", "36501d"}), HasSubstr("--linger: "));
  EXPECT_EQ(verb_of<AppendOptions>({"append", "app", "--linger", "0s"}).linger, milliseconds(0));
}

TEST(CommandLine, SizesAndCountsHaveBounds) {
  for (const std::string text : {"0", "-1", "7.1MiB", "8MiB", "99999999TiB"}) {
    EXPECT_THAT(refusal_of({"append", "app", "--batch=" + text}), HasSubstr("--batch: ")) << text;
  }
  EXPECT_EQ(verb_of<AppendOptions>({"append", "app", "--batch", "7MiB"}).batch_bytes, 7U << 20);
  for (const std::string text : {"-1", "1.5", "99999999999999999999", "x", ""}) {
    EXPECT_THAT(refusal_of({"tail", "app", "-n", text}), HasSubstr("-n")) << text;
  }
  for (const std::string text : {"-1", "1.5", "99999999999", "x", ""}) {
    EXPECT_THAT(refusal_of({"streams", "create", "app", "--shards=" + text}), HasSubstr("--shards"))
        << text;
  }
  EXPECT_EQ(verb_of<StreamsCreateOptions>({"streams", "create", "app", "-s", "0"}).settings.shards,
            0U)
      << "the server says what it takes";
  for (const std::string text : {"0s", "-1s", "7"}) {
    EXPECT_THAT(refusal_of({"streams", "create", "app", "--retention=" + text}),
                HasSubstr("--retention: "))
        << text;
  }
  for (const std::string text : {"0", "-1", "99999999TiB"}) {
    EXPECT_THAT(refusal_of({"streams", "create", "app", "--retention-bytes=" + text}),
                HasSubstr("--retention-bytes: "))
        << text;
  }
  EXPECT_THAT(refusal_of({"bench", "read", "--stream", "s", "--repeat", "0"}),
              HasSubstr("--repeat goes from 1"));
}

TEST(CommandLine, DaysThatDoNotExistAreNoTimes) {
  EXPECT_THAT(refusal_of({"tail", "app", "--since", "2026-02-30"}),
              HasSubstr("--since: '2026-02-30'"));
  EXPECT_THAT(refusal_of({"tail", "app", "--until", "2026-02-30"}),
              HasSubstr("--until: '2026-02-30' is not in the calendar"));
  EXPECT_THAT(refusal_of({"read", "app", "--from", "2025-02-29"}), HasSubstr("--from: '2025-"));
  EXPECT_THAT(refusal_of({"read", "app", "--to", "2025-02-29"}), HasSubstr("--to: '2025-"));
}

TEST(CommandLine, AppendTakesEverything) {
  const auto options = verb_of<AppendOptions>(
      {"append",     "app",   "-l",       "warn",  "-k",      "key",  "-F",       "a=1",
       "-F",         "b=x=y", "-z",       "zstd",  "--batch", "1MiB", "--linger", "5ms",
       "--deadline", "1s",    "--create", "--tee", "-o",      "json", "one.log",  "-"});
  EXPECT_EQ(options.stream, "app");
  EXPECT_THAT(options.files, ElementsAre("one.log", "-"));
  EXPECT_EQ(options.input.level, Level::kWarn);
  EXPECT_EQ(options.input.key, "key");
  ASSERT_EQ(options.input.fields.size(), 2U);
  EXPECT_EQ(options.input.fields[1].name, "b");
  EXPECT_EQ(options.input.fields[1].value, "x=y");
  EXPECT_EQ(options.compression, "zstd");
  EXPECT_EQ(options.batch_bytes, std::size_t{1} << 20);
  EXPECT_EQ(options.linger, milliseconds(5));
  EXPECT_EQ(options.deadline, milliseconds(1000));
  EXPECT_TRUE(options.create && options.tee && options.json_acks);
}

TEST(CommandLine, AppendDefaultsToLinesOfStandardInput) {
  const auto options = verb_of<AppendOptions>({"append", "app"});
  EXPECT_THAT(options.files, ElementsAre("-"));
  EXPECT_EQ(options.input.format, InputFormat::kLines);
  EXPECT_EQ(verb_of<AppendOptions>({"append", "app", "--null"}).input.format, InputFormat::kNull);
  const auto json =
      verb_of<AppendOptions>({"append", "app", "--json", "--level-field", "sev", "--time-field",
                              "ts", "--message-field", "text", "--key-field", "user"});
  EXPECT_EQ(json.input.format, InputFormat::kJson);
  EXPECT_EQ(json.input.level_field, "sev");
  EXPECT_EQ(json.input.time_field, "ts");
  EXPECT_EQ(json.input.message_field, "text");
  EXPECT_EQ(json.input.key_field, "user");
  EXPECT_EQ(verb_of<AppendOptions>({"append", "app/0", "--expect-offset", "42"}).expected_offset,
            42U);
}

TEST(CommandLine, AppendRefuses) {
  EXPECT_THAT(refusal_of({"append"}), HasSubstr("STREAM"));
  EXPECT_THAT(refusal_of({"append", "app", "-l", "loud"}), HasSubstr("not a level"));
  EXPECT_THAT(refusal_of({"append", "app", "-F", "novalue"}), HasSubstr("name=value"));
  EXPECT_THAT(refusal_of({"append", "app", "-F", "level=3"}), HasSubstr("reserved"));
  EXPECT_THAT(refusal_of({"append", "app", "--null", "--json"}), HasSubstr("together"));
  EXPECT_THAT(refusal_of({"append", "app", "--syslog", "--json"}), HasSubstr("together"));
  EXPECT_THAT(refusal_of({"append", "app", "-l", "8"}), HasSubstr("syslog number from 0 to 7"));
  EXPECT_EQ(verb_of<AppendOptions>({"append", "app", "-l", "3"}).input.level, Level::kError);
  EXPECT_THAT(refusal_of({"append", "app", "--batch", "big"}), HasSubstr("not a size"));
  EXPECT_THAT(refusal_of({"append", "app", "-o", "xml"}), HasSubstr("json"));
  EXPECT_THAT(refusal_of({"append", "app", "-z", "rar"}), HasSubstr("rar"));
}

TEST(CommandLine, TailBeginsWithTheLastTen) {
  const auto options = verb_of<ReadOptions>({"tail", "-f", "app", "web-*", "host=web1"});
  EXPECT_THAT(options.streams, ElementsAre("app", "web-*"));
  ASSERT_EQ(options.matches.size(), 1U);
  EXPECT_EQ(options.matches[0].name, "host");
  EXPECT_TRUE(options.follow);
  EXPECT_EQ(options.start.kind, TailStart::Kind::kLast);
  EXPECT_EQ(options.start.count, 10U);
  EXPECT_EQ(verb_of<ReadOptions>({"tail", "-n", "all", "app"}).start.kind,
            TailStart::Kind::kEarliest);
  EXPECT_EQ(verb_of<ReadOptions>({"tail", "-n", "0", "-f", "app"}).start.kind,
            TailStart::Kind::kLatest);
}

TEST(CommandLine, TailTakesTimesLevelsAndPatterns) {
  const auto options = verb_of<ReadOptions>({"tail",
                                             "app",
                                             "-S",
                                             "5m",
                                             "-U",
                                             "now",
                                             "-p",
                                             "warn",
                                             "-g",
                                             "time.*out",
                                             "-v",
                                             "debug",
                                             "-H",
                                             "x",
                                             "-o",
                                             "json",
                                             "--utc",
                                             "--skip-gaps",
                                             "--show-cursor",
                                             "--cursor-file",
                                             "c"});
  EXPECT_EQ(options.start.kind, TailStart::Kind::kTime);
  EXPECT_EQ(options.start.time, kNow - 300'000'000);
  EXPECT_EQ(options.until, kNow);
  EXPECT_EQ(options.level_mask, *parse_level_filter("warn"));
  EXPECT_EQ(options.grep, "time.*out");
  EXPECT_EQ(options.exclude, "debug");
  EXPECT_EQ(options.highlight, "x");
  EXPECT_EQ(options.print.format, OutputFormat::kJson);
  EXPECT_EQ(options.print.zone, Zone::kUtc);
  EXPECT_TRUE(options.skip_gaps && options.show_cursor);
  EXPECT_EQ(options.cursor_file, "c");
}

TEST(CommandLine, ReadTakesOffsetsOfOneShard) {
  const auto options =
      verb_of<ReadOptions>({"read", "app/3", "--from", "10", "--to", "20", "-n", "5"});
  EXPECT_EQ(options.start.kind, TailStart::Kind::kOffset);
  EXPECT_EQ(options.start.offset, Offset(10));
  EXPECT_EQ(options.to_offset, 20U);
  EXPECT_EQ(options.count_max, 5U);
  EXPECT_FALSE(options.follow);
  EXPECT_EQ(verb_of<ReadOptions>({"read", "app"}).start.kind, TailStart::Kind::kEarliest);
  const auto times = verb_of<ReadOptions>({"read", "app", "--from", "1h", "--to", "5m"});
  EXPECT_EQ(times.start.time, kNow - 3'600'000'000);
  EXPECT_EQ(times.until, kNow - 300'000'000);
  EXPECT_THAT(refusal_of({"read", "app", "--from", "10"}), HasSubstr("STREAM/SHARD"));
  EXPECT_THAT(refusal_of({"read", "app", "--from", "1h", "--since", "2h"}), HasSubstr("give one"));
  EXPECT_THAT(refusal_of({"read", "app", "--to", "1h", "--until", "2h"}), HasSubstr("give one"));
  EXPECT_EQ(verb_of<ReadOptions>({"read", "app/3", "--to", "9", "--until", "2h"}).to_offset, 9U);
  EXPECT_THAT(refusal_of({"read", "app", "--to", "10"}), HasSubstr("STREAM/SHARD"));
  EXPECT_THAT(refusal_of({"read", "app/0", "web"}), HasSubstr("one can be read"));
  EXPECT_THAT(refusal_of({"read", "host=web1"}), HasSubstr("name a stream"));
  EXPECT_THAT(refusal_of({"tail", "app", "-n", "many"}), HasSubstr("-n"));
  EXPECT_THAT(refusal_of({"tail", "app", "-p", "loud"}), HasSubstr("loud"));
  EXPECT_THAT(refusal_of({"tail", "app", "-o", "yaml"}), HasSubstr("output format"));
}

// --from takes both, and tells them apart.
TEST(CommandLine, SinceAndUntilTakeTimesOnly) {
  for (const std::string stream : {"app", "app/0"}) {
    for (const std::string flag : {"--since", "--until"}) {
      EXPECT_THAT(refusal_of({"read", stream, flag, "3"}), HasSubstr(flag + ": '3' is not a time"));
    }
  }
  EXPECT_THAT(refusal_of({"read", "app", "--from", "3"}), HasSubstr("--from: an offset needs"));
  EXPECT_THAT(refusal_of({"read", "app", "--to", "3"}), HasSubstr("--to: an offset needs"));
}

TEST(CommandLine, AFormatHasKnownLettersOnly) {
  for (const std::string text : {"%x", "%s %", "%%%d", "\\n%q"}) {
    EXPECT_THAT(refusal_of({"read", "app", "--format", text}),
                HasSubstr("stands for nothing; use %t stream"))
        << text;
  }
  EXPECT_THAT(refusal_of({"read", "app", "--format", "a%xb"}), HasSubstr("--format: '%x'"));
  for (const std::string text : {"%t%p%o%T%k%s%l%h%n%%", "", "\\%x", "\\"}) {
    EXPECT_EQ(verb_of<ReadOptions>({"read", "app", "--format", text}).print.record_template, text);
  }
}

TEST(CommandLine, AReadThatIsToFollowIsATail) {
  EXPECT_THAT(refusal_of({"read", "-f", "app"}), HasSubstr("'logctl tail -f' follows"));
  EXPECT_THAT(refusal_of({"read", "app", "--follow"}), HasSubstr("'logctl tail -f' follows"));
  EXPECT_THAT(refusal_of({"stat", "-f"}), Not(HasSubstr("tail")));
}

TEST(CommandLine, StreamsAreAdministered) {
  const auto create =
      verb_of<StreamsCreateOptions>({"streams", "create", "app", "-s", "2", "--retention",
                                     "forever", "--retention-bytes", "1GiB"});
  EXPECT_EQ(create.settings.shards, 2U);
  EXPECT_EQ(create.settings.retention, milliseconds(-1));
  EXPECT_EQ(create.settings.retention_bytes, std::int64_t{1} << 30);
  const auto trim =
      verb_of<StreamsTrimOptions>({"streams", "trim", "app/1", "--before", "9", "--yes"});
  EXPECT_EQ(trim.stream, "app/1");
  EXPECT_EQ(trim.before, 9U);
  EXPECT_TRUE(trim.yes);
  EXPECT_TRUE(verb_of<StreamsDeleteOptions>({"streams", "delete", "app", "--dry-run"}).dry_run);
  EXPECT_EQ(verb_of<StreamsListOptions>({"streams", "ls", "-o", "json"}).format, ListFormat::kJson);
  EXPECT_EQ(verb_of<StreamsDescribeOptions>({"streams", "describe", "app"}).stream, "app");
  EXPECT_THAT(refusal_of({"streams"}), HasSubstr("streams --help"));
  EXPECT_THAT(refusal_of({"streams", "ls", "-o", "yaml"}), HasSubstr("table or json"));
}

TEST(CommandLine, BenchesTakeLists) {
  const auto append = verb_of<BenchAppendOptions>(
      {"bench", "append", "--size", "100,1KiB,16KiB", "--in-flight", "1,64", "--groups", "1,8",
       "--duration", "1s", "--repeat", "3", "--rate", "1000", "--no-limit", "--verify"});
  EXPECT_THAT(append.matrix.record_bytes, ElementsAre(100, 1024, 16384));
  EXPECT_THAT(append.matrix.in_flight, ElementsAre(1, 64));
  EXPECT_THAT(append.matrix.groups, ElementsAre(1, 8));
  EXPECT_EQ(append.matrix.duration, milliseconds(1000));
  EXPECT_EQ(append.matrix.repeat, 3U);
  EXPECT_EQ(append.matrix.rate, 1000.0);
  EXPECT_FALSE(append.limit);
  EXPECT_TRUE(append.verify);
  const auto limit = verb_of<BenchLimitOptions>(
      {"bench", "limit", "-d", "/x", "--replicas", "3", "--files", "8", "--fresh"});
  EXPECT_EQ(limit.directory, "/x");
  EXPECT_EQ(limit.replicas, 3U);
  EXPECT_THAT(limit.matrix.groups, ElementsAre(8));
  EXPECT_TRUE(limit.fresh);
  EXPECT_EQ(verb_of<BenchReadOptions>({"bench", "read", "--stream", "s"}).stream, "s");
  EXPECT_THAT(refusal_of({"bench", "append", "--size", "1,,2"}), HasSubstr("not a size"));
  EXPECT_THAT(refusal_of({"bench", "append", "--in-flight", "0"}), HasSubstr("out of range"));
  EXPECT_THAT(refusal_of({"bench", "append", "--stream", "s", "--groups", "8"}),
              HasSubstr("--groups"));
  EXPECT_THAT(refusal_of({"bench", "read"}), HasSubstr("--stream"));
}

TEST(CommandLine, ContextsHaveTheirVerbs) {
  EXPECT_EQ(verb_of<ContextOptions>({"context", "ls"}).action, ContextAction::kList);
  const auto add = verb_of<ContextOptions>({"context", "add", "prod", "a:1,b:2"});
  EXPECT_EQ(add.action, ContextAction::kAdd);
  EXPECT_EQ(add.name, "prod");
  EXPECT_EQ(add.endpoints, "a:1,b:2");
  EXPECT_EQ(verb_of<ContextOptions>({"context", "use", "prod"}).action, ContextAction::kUse);
  EXPECT_EQ(verb_of<ContextOptions>({"context", "show"}).action, ContextAction::kShow);
  EXPECT_EQ(verb_of<ContextOptions>({"context", "rm", "prod"}).action, ContextAction::kRemove);
}

TEST(CommandLine, WrongWordsNameTheNearestRightOne) {
  EXPECT_THAT(refusal_of({"tial", "app"}), HasSubstr("did you mean 'tail'?"));
  EXPECT_THAT(refusal_of({"streams", "craete", "app"}), HasSubstr("did you mean 'create'?"));
  EXPECT_THAT(refusal_of({"tail", "app", "--folow"}), HasSubstr("did you mean '--follow'?"));
  EXPECT_THAT(refusal_of({"tail", "app", "--endpoint=x"}),
              HasSubstr("did you mean '--endpoints'?"));
  EXPECT_THAT(refusal_of({"streams", "list"}), HasSubstr("did you mean 'ls'?"));
  EXPECT_THAT(refusal_of({"streams", "rm", "app"}), HasSubstr("did you mean 'delete'?"));
  EXPECT_THAT(refusal_of({"context", "delete", "app"}), HasSubstr("did you mean 'rm'?"));
  EXPECT_THAT(refusal_of({"xyzzy"}), Not(HasSubstr("did you mean")));
  EXPECT_THAT(refusal_of({}), HasSubstr("logctl --help"));
}

TEST(NearestWord, CountsEdits) {
  const std::vector<std::string> known = {"append", "read", "tail"};
  EXPECT_EQ(nearest_word("apend", known), "append");
  EXPECT_EQ(nearest_word("raed", known), "read");
  EXPECT_EQ(nearest_word("zzzz", known), std::nullopt);
  EXPECT_EQ(nearest_word(std::string(1000, 'a'), known), std::nullopt);
}

// Every verb has help, and help ends with how to use it.
TEST(CommandLine, EveryVerbHasHelp) {
  const std::vector<std::vector<std::string>> verbs = {{},
                                                       {"append"},
                                                       {"read"},
                                                       {"tail"},
                                                       {"streams"},
                                                       {"streams", "create"},
                                                       {"streams", "trim"},
                                                       {"streams", "delete"},
                                                       {"stat"},
                                                       {"verify"},
                                                       {"bench"},
                                                       {"bench", "append"},
                                                       {"bench", "limit"},
                                                       {"bench", "read"},
                                                       {"node", "log-level"},
                                                       {"context"},
                                                       {"completion"},
                                                       {"version"}};
  for (std::vector<std::string> words : verbs) {
    words.emplace_back("--help");
    const auto parsed = parse_command_line(words, kNow);
    ASSERT_TRUE(parsed);
    ASSERT_TRUE(std::holds_alternative<HelpText>(*parsed));
    const std::string& text = std::get<HelpText>(*parsed).text;
    EXPECT_THAT(text, HasSubstr("Usage: "));
    EXPECT_THAT(text, HasSubstr("logctl ")) << words.front();
  }
}

TEST(Completion, OffersStreamsWhereOneMayStand) {
  EXPECT_TRUE(stream_may_follow({"tail", ""}));
  EXPECT_TRUE(stream_may_follow({"-q", "streams", "describe", "a"}));
  EXPECT_FALSE(stream_may_follow({"streams", "cr"}));
  EXPECT_FALSE(stream_may_follow({"tail", "--fo"}));
  EXPECT_TRUE(stream_may_follow({"tail", "-f", ""})) << "-f takes no value";
  EXPECT_TRUE(stream_may_follow({"bench", "read", "--stream", ""}));
  for (const std::string flag : {"-n", "-o", "--cursor-file", "--timeout", "-p"}) {
    EXPECT_FALSE(stream_may_follow({"tail", flag, ""})) << flag;
  }
  EXPECT_FALSE(stream_may_follow({"ta"}));
  EXPECT_FALSE(stream_may_follow({}));
}

TEST(Completion, OffersTheValuesOfAFlag) {
  EXPECT_THAT(complete_words({"tail", "-o", "js"}), ElementsAre("json", "json-pretty"));
  EXPECT_THAT(complete_words({"append", "app", "-o", ""}), ElementsAre("json"));
  EXPECT_THAT(complete_words({"streams", "ls", "--output", ""}), ElementsAre("table", "json"));
  EXPECT_THAT(complete_words({"read", "-p", "w"}), ElementsAre("warn"));
  EXPECT_THAT(complete_words({"append", "app", "-l", "e"}), ElementsAre("error"));
  EXPECT_THAT(complete_words({"append", "app", "--compress", "z"}), ElementsAre("zstd"));
  EXPECT_THAT(complete_words({"append", "app", "-z", "l"}), ElementsAre("lz4"));
  EXPECT_THAT(complete_words({"bench", "append", "-z", "g"}), ElementsAre("gzip"));
  EXPECT_THAT(complete_words({"tail", "--color", "a"}), ElementsAre("auto", "always"));
  EXPECT_THAT(complete_words({"node", "log-level", ""}), Contains("warn"));
  EXPECT_THAT(complete_words({"completion", ""}), ElementsAre("bash", "zsh", "fish"));
  EXPECT_THAT(complete_words({"tail", "-n", ""}), ElementsAre());
  EXPECT_THAT(complete_words({"streams", "--timeout", ""}), ElementsAre());
}

// What a shell is offered must be taken.
TEST(Completion, EveryValueItOffersIsAccepted) {
  const std::vector<std::vector<std::string>> commands = {
      {"tail", "app", "-o"},
      {"tail", "app", "-p"},
      {"tail", "app", "--from"},
      {"append", "app", "-o"},
      {"append", "app", "-l"},
      {"append", "app", "-z"},
      {"streams", "create", "app", "--retention"},
      {"streams", "ls", "-o"},
      {"bench", "append", "-z"},
      {"stat", "--color"}};
  for (std::vector<std::string> words : commands) {
    words.emplace_back();
    const auto offered = complete_words(words);
    EXPECT_FALSE(offered.empty()) << words[words.size() - 2];
    for (const std::string& value : offered) {
      words.back() = value;
      EXPECT_TRUE(parse_command_line(words, kNow)) << value;
    }
  }
}

TEST(Completion, OffersVerbsOrFlags) {
  EXPECT_THAT(complete_words({""}), IsSupersetOf({"append", "tail", "streams", "bench"}));
  EXPECT_THAT(complete_words({"st"}), IsSupersetOf({"streams", "stat"}));
  EXPECT_THAT(complete_words({"streams", ""}), IsSupersetOf({"create", "ls", "delete"}));
  EXPECT_THAT(complete_words({"tail", "--fo"}), IsSupersetOf({"--follow", "--format"}));
  EXPECT_THAT(complete_words({"tail", "--end"}), Contains("--endpoints"));
  EXPECT_THAT(complete_words({"-e", "a:1", "-q", "streams", "cr"}), ElementsAre("create"));
  EXPECT_THAT(complete_words({"tail", ""}), ElementsAre());
  EXPECT_TRUE(std::holds_alternative<CompleteOptions>(
      std::get<CommandLine>(*parse_command_line({"__complete", "--", "tail", ""}, kNow)).verb));
}

}  // namespace
}  // namespace lignum::cli
