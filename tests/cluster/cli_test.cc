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
  EXPECT_THAT(stopped.err, HasSubstr("offsets 0 to 1"));
  EXPECT_THAT(stopped.err, HasSubstr("--skip-gaps"));
  EXPECT_EQ(output({"read", "app/0", "--from", "0", "--skip-gaps", "-o", "cat"}), "three\n");
  EXPECT_EQ(output({"read", "app", "-o", "cat"}), "three\n");
}

TEST_F(Cli, RecordsOverTheLimitAreNamedAndRefused) {
  const auto result = logctl({"append", "app"}, "fine\n" + std::string(2 << 20, 'x') + "\n");
  EXPECT_NE(result.exit_code, 0);
  EXPECT_THAT(result.err, HasSubstr("line 2"));
  EXPECT_EQ(output({"read", "app", "-o", "cat"}), "fine\n");
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
  EXPECT_THAT(gone.err, HasSubstr(node_.endpoint()));
}

TEST_F(Cli, AReaderThatGoesAwayIsNoError) {
  output({"append", "app"}, numbered_lines(50'000));
  const auto result = run({.command = {"/bin/sh", "-c",
                                       std::string(LIGNUM_BIN_DIR) + "/logctl --endpoints " +
                                           node_.endpoint() + " read app -o cat | head -n 1"}});
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
