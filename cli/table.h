#pragma once

// Columns of text, as wide as their widest cell, two spaces apart.

#include <string>
#include <vector>

namespace lignum::cli {

class Table {
 public:
  explicit Table(std::vector<std::string> header) { rows_.push_back(std::move(header)); }
  // May be shorter than the header.
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  [[nodiscard]] std::string text() const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace lignum::cli
