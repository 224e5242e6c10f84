#pragma once

// The count of one class of the oracle's cases, and the table of all of them.

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lignum::conformance {

class Score {
 public:
  explicit Score(std::string name) : name_(std::move(name)) {}

  void equal() { ++equal_; }
  // In a place that expected_differences.h names; `what` is printed where LIGNUM_ORACLE_SHOW is
  // set.
  void expected(std::string_view place, std::string_view what);
  // `what` says where, and what differs.
  void unexpected(std::string what) { unexpected_.push_back(std::move(what)); }
  void skipped(std::string_view reason) { ++skipped_[std::string(reason)]; }

  [[nodiscard]] std::size_t cases() const;
  [[nodiscard]] const std::vector<std::string>& unexpected() const { return unexpected_; }
  // One row of the table, and one line for each place and reason.
  [[nodiscard]] std::string describe() const;
  // Prints the row, and fails the running test for everything unexpected.
  void judge() const;

 private:
  std::string name_;
  std::size_t equal_ = 0;
  std::map<std::string, std::size_t> expected_;
  std::vector<std::string> unexpected_;
  std::map<std::string, std::size_t> skipped_;
};

}  // namespace lignum::conformance
