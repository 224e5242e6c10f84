#include "tests/conformance/score.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <string_view>

namespace lignum::conformance {

namespace {

// Differences printed in full.
constexpr std::size_t kShownMax = 20;

std::size_t total(const std::map<std::string, std::size_t>& counts) {
  std::size_t sum = 0;
  for (const auto& [place, count] : counts) {
    sum += count;
  }
  return sum;
}

std::string padded(std::string text, std::size_t width) {
  text.resize(std::max(width, text.size()), ' ');
  return text;
}

}  // namespace

void Score::expected(std::string_view place, std::string_view what) {
  ++expected_[std::string(place)];
  if (std::getenv("LIGNUM_ORACLE_SHOW") != nullptr) {
    std::printf("%s: %.*s\n", name_.c_str(), static_cast<int>(what.size()), what.data());
  }
}

std::size_t Score::cases() const {
  return equal_ + total(expected_) + unexpected_.size() + total(skipped_);
}

std::string Score::describe() const {
  std::string text = padded(name_, 34) + padded(std::to_string(cases()) + " cases", 12) +
                     padded(std::to_string(equal_) + " equal", 12) +
                     padded(std::to_string(total(expected_)) + " expected", 14) +
                     padded(std::to_string(unexpected_.size()) + " unexpected", 16) +
                     std::to_string(total(skipped_)) + " skipped\n";
  for (const auto& [place, count] : expected_) {
    text += "    expected: " + std::to_string(count) + " in " + place + "\n";
  }
  for (const auto& [reason, count] : skipped_) {
    text += "    skipped: " + std::to_string(count) + ", " + reason + "\n";
  }
  return text;
}

void Score::judge() const {
  std::fputs(describe().c_str(), stdout);
  std::size_t shown = 0;
  for (const std::string& what : unexpected_) {
    if (++shown > kShownMax) {
      ADD_FAILURE() << "and " << unexpected_.size() - kShownMax << " more";
      return;
    }
    ADD_FAILURE() << name_ << ": " << what;
  }
}

}  // namespace lignum::conformance
