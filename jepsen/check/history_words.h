#pragma once

// The words of a line of history text, and the values that they stand for.

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "jepsen/check/history.h"
#include "raft/types.h"

namespace lignum::jepsen {

inline constexpr std::array<std::string_view, 4> kOutcomeWords = {"ok", "failed", "mismatch",
                                                                  "unknown"};
inline constexpr std::array<std::string_view, 2> kPromiseWords = {"none", "in-order"};
inline constexpr std::array<std::string_view, 3> kTailWords = {"start", "records", "gap"};

// Reads one line word by word. The first word that is missing or not what was asked for spoils the
// line: ok() is false from then on, and what is returned means nothing.
class HistoryWords {
 public:
  explicit HistoryWords(std::string_view line) : rest_(line) {}

  [[nodiscard]] bool ok() const { return complaint_.empty(); }
  // "'okay' is no outcome".
  [[nodiscard]] const std::string& complaint() const { return complaint_; }
  [[nodiscard]] bool at_end() const { return rest_.empty(); }

  std::string_view word();
  std::uint64_t number(std::uint64_t max);
  std::uint32_t client();
  Offset offset();
  std::optional<Offset> offset_or_none();
  Moment moment();
  ShardKey shard();
  Hash128 hash();
  // One record, without a "+N".
  Value value();
  // All records to the end of the line.
  std::vector<Value> values();
  // The place of the word in `words`.
  std::uint8_t one_of(std::span<const std::string_view> words, std::string_view noun);
  // Spoils the line, unless it is so already, for a reason of the caller's.
  void refuse(std::string_view reason);
  // Complains unless the line has ended.
  void end();

 private:
  void complain(std::string_view word, std::string_view expected);
  std::uint64_t parse(std::string_view word, std::uint64_t max, std::string_view noun);
  Value parse_value(std::string_view word);

  std::string_view rest_;
  std::string complaint_;
};

}  // namespace lignum::jepsen
