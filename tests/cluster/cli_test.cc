// logctl against a real logd: what a person at a shell relies on.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/cluster/node.h"
#include "tests/cluster/process.h"

namespace lignum::cluster {
namespace {

using testing::AnyOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

constexpr int kFailed = 1;
constexpr int kUsage = 2;
constexpr int kNotFound = 3;
constexpr int kUnavailable = 5;
constexpr int kConflict = 6;
constexpr int kLocalTrouble = 7;

class Cli : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(node_.start()) << node_.errors();
    ASSERT_EQ(logctl({"streams", "create", "app", "--shards", "1"}).exit_code, 0);
  }

  [[nodiscard]] RunResult logctl(std::vector<std::string> arguments,
                                 std::string_view input = {}) const {
    return node_.logctl(std::move(arguments), input);
  }
  // What a command prints; it must succeed.
  std::string output(std::vector<std::string> arguments, std::string_view input = {}) const {
    const auto result = logctl(std::move(arguments), input);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return result.out;
  }

  [[nodiscard]] std::string logctl_command() const {
    return std::string(LIGNUM_BIN_DIR) + "/logctl --endpoints " + node_.endpoint();
  }
  static RunResult shell(std::string script) {
    return run({.command = {"/bin/sh", "-c", std::move(script)}});
  }

  Node node_;
  TemporaryDirectory here_;
};

std::string numbered_lines(int count) {
  std::string text;
  for (int i = 0; i < count; ++i) {
    text += fmt::format("line {} of a log\n", i);
  }
  return text;
}

TEST_F(Cli, LinesComeBackInOrder) {
  const std::string lines = numbered_lines(5000);
  const auto appended = logctl({"append", "app"}, lines);
  EXPECT_EQ(appended.exit_code, 0);
  EXPECT_THAT(appended.out, IsEmpty()) << "stdout is for data";
  EXPECT_THAT(appended.err, HasSubstr("5000 records"));
  EXPECT_EQ(output({"read", "app", "-o", "cat"}), lines);
}

TEST_F(Cli, LinesOfManyShardsComeBackInTheOrderTheyWereAcknowledged) {
  output({"streams", "create", "wide", "--shards", "4"});
  std::string expected;
  for (int i = 0; i < 12; ++i) {
    const std::string line = fmt::format("event {}\n", i);
    output({"append", "wide", "-k", fmt::format("key {}", i)}, line);
    expected += line;
  }
  EXPECT_EQ(output({"read", "wide", "-o", "cat"}), expected);
  // The same on every run.
  EXPECT_EQ(output({"read", "wide", "-o", "cat"}), expected);
}

TEST_F(Cli, FilesAreReadAndLastLinesNeedNoNewline) {
  write_file(here_.path() / "one", "from a file");
  write_file(here_.path() / "two", "from another\nand more");
  output({"append", "app", (here_.path() / "one").string(), (here_.path() / "two").string()});
  EXPECT_EQ(output({"read", "app", "-o", "cat"}), "from a file\nfrom another\nand more\n");
  const auto missing = logctl({"append", "app", (here_.path() / "three").string()});
  EXPECT_EQ(missing.exit_code, kLocalTrouble);
  EXPECT_THAT(missing.err, HasSubstr("three"));
}

TEST_F(Cli, ItemsMayEndWithNul) {
  using std::string_literals::operator""s;
  output({"append", "app", "--null"}, "two\nlines\0another\0"s);
  EXPECT_THAT(output({"read", "app", "-o", "json"}), HasSubstr("two\\nlines"));
}

TEST_F(Cli, LevelsAreFiltered) {
  output({"append", "app", "-l", "debug"}, "quiet\n");
  output({"append", "app", "-l", "info"}, "plain\n");
  output({"append", "app", "-l", "warn"}, "loud\n");
  output({"append", "app", "-l", "error"}, "louder\n");
  EXPECT_EQ(output({"read", "app", "-p", "warn", "-o", "cat"}), "loud\nlouder\n");
  EXPECT_EQ(output({"read", "app", "-p", "4", "-o", "cat"}), "loud\nlouder\n");
  EXPECT_EQ(output({"read", "app", "-p", "debug..info", "-o", "cat"}), "quiet\nplain\n");
  const auto wrong = logctl({"read", "app", "-p", "shouting"});
  EXPECT_EQ(wrong.exit_code, kUsage);
  EXPECT_THAT(wrong.err, HasSubstr("shouting"));
}

TEST_F(Cli, AWordThatLooksLikeALevelIsNone) {
  output({"append", "app"}, "ERROR: just a word\n");
  EXPECT_EQ(output({"read", "app", "-p", "trace", "-o", "cat"}), "");
}

TEST_F(Cli, JsonMembersBecomeLevelTimeAndFields) {
  output({"append", "app", "--json"},
         R"({"message":"disk is hot","level":"warn","time":"2026-01-02T03:04:05Z","host":"web1"})"
         "\n"
         R"({"message":"all is well","level":"info","host":"web2"})"
         "\n");
  EXPECT_EQ(output({"read", "app", "-p", "warn", "-o", "cat"}), "disk is hot\n");
  EXPECT_EQ(output({"read", "app", "host=web2", "-o", "cat"}), "all is well\n");
  const std::string json = output({"read", "app", "host=web1", "-o", "json"});
  EXPECT_THAT(json, HasSubstr("2026-01-02T03:04:05"));
  EXPECT_THAT(json, HasSubstr("web1"));
  const auto broken = logctl({"append", "app", "--json"}, "{\"message\":\n");
  EXPECT_NE(broken.exit_code, 0);
  EXPECT_THAT(broken.err, HasSubstr("line 1"));
}

TEST_F(Cli, SyslogPrioritiesAreTakenWhenAsked) {
  output({"append", "app", "--syslog"}, "<11>user error\n<14>user info\n");
  EXPECT_THAT(output({"read", "app", "-p", "error", "-o", "cat"}), HasSubstr("user error"));
  EXPECT_THAT(output({"read", "app", "-p", "error", "-o", "cat"}), Not(HasSubstr("user info")));
}

TEST_F(Cli, PatternsSelectMessages) {
  output({"append", "app"}, "timeout of web1\nall fine\ntimeout of web2\n");
  EXPECT_EQ(output({"read", "app", "-g", "timeout.*2", "-o", "cat"}), "timeout of web2\n");
  EXPECT_EQ(output({"read", "app", "-v", "timeout", "-o", "cat"}), "all fine\n");
  const auto wrong = logctl({"read", "app", "-g", "("});
  EXPECT_EQ(wrong.exit_code, kUsage);
}

TEST_F(Cli, TailShowsTheLastOfWhatLiesBetween) {
  output({"streams", "create", "one", "--shards", "1"});
  output({"append", "one"}, numbered_lines(30));
  EXPECT_EQ(output({"tail", "one", "-S", "1h", "-n", "2", "-o", "cat"}),
            "line 28 of a log\nline 29 of a log\n");
  EXPECT_EQ(output({"tail", "one/0", "--from", "29", "-n", "2", "-o", "cat"}),
            "line 29 of a log\n");
  EXPECT_EQ(output({"tail", "one", "--until", "now", "-n", "2", "-o", "cat"}),
            "line 28 of a log\nline 29 of a log\n");
  EXPECT_EQ(output({"tail", "one/0", "--from", "27", "-o", "cat"}),
            "line 27 of a log\nline 28 of a log\nline 29 of a log\n");
  // And follows, without what was there.
  Process tail({.command = {"logctl", "--endpoints", node_.endpoint(), "tail", "-f", "-S", "1h",
                            "-n", "1", "-o", "cat", "one"}});
  ASSERT_TRUE(tail.read_until("line 29"));
  output({"append", "one"}, "a new one\n");
  ASSERT_TRUE(tail.read_until("a new one\n"));
  EXPECT_EQ(tail.output(), "line 29 of a log\na new one\n");
  tail.send_signal(SIGINT);
  ASSERT_TRUE(tail.wait().has_value());
}

TEST_F(Cli, TailShowsTheLastAndFollows) {
  output({"append", "app"}, numbered_lines(30));
  const std::string last = output({"tail", "app", "-n", "2", "-o", "cat"});
  EXPECT_EQ(last, "line 28 of a log\nline 29 of a log\n");
  Process tail({.command = {"logctl", "--endpoints", node_.endpoint(), "tail", "-f", "-n", "1",
                            "-o", "cat", "app"}});
  ASSERT_TRUE(tail.read_until("line 29"));
  output({"append", "app"}, "a new one\n");
  ASSERT_TRUE(tail.read_until("a new one\n"));
  EXPECT_EQ(tail.output(), "line 29 of a log\na new one\n");
  tail.send_signal(SIGINT);
  const auto ending = tail.wait();
  ASSERT_TRUE(ending.has_value());
  EXPECT_THAT(ending->exit_code, AnyOf(0, 130));
}

TEST_F(Cli, AFollowingTailOutlivesAKilledServer) {
  Process tail({.command = {"logctl", "--endpoints", node_.endpoint(), "tail", "-f", "-n", "all",
                            "-o", "cat", "app"},
                .errors = here_.path() / "errors"});
  output({"append", "app"}, "before\n");
  ASSERT_TRUE(tail.read_until("before\n"));
  node_.kill();
  ASSERT_TRUE(node_.start()) << node_.errors();
  output({"append", "app"}, "after\n");
  ASSERT_TRUE(tail.read_until("after\n")) << read_file(here_.path() / "errors");
  EXPECT_EQ(tail.output(), "before\nafter\n");
}

TEST_F(Cli, ACursorFileGoesOnWhereItStopped) {
  const std::string cursor = (here_.path() / "cursor").string();
  output({"append", "app"}, "one\ntwo\n");
  EXPECT_EQ(output({"tail", "app", "-n", "all", "-o", "cat", "--cursor-file", cursor}),
            "one\ntwo\n");
  EXPECT_EQ(output({"tail", "app", "-n", "all", "-o", "cat", "--cursor-file", cursor}), "");
  output({"append", "app"}, "three\n");
  EXPECT_EQ(output({"tail", "app", "-n", "all", "-o", "cat", "--cursor-file", cursor}), "three\n");
}

TEST_F(Cli, OneKeyStaysInOneShard) {
  output({"streams", "create", "keyed", "--shards", "8"});
  output({"append", "keyed", "-k", "customer 7"}, numbered_lines(20));
  const std::string shards = output({"read", "keyed", "--format", "%p\n"});
  EXPECT_EQ(std::string(shards).substr(0, 2), shards.substr(shards.size() - 2));
}

TEST_F(Cli, AnExpectedOffsetGuardsTheAppend) {
  output({"append", "app/0", "--expect-offset", "0"}, "first\n");
  const auto stale = logctl({"append", "app/0", "--expect-offset", "0"}, "again\n");
  EXPECT_EQ(stale.exit_code, kConflict);
  output({"append", "app/0", "--expect-offset", "1"}, "second\n");
  EXPECT_EQ(output({"read", "app", "-o", "cat"}), "first\nsecond\n");
}

TEST_F(Cli, AcksAreDataWhenAskedFor) {
  const std::string acks = output({"append", "app", "-o", "json"}, "one\ntwo\n");
  EXPECT_THAT(acks, HasSubstr("\"offset\":0"));
  EXPECT_THAT(acks, HasSubstr("\"offset\":1"));
}

TEST_F(Cli, StreamsAreMadeListedDescribedAndDeleted) {
  output({"streams", "create", "orders", "--shards", "3", "--retention", "1h"});
  output({"streams", "create", "orders", "--shards", "3", "--retention", "1h"});
  EXPECT_EQ(logctl({"streams", "create", "orders", "--shards", "5"}).exit_code, kConflict);
  EXPECT_THAT(output({"streams", "ls"}), HasSubstr("orders"));
  EXPECT_THAT(output({"streams", "describe", "orders", "-o", "json"}), HasSubstr("\"shards\""));
  output({"streams", "delete", "orders", "--yes"});
  EXPECT_EQ(logctl({"streams", "describe", "orders"}).exit_code, kNotFound);
  EXPECT_THAT(output({"streams", "ls"}), Not(HasSubstr("orders")));
}

TEST_F(Cli, DeletingAsksFirst) {
  const auto refused = logctl({"streams", "delete", "app"}, "");
  EXPECT_NE(refused.exit_code, 0);
  EXPECT_EQ(logctl({"streams", "describe", "app"}).exit_code, 0);
}

TEST_F(Cli, TrimmedRecordsAreAGapAndNotPassedOverInSilence) {
  output({"append", "app"}, "one\ntwo\nthree\n");
  output({"streams", "trim", "app/0", "--before", "2", "--yes"});
  const auto stopped = logctl({"read", "app/0", "--from", "0", "-o", "cat"});
  EXPECT_NE(stopped.exit_code, 0);
  EXPECT_THAT(stopped.out, IsEmpty());
  EXPECT_THAT(stopped.err, HasSubstr("app/0: offsets 0 to 1 are gone (trimmed)"));
  EXPECT_THAT(stopped.err, HasSubstr("--skip-gaps"));
  EXPECT_EQ(output({"read", "app/0", "--from", "0", "--skip-gaps", "-o", "cat"}), "three\n");
  EXPECT_EQ(output({"read", "app", "-o", "cat"}), "three\n");
}

TEST_F(Cli, ATrimDeletesWhatItSaysAndNothingAboveTheEnd) {
  output({"append", "app"}, "one\ntwo\nthree\n");
  const auto dry = logctl({"streams", "trim", "app/0", "--before", "2", "--dry-run"});
  EXPECT_THAT(dry.err, HasSubstr("deletes 2 records (offsets 0 to 1)"));
  const auto above = logctl({"streams", "trim", "app/0", "--before", "1000", "--yes"});
  EXPECT_EQ(above.exit_code, kConflict);
  EXPECT_THAT(above.err, HasSubstr("offset 1000 lies above the end of app/0, 3"));
  const auto beyond =
      logctl({"streams", "trim", "app/0", "--before", "99999999999999999999", "--yes"});
  EXPECT_EQ(beyond.exit_code, kUsage);
  EXPECT_THAT(beyond.err, HasSubstr("--before"));
  EXPECT_EQ(output({"read", "app", "-o", "cat"}), "one\ntwo\nthree\n");
  output({"streams", "trim", "app/0", "--before", "2", "--yes"});
  EXPECT_THAT(logctl({"streams", "trim", "app/0", "--before", "1", "--yes"}).err,
              HasSubstr("nothing to trim: app/0 begins at offset 2"));
  EXPECT_EQ(output({"read", "app", "-o", "cat"}), "three\n");
  const auto missing = logctl({"streams", "trim", "app/7", "--before", "1", "--yes"});
  EXPECT_EQ(missing.exit_code, kNotFound);
  EXPECT_THAT(missing.err, HasSubstr("stream app has no shard 7"));
}

TEST_F(Cli, RecordsOverTheLimitAreNamedAndRefused) {
  const auto result = logctl({"append", "app"}, "fine\n" + std::string(2 << 20, 'x') + "\n");
  EXPECT_NE(result.exit_code, 0);
  EXPECT_THAT(result.err, HasSubstr("line 2"));
  EXPECT_EQ(output({"read", "app", "-o", "cat"}), "fine\n");
}

TEST_F(Cli, AnAppendGoesOnBehindALineThatWasBad) {
  const auto bad = here_.path() / "bad";
  write_file(bad, "{\"message\":\"one\"}\n{\"message\":\"two\",\"message\":\"2\"}\n");
  const auto stopped = logctl({"append", "app", "--json", bad.string()});
  EXPECT_EQ(stopped.exit_code, kUsage);
  EXPECT_THAT(stopped.err, HasSubstr("line 2: "));
  EXPECT_THAT(stopped.err, HasSubstr("'message'"));
  const std::string rest = "tail -n +2 '" + bad.string() + "'";
  EXPECT_THAT(stopped.err, HasSubstr(rest + " | logctl append app"));
  EXPECT_EQ(output({"read", "app", "-o", "cat"}), "one\n");
  // What it says can be done.
  write_file(bad, "{\"message\":\"one\"}\n{\"message\":\"two\"}\n{\"message\":\"three\"}\n");
  const auto going_on = shell(rest + " | " + logctl_command() + " append app --json");
  EXPECT_EQ(going_on.exit_code, 0) << going_on.err;
  EXPECT_EQ(output({"read", "app", "-o", "cat"}), "one\ntwo\nthree\n");
}

// A command that reads standard input again would wait for what is gone.
TEST_F(Cli, AnAppendOfStandardInputSaysFromWhereOn) {
  const auto stopped = logctl({"append", "app", "--json"}, "{\"message\":\"one\"}\n{\n");
  EXPECT_EQ(stopped.exit_code, kUsage);
  EXPECT_THAT(stopped.err, HasSubstr("append your input again from line 2 on"));
  EXPECT_THAT(stopped.err, Not(HasSubstr("tail")));
}

TEST_F(Cli, AnOffsetAboveTheEndSaysWhatWaits) {
  output({"append", "app"}, "one\n");
  const auto above = logctl({"read", "app/0", "--from", "99"});
  EXPECT_EQ(above.exit_code, kConflict);
  EXPECT_THAT(above.err, HasSubstr("lies above its end, 1; 'logctl tail -f'"));
}

TEST_F(Cli, WhatCannotBeWrittenIsAnError) {
  output({"append", "app"}, "one\n");
  for (const std::string verb :
       {"--help", "--version", "read --help", "version", "version -o json", "completion bash",
        "read app", "tail app -o json", "stat", "stat -o json", "streams ls", "streams ls -o json",
        "streams describe app", "context show", "bench read --stream app --repeat 1",
        "append app --tee", "append app -o json"}) {
    const auto full = shell("echo x | " + logctl_command() + " " + verb + " >/dev/full");
    EXPECT_EQ(full.exit_code, kLocalTrouble) << verb;
    EXPECT_THAT(full.err, HasSubstr("cannot write to standard output: No space left")) << verb;
    const auto closed = shell("echo x | " + logctl_command() + " " + verb + " >&-");
    EXPECT_EQ(closed.exit_code, kLocalTrouble) << verb;
  }
}

// Its exit code 0 says that everything is on disk, so it cannot be the answer to a closed pipe.
TEST_F(Cli, AnAppendWhoseReaderGoesAwayIsNoSuccess) {
  const auto result = shell("{ yes | head -n 200000 | " + logctl_command() +
                            " append app --tee; echo $? >&2; } | head -n 1");
  EXPECT_THAT(result.err, HasSubstr("Broken pipe"));
  EXPECT_THAT(result.err, HasSubstr("7\n"));
}

TEST_F(Cli, AFlagBeatsTheEnvironment) {
  const auto config = here_.path() / "config.toml";
  write_file(config, "[contexts.here]\nendpoints = [\"" + node_.endpoint() + "\"]\n");
  const std::string set = "LOGCTL_CONFIG='" + config.string() + "' ";
  const std::string program = std::string(LIGNUM_BIN_DIR) + "/logctl ";
  const auto by_flag =
      shell(set + "LOGCTL_ENDPOINTS=127.0.0.1:1 " + program + "--context here stat");
  EXPECT_EQ(by_flag.exit_code, 0) << by_flag.err;
  const auto by_endpoints = shell(set + "LOGCTL_CONTEXT=nope " + program + "-e " +
                                  node_.endpoint() + " --context nope stat");
  EXPECT_EQ(by_endpoints.exit_code, 0) << by_endpoints.err;
  const auto by_variable = shell(set + "LOGCTL_ENDPOINTS=127.0.0.1:1 LOGCTL_CONTEXT=here " +
                                 program + "--timeout 1s stat");
  EXPECT_EQ(by_variable.exit_code, kUnavailable);
  const auto wrong = shell(set + "LOGCTL_ENDPOINTS=foo:bar " + program + "stat");
  EXPECT_EQ(wrong.exit_code, kUsage);
  EXPECT_THAT(wrong.err, HasSubstr("LOGCTL_ENDPOINTS: 'foo:bar'"));
}

TEST_F(Cli, DamagedCursorsHaveOneExitCode) {
  output({"append", "app"}, "one\n");
  const auto cursor = here_.path() / "cursor";
  for (const std::string_view text :
       {"", "v1:1:0=1", "v2:1:0=1\n", "v1:1:0\n", "\x01\x02\n", "x\ny\n"}) {
    write_file(cursor, text);
    const auto damaged = logctl({"read", "app", "--cursor-file", cursor.string()});
    EXPECT_EQ(damaged.exit_code, kLocalTrouble) << text;
    EXPECT_THAT(damaged.err, HasSubstr("cursor file '" + cursor.string() + "' is damaged: "));
    EXPECT_THAT(damaged.out, IsEmpty());
    EXPECT_EQ(read_file(cursor), text) << "evidence stays";
  }
  const auto nowhere = logctl({"tail", "-f", "app", "--cursor-file", "/nowhere/cursor"});
  EXPECT_EQ(nowhere.exit_code, kLocalTrouble);
  EXPECT_THAT(nowhere.err, HasSubstr("'/nowhere/cursor'"));
  EXPECT_THAT(nowhere.out, IsEmpty());
}

TEST_F(Cli, NoStreamHasADashInFront) {
  for (const char* const name : {"-x", "--yes"}) {
    const auto refused = logctl({"streams", "create", "--", name});
    EXPECT_EQ(refused.exit_code, kUsage) << name;
    EXPECT_THAT(refused.err, HasSubstr("begin with '-'")) << name;
  }
  EXPECT_EQ(logctl({"append", "--create", "--", "-x"}, "x\n").exit_code, kUsage);
  EXPECT_EQ(output({"append", "--", "app"}, "x\n"), "");
  EXPECT_EQ(output({"read", "-o", "cat", "--", "app"}), "x\n");
  EXPECT_EQ(logctl({"read", "--", "-x"}).exit_code, kNotFound);
}

// A node that hangs in the middle of a read: the read ends, and says so.
TEST_F(Cli, AReadEndsWhereTheNodeFallsSilent) {
  // More than a tail fetches ahead and a pipe holds.
  std::string lines;
  for (int i = 0; i < 48; ++i) lines += std::string(1'000'000, 'x') + "\n";
  output({"append", "app"}, lines);
  Process read({.command = {"logctl", "--endpoints", node_.endpoint(), "--timeout", "1s", "read",
                            "-o", "cat", "app"},
                .errors = here_.path() / "errors"});
  ASSERT_TRUE(read.read_until("xxxx"));
  node_.process().send_signal(SIGSTOP);
  read.exchange("");
  const auto ending = read.wait();
  node_.process().send_signal(SIGCONT);
  ASSERT_TRUE(ending.has_value());
  EXPECT_EQ(ending->exit_code, kUnavailable);
  EXPECT_LT(read.output().size(), lines.size());
  EXPECT_THAT(read_file(here_.path() / "errors"),
              HasSubstr("nothing arrived of app/0 for 1000 ms"));
}

TEST_F(Cli, ErrorsHaveExitCodesAndSayWhatToDo) {
  const auto unknown = logctl({"append", "nothing"}, "x\n");
  EXPECT_EQ(unknown.exit_code, kNotFound);
  EXPECT_THAT(unknown.err, HasSubstr("streams create nothing"));
  EXPECT_EQ(logctl({"read", "nothing"}).exit_code, kNotFound);
  EXPECT_EQ(logctl({"fly"}).exit_code, kUsage);
  EXPECT_EQ(logctl({"read", "app", "--fly"}).exit_code, kUsage);
  EXPECT_EQ(logctl({"streams", "create", "../app"}).exit_code, kUsage);
  EXPECT_THAT(logctl({"streams", "create", std::string(250, 'x')}).exit_code,
              AnyOf(kFailed, kUsage));
  node_.kill();
  const auto gone = logctl({"--timeout", "1s", "streams", "ls"});
  EXPECT_EQ(gone.exit_code, kUnavailable);
  EXPECT_THAT(gone.err, HasSubstr("(" + node_.endpoint() + ": Connection refused)"));
}

TEST_F(Cli, AReaderThatGoesAwayIsNoError) {
  output({"append", "app"}, numbered_lines(50'000));
  const auto result = shell(logctl_command() + " read app -o cat | head -n 1");
  EXPECT_EQ(result.out, "line 0 of a log\n");
  EXPECT_THAT(result.err, IsEmpty());
}

TEST_F(Cli, StatTellsOfTheNodeAndItsGroups) {
  const std::string json = output({"stat", "-o", "json"});
  EXPECT_THAT(json, StartsWith("{"));
  EXPECT_THAT(json, HasSubstr("\"groups\""));
  EXPECT_THAT(output({"stat"}), HasSubstr(node_.data().string()));
}

TEST_F(Cli, ARestartChangesNothing) {
  const std::string lines = numbered_lines(1000);
  output({"append", "app"}, lines);
  ASSERT_TRUE(node_.terminate().has_value());
  ASSERT_TRUE(node_.start()) << node_.errors();
  EXPECT_EQ(output({"read", "app", "-o", "cat"}), lines);
  EXPECT_THAT(output({"streams", "ls"}), HasSubstr("app"));
}

TEST_F(Cli, CompletionAndVersionNeedNoServer) {
  node_.kill();
  for (const std::string shell : {"bash", "zsh", "fish"}) {
    EXPECT_THAT(output({"completion", shell}), HasSubstr("logctl"));
  }
  EXPECT_THAT(logctl({"version"}).out, HasSubstr("logctl 0."));
}

}  // namespace
}  // namespace lignum::cluster
