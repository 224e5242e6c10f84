// Protocol transcripts: tests/script/*.txt, each a story whose head says which bug it guards.
//
// LIGNUM_REWRITE=1 writes down what happens instead of comparing: read the difference before it is
// committed.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <ios>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "tests/conformance/datadriven.h"
#include "tests/support/world_script.h"

namespace lignum::world {
namespace {

std::vector<std::filesystem::path> transcripts() {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(LIGNUM_SCRIPT_DIR)) {
    if (entry.path().extension() == ".txt" && entry.path().filename() != "CMakeLists.txt") {
      files.push_back(entry.path());
    }
  }
  std::ranges::sort(files);
  return files;
}

std::string read(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

// `text` with the expectations of its blocks replaced, in order.
std::string rewritten(std::string_view text, const std::vector<std::vector<std::string>>& answers) {
  std::string result;
  std::size_t block = 0;
  bool expectation = false;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    if (expectation && !line.empty()) {
      continue;
    }
    expectation = false;
    result += std::string(line) + "\n";
    if (line == "----") {
      for (const std::string& answer : answers.at(block)) {
        result += answer + "\n";
      }
      ++block;
      expectation = true;
    }
  }
  return result;
}

class Transcript : public ::testing::TestWithParam<std::filesystem::path> {};

TEST_P(Transcript, Happens) {
  const auto blocks = conformance::read_blocks(GetParam());
  ASSERT_TRUE(blocks.has_value()) << blocks.error().message();
  const char* rewrite = std::getenv("LIGNUM_REWRITE");
  const bool rewrites = rewrite != nullptr && std::string_view(rewrite) == "1";
  WorldScript script({});
  std::vector<std::vector<std::string>> answers;
  for (const conformance::Block& block : *blocks) {
    answers.push_back(script.run(block));
    if (!rewrites) {
      EXPECT_EQ(answers.back(), block.expected) << block.place << " (" << block.command << ")";
    }
  }
  EXPECT_TRUE(script.world().violations().empty());
  if (rewrites) {
    const std::string text = rewritten(read(GetParam()), answers);
    std::ofstream(GetParam(), std::ios::binary) << text;
  }
}

INSTANTIATE_TEST_SUITE_P(Scripts, Transcript, ::testing::ValuesIn(transcripts()),
                         [](const auto& file) { return file.param.stem().string(); });

}  // namespace
}  // namespace lignum::world
