#include "jepsen/check/history_words.h"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "jepsen/check/history.h"
#include "raft/types.h"

namespace lignum::jepsen {

namespace {

constexpr std::size_t kHashDigits = 32;
// The two highest sequences stand for records that are unreadable and unknown.
constexpr std::uint64_t kSequenceLast = Value::kSequenceMax - 2;

template <class Number>
bool parse_whole(std::string_view word, Number& number, int base = 10) {
  const char* const begin = std::to_address(word.begin());
  const char* const end = std::to_address(word.end());
  const auto [stop, error] = std::from_chars(begin, end, number, base);
  return error == std::errc() && stop == end;
}

}  // namespace

void HistoryWords::complain(std::string_view word, std::string_view expected) {
  if (ok()) {
    complaint_ = word.empty() ? "the line ends where " + std::string(expected) + " is due"
                              : "'" + std::string(word) + "' is not " + std::string(expected);
  }
  rest_ = {};
}

std::string_view HistoryWords::word() {
  const std::string_view word = rest_.substr(0, rest_.find(' '));
  rest_.remove_prefix(std::min(rest_.size(), word.size() + 1));
  return word;
}

std::uint64_t HistoryWords::parse(std::string_view word, std::uint64_t max, std::string_view noun) {
  std::uint64_t number = 0;
  if (!parse_whole(word, number) || number > max) {
    complain(word, std::string(noun) + " of at most " + std::to_string(max));
    return 0;
  }
  return number;
}

std::uint64_t HistoryWords::number(std::uint64_t max) { return parse(word(), max, "a number"); }

std::uint32_t HistoryWords::client() {
  return static_cast<std::uint32_t>(parse(word(), kHistoryClientsMax - 1, "a client"));
}

Offset HistoryWords::offset() { return Offset(parse(word(), kHistoryItemsMax - 1, "an offset")); }

std::optional<Offset> HistoryWords::offset_or_none() {
  if (rest_ == "-" || rest_.starts_with("- ")) {
    word();
    return std::nullopt;
  }
  return offset();
}

Moment HistoryWords::moment() {
  const std::string_view text = word();
  if (text == "never") return kNever;
  if (text == "always") return kAlways;
  Moment moment = 0;
  if (!parse_whole(text, moment)) complain(text, "a moment");
  return moment;
}

ShardKey HistoryWords::shard() {
  const std::string_view text = word();
  const std::size_t slash = text.find('/');
  std::uint64_t stream = 0;
  std::uint32_t shard = 0;
  if (slash == std::string_view::npos || !parse_whole(text.substr(0, slash), stream) ||
      !parse_whole(text.substr(slash + 1), shard)) {
    complain(text, "a shard, such as 1/0");
  }
  return {.stream = StreamId(stream), .shard = ShardNumber(shard)};
}

Hash128 HistoryWords::hash() {
  const std::string_view text = word();
  Hash128 hash;
  if (text.size() != kHashDigits || !parse_whole(text.substr(0, kHashDigits / 2), hash.high, 16) ||
      !parse_whole(text.substr(kHashDigits / 2), hash.low, 16)) {
    complain(text, "a chain value of 32 hexadecimal digits");
  }
  return hash;
}

Value HistoryWords::parse_value(std::string_view text) {
  const std::size_t dot = text.find('.');
  if (text == "?" || dot == std::string_view::npos) {
    if (text != "?") complain(text, "a record, such as 3.7");
    return Value::unreadable();
  }
  const std::uint64_t client = parse(text.substr(0, dot), kHistoryClientsMax - 1, "a client");
  return {static_cast<std::uint32_t>(client),
          parse(text.substr(dot + 1), kSequenceLast, "a sequence number")};
}

Value HistoryWords::value() { return parse_value(word()); }

std::vector<Value> HistoryWords::values() {
  std::vector<Value> values;
  while (ok() && !at_end()) {
    const std::string_view text = word();
    const std::size_t plus = text.find('+');
    const Value first = parse_value(text.substr(0, plus));
    values.push_back(first);
    if (plus == std::string_view::npos || !ok()) continue;
    const std::uint64_t more_max =
        first == Value::unreadable()
            ? 0
            : std::min<std::uint64_t>(kAppendRecordsMax, kSequenceLast - first.sequence());
    const std::uint64_t more = parse(text.substr(plus + 1), more_max, "a number of records");
    for (std::uint64_t i = 1; i <= more; ++i) values.push_back(first.plus(i));
  }
  return values;
}

std::uint8_t HistoryWords::one_of(std::span<const std::string_view> words, std::string_view noun) {
  const std::string_view text = word();
  const auto found = std::ranges::find(words, text);
  if (found == words.end()) {
    complain(text, noun);
    return 0;
  }
  return static_cast<std::uint8_t>(found - words.begin());
}

void HistoryWords::refuse(std::string_view reason) {
  if (ok()) complaint_ = reason;
}

void HistoryWords::end() {
  if (ok() && !at_end()) complain(word(), "the end of the line");
}

}  // namespace lignum::jepsen
