// The repository obeys its own rules; and each rule notices when it is broken.

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "tests/tidy/rules.h"
#include "tests/tidy/tree.h"

namespace lignum::tidy {
namespace {

// Read once: the rules do not change it.
const Tree& repository() {
  static const Tree kTree = Tree::read(LIGNUM_SOURCE_DIR);
  return kTree;
}

std::string describe(const Findings& findings) {
  std::string text;
  for (const Finding& finding : findings) {
    text += "  " + finding.describe() + "\n";
  }
  return text;
}

using Rule = Findings (*)(const Tree&);

void expect_kept(Rule rule) {
  const Findings findings = rule(repository());
  EXPECT_TRUE(findings.empty()) << describe(findings);
}

// A copy of the repository with `text` at `path` breaks the rule there, with `message`.
void expect_broken(Rule rule, const std::string& path, std::string text, std::string_view message) {
  Tree tree = repository();
  tree.write(path, std::move(text));
  const Findings findings = rule(tree);
  EXPECT_TRUE(std::ranges::any_of(findings,
                                  [&](const Finding& finding) {
                                    return finding.file == path &&
                                           finding.message.find(message) != std::string::npos;
                                  }))
      << "expected at " << path << ": " << message << "\nfound:\n"
      << describe(findings);
}

std::string repeated(std::string_view line, int times) {
  std::string text;
  for (int i = 0; i < times; ++i) {
    text += line;
  }
  return text;
}

TEST(Tidy, SizesAreKept) { expect_kept(check_sizes); }

TEST(Tidy, SizesAreNoticed) {
  expect_broken(check_sizes, "raft/long.cc", repeated("int x;\n", 501), "file of 501 lines");
  expect_broken(check_sizes, "tests/raft/long.cc", repeated("int x;\n", 801), "file of 801");
  expect_broken(check_sizes, "raft/wide.cc", std::string(101, 'x'), "more than 100 columns");
  expect_broken(check_sizes, "raft/deep.cc", "void f() {\n" + repeated("  g();\n", 71) + "}\n",
                "function of 71 lines");
}

TEST(Tidy, FloorsOnlyLookDown) { expect_kept(check_floors); }

TEST(Tidy, FloorsThatLookUpAreNoticed) {
  expect_broken(check_floors, "raft/core.cc", "#include \"storage/log.h\"\n", "raft core must not");
  expect_broken(check_floors, "raft/core.cc", "#include <boost/asio/post.hpp>\n", "must not");
  expect_broken(check_floors, "raft/types.h", "#include \"raft/core.h\"\n", "vocabulary must not");
  expect_broken(check_floors, "storage/log.h", "#include \"raft/core.h\"\n", "storage must not");
  expect_broken(check_floors, "storage/record_batch.cc", "#include \"storage/log.h\"\n",
                "formats must not");
  expect_broken(check_floors, "net/client.h", "#include \"server/app.h\"\n", "net must not");
  expect_broken(check_floors, "net/client.h", "#include \"storage/log.h\"\n", "net must not");
  expect_broken(check_floors, "server/group/replica.cc", "#include <boost/asio/post.hpp>\n",
                "server core must not");
  expect_broken(check_floors, "server/group/replica.cc", "#include \"storage/posix_file.h\"\n",
                "use its port");
  expect_broken(check_floors, "cli/main.cc", "#include \"server/app.h\"\n", "cli must not");
}

TEST(Tidy, TheOutsideWorldStaysAtTheEdges) { expect_kept(check_edges); }

TEST(Tidy, TheOutsideWorldInsideIsNoticed) {
  expect_broken(check_edges, "raft/core.cc", "std::thread t;\n", "a thread");
  expect_broken(check_edges, "raft/core.cc", "std::mutex m;\n", "a lock");
  expect_broken(check_edges, "server/app.cc", "std::mutex m;\n", "a lock");
  expect_broken(check_edges, "server/group/replica.cc",
                "auto t = std::chrono::steady_clock::now();", "a clock");
  expect_broken(check_edges, "net/producer.cc", "#include <boost/asio/post.hpp>\n", "Asio");
  expect_broken(check_edges, "storage/segment.cc", "std::random_device r;\n", "a random device");
  expect_broken(check_edges, "tests/raft/some_test.cc", "std::this_thread::sleep_for(1s);\n",
                "a sleep");
  expect_broken(check_edges, "storage/segment.cc", "::fdatasync(file);\n", "a system call");
}

TEST(Tidy, ProseAboutTheOutsideWorldIsNoBreach) {
  Tree tree = repository();
  tree.write("raft/prose.cc", "// std::thread\n/* std::mutex\n */ auto s = \"steady_clock\";\n");
  EXPECT_TRUE(std::ranges::none_of(
      check_edges(tree), [](const Finding& finding) { return finding.file == "raft/prose.cc"; }));
}

TEST(Tidy, HeadersComeFirst) { expect_kept(check_headers); }

TEST(Tidy, HeadersThatDoNotComeFirstAreNoticed) {
  expect_broken(check_headers, "raft/bare.h", "int x;\n", "without #pragma once");
  expect_broken(check_headers, "raft/error.cc", "#include <string>\n#include \"raft/error.h\"\n",
                "own header first");
}

TEST(Tidy, EverySourceHasATarget) { expect_kept(check_targets); }

TEST(Tidy, ASourceWithoutTargetIsNoticed) {
  expect_broken(check_targets, "raft/forgotten_source.cc", "int x;\n", "in no CMakeLists.txt");
}

TEST(Tidy, EveryErrorHasAnExitCode) { expect_kept(check_exit_codes); }

TEST(Tidy, AnErrorWithoutExitCodeIsNoticed) {
  std::string header(repository().text("raft/error.h"));
  header.insert(header.find("  kInternal"), "  kForgotten = 99,\n");
  expect_broken(check_exit_codes, "raft/error.h", header, "kForgotten");
}

TEST(Tidy, LinksLeadSomewhere) { expect_kept(check_links); }

TEST(Tidy, LinksThatLeadNowhereAreNoticed) {
  expect_broken(check_links, "docs/lost.md", "[there](nowhere.md)\n", "no such file");
  expect_broken(check_links, "docs/lost.md", "# Here\n[there](#nowhere)\n", "no such heading");
  expect_broken(check_links, "raft/lost.h", "// see docs/nowhere.md\n", "docs/nowhere.md");
}

TEST(Tidy, CommandsInDocumentsExist) { expect_kept(check_commands); }

TEST(Tidy, CommandsThatDoNotExistAreNoticed) {
  expect_broken(check_commands, "README.md", "run `./dev fly`\n", "no command 'fly'");
}

TEST(Tidy, NothingIsLeftOpen) { expect_kept(check_open_notes); }

TEST(Tidy, NotesLeftOpenAreNoticed) {
  expect_broken(check_open_notes, "raft/core.cc",
                "// TO"
                "DO: all of it\n",
                "left open");
}

TEST(Tidy, TheTopHoldsOnlyWhatIsAgreed) { expect_kept(check_top_level); }

TEST(Tidy, AStrangerAtTheTopIsNoticed) {
  expect_broken(check_top_level, "utils/strings.h", "#pragma once\n", "does not belong");
}

}  // namespace
}  // namespace lignum::tidy
