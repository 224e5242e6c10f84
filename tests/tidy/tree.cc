#include "tests/tidy/tree.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <ios>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "raft/check.h"

namespace lignum::tidy {

namespace {

constexpr std::array<std::string_view, 9> kTextSuffixes = {
    ".h", ".cc", ".md", ".txt", ".proto", ".sh", ".scd", ".cmake", ".json"};

bool is_text(const std::filesystem::path& path) {
  const std::string name = path.filename().string();
  return name == "dev" || name == "run" ||
         std::ranges::any_of(kTextSuffixes, [&](auto suffix) { return name.ends_with(suffix); });
}

// Neither written by people nor part of a commit.
bool is_skipped(const std::filesystem::path& path) {
  const std::string name = path.filename().string();
  return name == ".git" || name == "build" || name == ".cache" || name == "lignum-data";
}

std::string read_text(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

bool is_word_character(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
}

// Blanks comments and literals; what is left has the same length and lines.
class Blanker {
 public:
  explicit Blanker(std::string_view text) : text_(text) {}

  std::string run() {
    while (at_ < text_.size()) {
      if (text_.substr(at_, 2) == "//") {
        blank_until(text_.find('\n', at_));
      } else if (text_.substr(at_, 2) == "/*") {
        blank_past("*/");
      } else if (text_.substr(at_, 2) == "R\"") {
        const std::size_t open = text_.find('(', at_);
        blank_past(")" + std::string(text_.substr(at_ + 2, open - at_ - 2)) + "\"");
      } else if (text_[at_] == '"' || is_character_literal()) {
        literal(text_[at_]);
      } else {
        out_ += text_[at_++];
      }
    }
    return out_;
  }

 private:
  // A quote after a digit or letter separates digits.
  [[nodiscard]] bool is_character_literal() const {
    return text_[at_] == '\'' && (at_ == 0 || !is_word_character(text_[at_ - 1]));
  }

  void blank_until(std::size_t end) {
    for (end = std::min(end, text_.size()); at_ < end; ++at_) {
      out_ += text_[at_] == '\n' ? '\n' : ' ';
    }
  }

  void blank_past(const std::string& end) {
    const std::size_t found = text_.find(end, at_ + 2);
    blank_until(found == std::string_view::npos ? found : found + end.size());
  }

  // The quotes stay, so that an empty string is still seen as one.
  void literal(char quote) {
    out_ += text_[at_++];
    while (at_ < text_.size() && text_[at_] != quote && text_[at_] != '\n') {
      blank_until(at_ + (text_[at_] == '\\' ? 2 : 1));
    }
    if (at_ < text_.size()) {
      out_ += text_[at_++];
    }
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::string out_;
};

}  // namespace

std::string Finding::describe() const {
  return file + (line > 0 ? ":" + std::to_string(line) : "") + ": " + message;
}

Tree Tree::read(const std::filesystem::path& root) {
  CHECK(std::filesystem::exists(root / "CMakeLists.txt"));
  Tree tree;
  for (std::filesystem::recursive_directory_iterator it(root), end; it != end; ++it) {
    if (is_skipped(it->path())) {
      it.disable_recursion_pending();
      continue;
    }
    const std::string path = std::filesystem::relative(it->path(), root).string();
    if (it->is_regular_file() && is_text(it->path())) {
      tree.files_[path] = read_text(it->path());
    } else {
      tree.others_.push_back(path);
    }
  }
  return tree;
}

std::string_view Tree::text(const std::string& path) const {
  const auto found = files_.find(path);
  return found == files_.end() ? std::string_view() : std::string_view(found->second);
}

bool Tree::exists(const std::string& path) const {
  return files_.contains(path) || std::ranges::find(others_, path) != others_.end();
}

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    lines.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

std::vector<std::string> code_lines_of(std::string_view text) {
  const std::string code = Blanker(text).run();
  std::vector<std::string> lines;
  for (const std::string_view line : lines_of(code)) {
    lines.emplace_back(line);
  }
  return lines;
}

bool is_header(std::string_view path) { return path.ends_with(".h"); }

bool is_source(std::string_view path) { return is_header(path) || path.ends_with(".cc"); }

bool has_word(std::string_view line, std::string_view word) {
  for (std::size_t at = line.find(word); at != std::string_view::npos;
       at = line.find(word, at + 1)) {
    const bool starts = at == 0 || !is_word_character(line[at - 1]);
    const std::size_t end = at + word.size();
    const bool ends = end == line.size() || !is_word_character(line[end]);
    if (starts && ends) {
      return true;
    }
  }
  return false;
}

}  // namespace lignum::tidy
