#include "jepsen/check/violation.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <string>
#include <string_view>
#include <utility>

namespace lignum::jepsen {

std::string_view rule_name(Rule rule) {
  static constexpr std::array<std::string_view, kRules> kNames = {
      "history", "agreement", "hole",   "phantom",     "duplicate", "aborted",
      "lost",    "offset",    "atomic", "conditional", "read",      "order",
      "session", "tail",      "shrunk", "trim",        "chain"};
  return kNames.at(std::to_underlying(rule));
}

std::string Violation::describe() const {
  std::string text(rule_name(rule));
  text +=
      ": shard " + std::to_string(shard.stream.value()) + "/" + std::to_string(shard.shard.value());
  if (offset) text += " at " + std::to_string(offset->value());
  return text + ": " + sentence;
}

void Violations::merge(const Violations& other) {
  std::array<std::size_t, kRules> room{};
  for (std::size_t rule = 0; rule < kRules; ++rule) {
    room.at(rule) = kKeptMax - std::min<std::size_t>(kKeptMax, counts_.at(rule));
    counts_.at(rule) += other.counts_.at(rule);
  }
  for (const Violation& violation : other.kept_) {
    std::size_t& left = room.at(std::to_underlying(violation.rule));
    if (left > 0) {
      --left;
      kept_.push_back(violation);
    }
  }
}

std::uint64_t Violations::total() const {
  return std::accumulate(counts_.begin(), counts_.end(), std::uint64_t{0});
}

}  // namespace lignum::jepsen
