#pragma once

// The repository as text, for rules that lint the repository itself.
//
// A Tree is read once from disk and can be copied and changed, so that a test can break a rule in
// a copy and watch the rule notice. It holds what people write: sources, build files, documents
// and scripts; never the build directory.

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace lignum::tidy {

// Something a rule objects to.
struct Finding {
  std::string file;
  int line = 0;  // from 1; 0: the file as a whole
  std::string message;

  // "raft/core.cc:12: message"
  [[nodiscard]] std::string describe() const;
};

class Tree {
 public:
  // Reads the repository whose top is `root`. Aborts the test run where that is no repository.
  static Tree read(const std::filesystem::path& root);

  // Adds or replaces a file.
  void write(const std::string& path, std::string text) { files_[path] = std::move(text); }

  [[nodiscard]] const std::map<std::string, std::string>& files() const { return files_; }
  // The text of a file, empty where there is none.
  [[nodiscard]] std::string_view text(const std::string& path) const;
  [[nodiscard]] bool has_file(const std::string& path) const { return files_.contains(path); }
  // True also for files that are not text, and for directories.
  [[nodiscard]] bool exists(const std::string& path) const;

 private:
  std::map<std::string, std::string> files_;
  std::vector<std::string> others_;
};

// The lines of a text without their newlines.
std::vector<std::string_view> lines_of(std::string_view text);
// The same with comments and the contents of string literals blanked out, so that a rule about
// code does not trip over prose.
std::vector<std::string> code_lines_of(std::string_view text);

[[nodiscard]] bool is_source(std::string_view path);  // .h or .cc
[[nodiscard]] bool is_header(std::string_view path);

// True where `word` stands in `line` as a whole word.
[[nodiscard]] bool has_word(std::string_view line, std::string_view word);

}  // namespace lignum::tidy
