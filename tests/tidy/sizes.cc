#include <cstddef>
#include <string>
#include <string_view>

#include "tests/tidy/rules.h"
#include "tests/tidy/tree.h"

namespace lignum::tidy {

namespace {

constexpr std::size_t kFileLinesMax = 500;
constexpr std::size_t kTestFileLinesMax = 800;
constexpr std::size_t kFunctionLinesMax = 70;
constexpr std::size_t kColumnsMax = 100;

// Code points, not bytes.
std::size_t columns(std::string_view line) {
  std::size_t count = 0;
  for (const char c : line) {
    count += (static_cast<unsigned char>(c) & 0xC0U) != 0x80U ? 1 : 0;
  }
  return count;
}

// In formatted code a block at namespace level starts with a line that ends in '{' and ends with a
// line that is '}'. Types end in "};" and are no functions.
bool opens_block(std::string_view line) {
  return line.ends_with('{') && !line.starts_with("namespace") && !line.starts_with("extern \"C\"");
}

void check_functions(const std::string& path, std::string_view text, Findings& findings) {
  std::size_t opened = 0;
  std::size_t number = 0;
  for (const std::string_view line : lines_of(text)) {
    ++number;
    if (opened == 0 && opens_block(line)) {
      opened = number;
    } else if (line.starts_with('}')) {
      if (opened != 0 && line == "}" && number - opened - 1 > kFunctionLinesMax) {
        findings.push_back({path, static_cast<int>(opened),
                            "function of " + std::to_string(number - opened - 1) +
                                " lines (at most " + std::to_string(kFunctionLinesMax) + ")"});
      }
      opened = 0;
    }
  }
}

}  // namespace

Findings check_sizes(const Tree& tree) {
  Findings findings;
  for (const auto& [path, text] : tree.files()) {
    if (!is_source(path) && !path.ends_with(".proto")) {
      continue;
    }
    const auto lines = lines_of(text);
    const std::size_t lines_max = path.starts_with("tests/") ? kTestFileLinesMax : kFileLinesMax;
    if (lines.size() > lines_max) {
      findings.push_back({path, 0,
                          "file of " + std::to_string(lines.size()) + " lines (at most " +
                              std::to_string(lines_max) + ")"});
    }
    for (std::size_t i = 0; i < lines.size(); ++i) {
      if (columns(lines[i]) > kColumnsMax) {
        findings.push_back({path, static_cast<int>(i + 1), "line of more than 100 columns"});
      }
    }
    check_functions(path, text, findings);
  }
  return findings;
}

}  // namespace lignum::tidy
