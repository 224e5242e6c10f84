// What the documents say about the programs is true: every flag has its place in the manual, every
// command that a document shows exists.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <filesystem>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/cluster/process.h"

namespace lignum::cluster {
namespace {

using testing::HasSubstr;

std::string document(const std::filesystem::path& path) {
  const std::string text = read_file(LIGNUM_SOURCE_DIR / path);
  EXPECT_FALSE(text.empty()) << path << " is missing";
  return text;
}

std::string help(std::vector<std::string> command) {
  command.emplace_back("--help");
  return run({.command = std::move(command)}).out;
}

// Every --flag in a help text.
std::set<std::string> flags_in(std::string_view text) {
  std::set<std::string> flags;
  for (std::size_t at = text.find("--"); at != std::string_view::npos; at = text.find("--", at)) {
    std::size_t end = at + 2;
    while (end < text.size() &&
           (std::islower(static_cast<unsigned char>(text[end])) != 0 || text[end] == '-')) {
      ++end;
    }
    if (end > at + 3) {
      flags.emplace(text.substr(at, end - at));
    }
    at = end;
  }
  return flags;
}

TEST(Manual, OfLogdNamesEveryFlag) {
  const std::string manual = document("docs/man/logd.8.scd");
  const auto flags = flags_in(help({"logd"}));
  EXPECT_GT(flags.size(), 10);
  for (const std::string& flag : flags) {
    EXPECT_THAT(manual, HasSubstr(flag));
  }
}

TEST(Manual, OfLogctlNamesEveryFlagOfEveryVerb) {
  const std::string manual = document("docs/man/logctl.1.scd");
  const std::vector<std::vector<std::string>> commands = {{"logctl"},
                                                          {"logctl", "append"},
                                                          {"logctl", "read"},
                                                          {"logctl", "tail"},
                                                          {"logctl", "streams", "create"},
                                                          {"logctl", "streams", "ls"},
                                                          {"logctl", "streams", "describe"},
                                                          {"logctl", "streams", "trim"},
                                                          {"logctl", "streams", "delete"},
                                                          {"logctl", "stat"},
                                                          {"logctl", "verify"},
                                                          {"logctl", "bench", "append"},
                                                          {"logctl", "bench", "read"},
                                                          {"logctl", "bench", "limit"}};
  for (const auto& command : commands) {
    for (const std::string& flag : flags_in(help(command))) {
      EXPECT_THAT(manual, HasSubstr(flag)) << command.back();
    }
  }
}

// "logctl streams create app" as words, from the start of a shown command to its end.
std::vector<std::string> words_of(std::string_view command) {
  std::istringstream in{std::string(command)};
  std::vector<std::string> words;
  for (std::string word; in >> word;) {
    words.push_back(word);
  }
  return words;
}

// The verbs of a command line: what leads it before the first flag or argument.
bool exists(const std::vector<std::string>& words) {
  std::vector<std::string> command = {"logctl"};
  if (words.empty()) {
    return true;
  }
  command.push_back(words[0]);
  const bool has_second = words[0] == "streams" || words[0] == "bench" || words[0] == "node";
  if (has_second && words.size() > 1) {
    command.push_back(words[1]);
  }
  command.emplace_back("--help");
  return run({.command = command}).exit_code == 0;
}

TEST(Manual, CommandsThatDocumentsShowExist) {
  for (const char* name : {"README.md", "docs/HACKING.md", "docs/operating/running.md",
                           "docs/operating/disk-failure.md"}) {
    const std::string text = document(name);
    for (std::string_view rest = text; !rest.empty();) {
      const std::string_view line = rest.substr(0, rest.find('\n'));
      rest.remove_prefix(std::min(line.size() + 1, rest.size()));
      constexpr std::string_view kCall = "$ logctl ";
      if (const std::size_t at = line.find(kCall); at != std::string_view::npos) {
        EXPECT_TRUE(exists(words_of(line.substr(at + kCall.size())))) << name << ": " << line;
      }
    }
  }
}

}  // namespace
}  // namespace lignum::cluster
