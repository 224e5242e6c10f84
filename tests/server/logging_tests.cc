// The node's log on a pipe: what a reader gets, and what happens while there is none.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <string>
#include <string_view>

#include <fmt/format.h>
#include "raft/check.h"
#include "raft/last_words.h"
#include "server/group/ports.h"
#include "server/logging.h"
#include "server/options.h"
#include "server/stderr_sink.h"

namespace lignum::server {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class LoggingTest : public ::testing::Test {
 protected:
  LoggingTest() { EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0); }
  ~LoggingTest() override {
    for (const int end : ends) ::close(end);
  }
  // What is in the pipe now.
  std::string read_pipe() {
    EXPECT_EQ(::fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
    std::string out;
    std::array<char, 65536> buffer{};
    while (true) {
      const ssize_t count = ::read(ends[0], buffer.data(), buffer.size());
      if (count <= 0) return out;
      out.append(buffer.data(), static_cast<std::size_t>(count));
    }
  }

  std::array<int, 2> ends{};
};

TEST_F(LoggingTest, LinesThatNobodyReadsAreCountedAndHoldNothingUp) {
  Logging logging({.format = LogFormat::kLogfmt, .fd = ends[1]});
  constexpr int kLines = 2000;
  for (int i = 0; i < kLines; ++i) {
    logging.write(Severity::kInfo, fmt::format("line {} {}", i, std::string(100, 'x')));
  }
  const std::string first = read_pipe();
  EXPECT_THAT(first, HasSubstr("line 0 "));
  EXPECT_THAT(first, Not(HasSubstr(fmt::format("line {} ", kLines - 1))));
  const auto written = std::count(first.begin(), first.end(), '\n');
  logging.write(Severity::kInfo, "somebody reads again");
  const std::string second = read_pipe();
  EXPECT_THAT(second, HasSubstr(fmt::format("level=warn message=\"{} lines of this log are lost",
                                            kLines - written)));
  EXPECT_THAT(second, HasSubstr("somebody reads again"));
}

TEST_F(LoggingTest, ALineLongerThanThePipeIsCutAndTheNextBeginsAnew) {
  Logging logging({.format = LogFormat::kHuman, .fd = ends[1]});
  logging.write(Severity::kInfo, std::string(200'000, 'x'));
  EXPECT_THAT(read_pipe(), Not(HasSubstr("\n")));
  logging.write(Severity::kInfo, "next");
  const std::string second = read_pipe();
  EXPECT_EQ(second.front(), '\n');
  EXPECT_THAT(second, HasSubstr("1 line of this log is lost"));
  EXPECT_THAT(second, HasSubstr("info  next\n"));
}

TEST_F(LoggingTest, ColoursGoAroundTheLevel) {
  Logging logging({.colour = true, .fd = ends[1]});
  logging.write(Severity::kWarn, "mind");
  EXPECT_THAT(read_pipe(), HasSubstr("\x1B[33m\x1B[1mwarning\x1B[m mind\n"));
}

// As logd is set up.
void break_an_invariant_while_nobody_reads() {
  std::array<int, 2> full{};
  static_cast<void>(::pipe2(full.data(), O_CLOEXEC | O_NONBLOCK));
  while (::write(full[1], "x", 1) == 1) {
  }
  static_cast<void>(::fcntl(full[1], F_SETFL, 0));
  static_cast<void>(::dup2(full[1], STDERR_FILENO));
  set_last_words_writer(
      [](std::string_view text) { write_last_words(text, std::chrono::milliseconds(50)); });
  ::alarm(20);
  CHECK(false);
}

TEST(LastWordsDeathTest, WaitForNobody) {
  EXPECT_EXIT(break_an_invariant_while_nobody_reads(), ::testing::KilledBySignal(SIGABRT), "");
}

}  // namespace
}  // namespace lignum::server
