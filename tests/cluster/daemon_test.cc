// logd as a process: what it refuses, what it says, how it stops.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "tests/cluster/node.h"
#include "tests/cluster/process.h"

namespace lignum::cluster {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

constexpr int kUsage = 2;
constexpr int kUnservable = 5;
constexpr int kLocalTrouble = 7;

// logd in a directory of its own, so that nothing it makes by default stays behind.
RunResult logd(std::vector<std::string> arguments, std::vector<std::string> environment = {}) {
  const TemporaryDirectory here;
  arguments.insert(arguments.begin(), "logd");
  return run({.command = std::move(arguments),
              .environment = std::move(environment),
              .directory = here.path()});
}

TEST(Daemon, TellsItsVersion) {
  const auto result = logd({"--version"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.out, StartsWith("logd 0."));
}

TEST(Daemon, HelpNamesFlagsVariablesAndExitCodes) {
  const auto result = logd({"--help"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.out, HasSubstr("--listen"));
  EXPECT_THAT(result.out, HasSubstr("LOGD_LISTEN"));
  EXPECT_THAT(result.out, HasSubstr("Exit codes"));
}

TEST(Daemon, RefusesAnUnknownFlagAndNamesTheNearest) {
  const auto result = logd({"--lisen", "127.0.0.1:0"});
  EXPECT_EQ(result.exit_code, kUsage);
  EXPECT_THAT(result.err, HasSubstr("'--listen'"));
}

TEST(Daemon, RefusesAnUnknownKeyOfItsFileAndNamesTheNearest) {
  const TemporaryDirectory here;
  write_file(here.path() / "logd.toml", "lisen = \"127.0.0.1:0\"\n");
  const auto result = logd({"check-config", "--config", (here.path() / "logd.toml").string()});
  EXPECT_EQ(result.exit_code, kUsage);
  EXPECT_THAT(result.err, HasSubstr("logd.toml"));
  EXPECT_THAT(result.err, HasSubstr("'listen'"));
}

TEST(Daemon, RefusesAWrongValueOfAVariable) {
  const auto result = logd({"--print-config"}, {"LOGD_LOG_LEVEL=loud"});
  EXPECT_EQ(result.exit_code, kUsage);
  EXPECT_THAT(result.err, HasSubstr("LOGD_LOG_LEVEL"));
  EXPECT_THAT(result.err, HasSubstr("loud"));
}

TEST(Daemon, PrintsTheSettingsInEffectAndWhoSetThem) {
  const auto result = logd({"--print-config", "--groups", "3"}, {"LOGD_LOG_LEVEL=debug"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("groups = 3"));
  EXPECT_THAT(result.out, HasSubstr("--groups"));
  EXPECT_THAT(result.out, HasSubstr("level = \"debug\""));
  EXPECT_THAT(result.out, HasSubstr("LOGD_LOG_LEVEL"));
  // The output is a configuration file.
  const TemporaryDirectory here;
  write_file(here.path() / "logd.toml", result.out);
  EXPECT_EQ(logd({"check-config", "--config", (here.path() / "logd.toml").string()}).exit_code, 0);
}

TEST(Daemon, RefusesToServeTheWorldUnlessTold) {
  const auto result = logd({"--listen", "0.0.0.0:0"});
  EXPECT_EQ(result.exit_code, kUsage);
  EXPECT_THAT(result.err, HasSubstr("--insecure"));
}

TEST(Daemon, SaysWhichAddressIsTaken) {
  Node node;
  ASSERT_TRUE(node.start()) << node.errors();
  const auto result = logd({"--listen", node.endpoint()});
  EXPECT_EQ(result.exit_code, kUnservable);
  EXPECT_THAT(result.err, HasSubstr(node.endpoint()));
}

TEST(Daemon, RefusesADataDirectoryThatIsInUse) {
  Node node;
  ASSERT_TRUE(node.start()) << node.errors();
  const auto result = logd({"--listen", "127.0.0.1:0", "--data", node.data().string()});
  EXPECT_EQ(result.exit_code, kLocalTrouble);
  EXPECT_THAT(result.err, HasSubstr(node.data().string()));
  // The first one did not notice.
  EXPECT_EQ(node.logctl({"streams", "ls"}).exit_code, 0);
}

TEST(Daemon, SaysThatADataDirectoryCannotBeUsed) {
  const TemporaryDirectory here;
  write_file(here.path() / "file", "not a directory");
  const auto result = logd({"--listen", "127.0.0.1:0", "--data", (here.path() / "file").string()});
  EXPECT_EQ(result.exit_code, kLocalTrouble);
  EXPECT_THAT(result.err, HasSubstr((here.path() / "file").string()));
}

TEST(Daemon, StopsInTimeOnSigtermAlsoUnderAFollowingReader) {
  Node node;
  ASSERT_TRUE(node.start()) << node.errors();
  ASSERT_EQ(node.logctl({"streams", "create", "app"}).exit_code, 0);
  ASSERT_EQ(node.logctl({"append", "app"}, "one\ntwo\n").exit_code, 0);
  Process reader({.command = {"logctl", "--endpoints", node.endpoint(), "tail", "-f", "-n", "10",
                              "-o", "cat", "app"}});
  ASSERT_TRUE(reader.read_until("two\n"));
  const auto begun = std::chrono::steady_clock::now();
  const auto ending = node.terminate(std::chrono::seconds(10));
  const auto took = std::chrono::steady_clock::now() - begun;
  ASSERT_TRUE(ending.has_value());
  EXPECT_EQ(ending->exit_code, 0) << node.errors();
  EXPECT_LT(took, std::chrono::seconds(5));
  // What was acked before is there afterwards.
  ASSERT_TRUE(node.start()) << node.errors();
  EXPECT_THAT(node.logctl({"read", "-o", "cat", "app"}).out, HasSubstr("one\n"));
}

TEST(Daemon, LogsInTheFormatItIsTold) {
  Node node({.flags = {"--log-format", "json"}});
  ASSERT_TRUE(node.start()) << node.errors();
  ASSERT_TRUE(node.terminate().has_value());
  const std::string log = node.errors();
  ASSERT_FALSE(log.empty());
  EXPECT_THAT(log, StartsWith("{"));
  EXPECT_THAT(log, HasSubstr("}\n"));
}

TEST(Daemon, AFirstStartNeedsNothing) {
  const TemporaryDirectory here;
  Node node({.data = here.path() / "not" / "there" / "yet"});
  ASSERT_TRUE(node.start()) << node.errors();
  EXPECT_TRUE(std::filesystem::is_directory(node.data()));
}

TEST(Daemon, AFileIsNoDataDirectory) {
  const TemporaryDirectory here;
  const std::string file = (here.path() / "afile").string();
  write_file(file, "something");
  for (const std::string& data : {file, file + "/below"}) {
    const auto result = logd({"--listen", "127.0.0.1:0", "--data", data});
    EXPECT_EQ(result.exit_code, kLocalTrouble);
    EXPECT_THAT(result.err, HasSubstr(data + ": a file is in the way"));
    EXPECT_THAT(result.err, HasSubstr("Name a directory with --data"));
  }
  EXPECT_EQ(read_file(file), "something");
}

// Runs under a shell that lowers the limits first.
std::vector<std::string> with_file_limit(const std::string& limits) {
  return {"/bin/sh", "-c", limits + R"( && exec "$0" "$@")"};
}

TEST(Daemon, RaisesItsFileLimitAndSaysHowManyItMayOpen) {
  Node node({.under = with_file_limit("ulimit -Sn 200 && ulimit -Hn 600")});
  ASSERT_TRUE(node.start()) << node.errors();
  EXPECT_THAT(node.errors(), HasSubstr("600 files may be open"));
  EXPECT_THAT(node.errors(), HasSubstr("LimitNOFILE="));
  EXPECT_EQ(node.logctl({"streams", "create", "app"}).exit_code, 0);
}

TEST(Daemon, TooFewFilesAreNoDamage) {
  Node node;
  ASSERT_TRUE(node.start()) << node.errors();
  ASSERT_TRUE(node.terminate().has_value());
  int refused = 0;
  // Wherever in the start it is that they do not do.
  for (int limit = 12; limit <= 72; limit += 4) {
    SCOPED_TRACE(limit);
    Node poor(
        {.data = node.data(), .under = with_file_limit("ulimit -n " + std::to_string(limit))});
    if (poor.start()) {
      EXPECT_THAT(poor.errors(), testing::Not(HasSubstr("halted:")));
      continue;
    }
    ++refused;
    const auto ending = poor.process().wait();
    ASSERT_TRUE(ending.has_value());
    EXPECT_EQ(ending->exit_code, kLocalTrouble) << poor.errors();
    EXPECT_THAT(poor.errors(),
                testing::AllOf(HasSubstr("oo many open files"), HasSubstr("LimitNOFILE="),
                               testing::Not(HasSubstr("damage"))));
  }
  EXPECT_GT(refused, 3);
  ASSERT_TRUE(node.start()) << node.errors();
  EXPECT_THAT(node.errors(), HasSubstr("(0 halted)"));
}

}  // namespace
}  // namespace lignum::cluster
