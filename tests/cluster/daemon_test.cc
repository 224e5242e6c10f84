// logd as a process: what it refuses, what it says, how it stops.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "raft/check.h"
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
  EXPECT_THAT(result.err, HasSubstr("or choose another with --listen"));
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

// A stop within the promised five seconds, and what a busy machine adds.
constexpr std::chrono::seconds kStopPatience{6};

// Runs under a shell that leads stderr elsewhere first.
std::vector<std::string> with_stderr(const std::string& target) {
  return {"/bin/sh", "-c", R"(exec "$0" "$@" 2>)" + target};
}

// A pipe with a name that is full, and that nobody reads.
Handle full_pipe(const std::string& path) {
  EXPECT_EQ(::mkfifo(path.c_str(), 0600), 0);
  Handle ends(::open(path.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC));
  const std::string page(4096, 'x');
  while (::write(ends.get(), page.data(), page.size()) > 0) {
  }
  return ends;
}

TEST(Daemon, ServesAndStopsWhileNobodyReadsItsLog) {
  const TemporaryDirectory here;
  const std::string pipe = (here.path() / "log").string();
  const Handle unread = full_pipe(pipe);
  Node node({.flags = {"--log-level", "debug"}, .under = with_stderr(pipe)});
  ASSERT_TRUE(node.start());
  EXPECT_EQ(node.logctl({"streams", "create", "app"}).exit_code, 0);
  EXPECT_EQ(node.logctl({"append", "app"}, "one\ntwo\n").exit_code, 0);
  EXPECT_EQ(node.logctl({"node", "log-level", "info"}).exit_code, 0);
  const auto ending = node.terminate(kStopPatience);
  ASSERT_TRUE(ending.has_value());
  EXPECT_EQ(ending->exit_code, 0);
}

TEST(Daemon, AStartThatFailsEndsWhileNobodyReadsIt) {
  const TemporaryDirectory here;
  const std::string pipe = (here.path() / "log").string();
  const Handle unread = full_pipe(pipe);
  Node node({.flags = {"--log-level", "loud"}, .under = with_stderr(pipe)});
  EXPECT_FALSE(node.start());
  const auto ending = node.process().wait();
  ASSERT_TRUE(ending.has_value());
  EXPECT_EQ(ending->exit_code, kUsage);
}

TEST(Daemon, ANotifySocketThatNobodyReadsHoldsNothingUp) {
  const TemporaryDirectory here;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = (here.path() / "notify").string();
  ASSERT_LT(path.size(), sizeof(address.sun_path));
  std::memcpy(address.sun_path, path.data(), path.size());
  const auto* name = reinterpret_cast<const sockaddr*>(&address);
  const Handle manager(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(::bind(manager.get(), name, sizeof(address)), 0);
  const Handle others(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  while (::sendto(others.get(), "x", 1, MSG_DONTWAIT, name, sizeof(address)) == 1) {
  }
  Node node({.under = {"/usr/bin/env", "NOTIFY_SOCKET=" + path}});
  ASSERT_TRUE(node.start()) << node.errors();
  const auto ending = node.terminate(kStopPatience);
  ASSERT_TRUE(ending.has_value());
  EXPECT_EQ(ending->exit_code, 0);
  // In order, not by the watch over the stop.
  EXPECT_THAT(node.errors(), HasSubstr("stopped\n"));
}

// A logd whose start hangs after the ready line: nobody reads its port file, which is a pipe.
class HangingStart {
 public:
  HangingStart() : process_({.command = command(here_.path())}) {}
  Process& process() { return process_; }

 private:
  static std::vector<std::string> command(const std::filesystem::path& here) {
    const std::string pipe = (here / "port").string();
    CHECK(::mkfifo(pipe.c_str(), 0600) == 0);
    std::vector<std::string> words = with_stderr("&1");
    words.insert(words.end(), {std::string(LIGNUM_BIN_DIR) + "/logd", "--listen", "127.0.0.1:0",
                               "--data", (here / "data").string(), "--port-file", pipe});
    return words;
  }

  TemporaryDirectory here_;
  Process process_;
};

TEST(Daemon, AStopEndsInTimeWhereverTheMainThreadHangs) {
  HangingStart logd;
  ASSERT_TRUE(logd.process().read_until("ready: "));
  logd.process().send_signal(SIGTERM);
  const auto ending = logd.process().wait(kStopPatience);
  ASSERT_TRUE(ending.has_value());
  EXPECT_EQ(ending->exit_code, 0);
}

TEST(Daemon, ASecondSignalEndsItAtOnce) {
  HangingStart logd;
  ASSERT_TRUE(logd.process().read_until("ready: "));
  logd.process().send_signal(SIGTERM);
  logd.process().send_signal(SIGINT);
  const auto ending = logd.process().wait(std::chrono::seconds(3));
  ASSERT_TRUE(ending.has_value());
  EXPECT_EQ(ending->exit_code, 0);
}

// A logd whose log is read line by line, with a configuration file.
class Spoken {
 public:
  explicit Spoken(const std::string& configuration)
      : node_({.flags = {"--config", file().string()}, .under = with_stderr("&1")}) {
    write_file(file(), configuration);
  }
  Node& node() { return node_; }
  [[nodiscard]] std::filesystem::path file() const { return here_.path() / "logd.toml"; }
  bool says(std::string_view text) { return node_.process().read_until(text); }

 private:
  TemporaryDirectory here_;
  Node node_;
};

TEST(Daemon, AConfigurationThatCannotBeReadAgainChangesNothing) {
  Spoken logd("[log]\nlevel = \"info\"\n");
  ASSERT_TRUE(logd.node().start());
  const std::string file = logd.file().string();
  write_file(logd.file(), "[log]\nlevel = debug\n");
  logd.node().process().send_signal(SIGHUP);
  EXPECT_TRUE(logd.says("configuration not read again: " + file + ":2: "));
  EXPECT_TRUE(logd.says("; the level stays info\n"));
  std::filesystem::remove(logd.file());
  logd.node().process().send_signal(SIGHUP);
  EXPECT_TRUE(logd.says("No such file or directory; the level stays info\n"));
  std::filesystem::create_directory(logd.file());
  logd.node().process().send_signal(SIGHUP);
  EXPECT_TRUE(logd.says("Is a directory; the level stays info\n"));
  std::filesystem::remove(logd.file());
  write_file(logd.file(), "[log]\nlevel = \"debug\"\n");
  logd.node().process().send_signal(SIGHUP);
  EXPECT_TRUE(logd.says("log level debug (was info)\n"));
  EXPECT_EQ(logd.node().logctl({"streams", "ls"}).exit_code, 0);
  const auto ending = logd.node().terminate();
  ASSERT_TRUE(ending.has_value());
  EXPECT_EQ(ending->exit_code, 0);
}

TEST(Daemon, AConfigurationThatIsADirectoryIsNamed) {
  const TemporaryDirectory here;
  for (const std::vector<std::string>& verb :
       {std::vector<std::string>{"check-config"}, std::vector<std::string>{}}) {
    std::vector<std::string> arguments = verb;
    arguments.insert(arguments.end(), {"--config", here.path().string()});
    const auto result = logd(arguments);
    EXPECT_EQ(result.exit_code, kUsage);
    EXPECT_THAT(result.err, HasSubstr("'" + here.path().string() + "': Is a directory\n"));
  }
}

TEST(Daemon, TellsAChangeOfItsLogLevelAndThenWhatIsChanged) {
  Spoken logd("");
  ASSERT_TRUE(logd.node().start());
  EXPECT_EQ(logd.node().logctl({"node", "log-level", "debug"}).exit_code, 0);
  EXPECT_TRUE(logd.says("log level debug (was info)\n"));
  EXPECT_EQ(logd.node().logctl({"streams", "create", "app"}).exit_code, 0);
  EXPECT_TRUE(logd.says(": create stream 'app': done\n"));
  EXPECT_EQ(logd.node().logctl({"streams", "delete", "--yes", "app"}).exit_code, 0);
  EXPECT_TRUE(logd.says(": delete stream 'app': done\n"));
}

TEST(Daemon, TellsWhereItsDataIsFromTheRoot) {
  const TemporaryDirectory here;
  Process process(
      {.command = {"/bin/sh", "-c", R"(exec "$0" "$@" 2>&1)", std::string(LIGNUM_BIN_DIR) + "/logd",
                   "--listen", "127.0.0.1:0", "--data", "./mine/"},
       .directory = here.path()});
  EXPECT_TRUE(process.read_until(
      "data directory " + (std::filesystem::canonical(here.path()) / "mine").string() + " (new)"));
}

}  // namespace
}  // namespace lignum::cluster
