// jepsen's command line: what a person who mistypes is told.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "tests/cluster/process.h"

namespace lignum::cluster {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

constexpr int kUsage = 2;

RunResult jepsen(std::vector<std::string> words) {
  words.insert(words.begin(), "jepsen");
  return run({.command = std::move(words)});
}

TEST(JepsenWords, WrongOnesAreNamedWithTheNearestRightOneAndTheHelp) {
  for (const auto& [words, message] : std::vector<std::pair<std::vector<std::string>, std::string>>{
           {{"sin"},
            "jepsen: there is no verb 'sin'; did you mean 'sim'?; 'jepsen --help' says more\n"},
           {{"sim", "--sed", "7"},
            "jepsen: there is no flag '--sed' here; did you mean '--seed'?; 'jepsen sim --help' "
            "says "
            "more\n"},
           {{"explore", "--replica=3"},
            "jepsen: there is no flag '--replica' here; did you mean '--replicas'?; 'jepsen "
            "explore "
            "--help' says more\n"}}) {
    const RunResult refused = jepsen(words);
    EXPECT_EQ(refused.exit_code, kUsage);
    EXPECT_THAT(refused.out, IsEmpty());
    EXPECT_EQ(refused.err, message);
  }
}

TEST(JepsenWords, EveryRefusalIsOneLineAndNamesTheHelp) {
  for (const auto& words :
       std::vector<std::vector<std::string>>{{},
                                             {"sim"},
                                             {"sim", "--seed", "x"},
                                             {"sim", "--seed"},
                                             {"sim", "--trace"},
                                             {"sim", "--seed", "1", "--jobs", "0"},
                                             {"explore", "--replicas", "9"},
                                             {"check"}}) {
    const RunResult refused = jepsen(words);
    EXPECT_EQ(refused.exit_code, kUsage);
    EXPECT_THAT(refused.out, IsEmpty());
    EXPECT_THAT(refused.err, StartsWith("jepsen: "));
    EXPECT_THAT(refused.err, HasSubstr("--help' says more"));
    EXPECT_EQ(refused.err.find('\n') + 1, refused.err.size()) << refused.err;
  }
}

TEST(JepsenWords, WrongValuesAreNamed) {
  EXPECT_THAT(jepsen({"sim", "--seeds", "9..1"}).err, HasSubstr("'9..1'"));
  EXPECT_THAT(jepsen({"sim", "--corpus", "/nowhere"}).err, HasSubstr("'/nowhere'"));
}

TEST(JepsenWords, AReportThatCannotBeWrittenIsNoCleanRun) {
  for (const char* const words : {"sim --seed 1", "sim --seeds 1..2", "--help"}) {
    const std::string command = std::string(LIGNUM_BIN_DIR "/jepsen ") + words + " >/dev/full";
    const RunResult full = run({.command = {"/bin/sh", "-c", command}});
    EXPECT_EQ(full.exit_code, 7) << words;
    EXPECT_THAT(full.err, HasSubstr("cannot write to standard output: No space left")) << words;
  }
}

TEST(JepsenWords, HelpIsNoError) {
  for (const auto& words :
       std::vector<std::vector<std::string>>{{"--help"}, {"sim", "--help"}, {"explore", "-h"}}) {
    const RunResult help = jepsen(words);
    EXPECT_EQ(help.exit_code, 0);
    EXPECT_THAT(help.out, HasSubstr("Usage: jepsen"));
    EXPECT_THAT(help.err, IsEmpty());
  }
  EXPECT_THAT(jepsen({"sim", "--help"}).out, HasSubstr("--seeds"));
}

}  // namespace
}  // namespace lignum::cluster
