#pragma once

// From bytes of standard input or a file to records: lines, NUL-separated items or JSON lines.
//
// Pure but for the reader's source function. Levels and times are taken only from where the caller
// said: a JSON field or a syslog <PRI> prefix; never guessed from words.

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/client.h"
#include "raft/error.h"
#include "storage/level.h"

namespace lignum::cli {

enum class InputFormat : unsigned char { kLines, kNull, kJson };

struct InputOptions {
  InputFormat format = InputFormat::kLines;
  bool syslog = false;
  std::optional<Level> level;
  std::optional<std::string> key;
  std::vector<Field> fields;
  // JSON only; the defaults are the common names.
  std::string level_field = "level";
  std::string time_field = "time";
  std::string message_field = "message";
  std::optional<std::string> key_field;
};

// One item as a record. kInvalidArgument says what is wrong with it.
//
// A JSON object: the message field (or "msg") is the value, level and time fields are the level
// and the event time, every other member becomes a field: text as it is, anything else as JSON.
// Without a message the value is the whole line. An object with two members of one name is refused
// at any depth: one of the values would be lost.
[[nodiscard]] Result<Record> parse_record(std::string_view item, const InputOptions& options);

// Cuts a byte stream into items. Reads through `source`, which fills a buffer and returns how many
// bytes it got, 0 at the end, or an error.
class ItemReader {
 public:
  using Source = std::function<Result<std::size_t>(char* buffer, std::size_t bytes)>;
  // An item is no longer than this; more is kTooLarge.
  static constexpr std::size_t kItemBytesMax = std::size_t{1} << 20;

  ItemReader(Source source, InputFormat format)
      : source_(std::move(source)), delimiter_(format == InputFormat::kNull ? '\0' : '\n') {}

  // The next item without its delimiter, valid until the next call; none at the end. A last item
  // needs no delimiter.
  [[nodiscard]] Result<std::optional<std::string_view>> next();
  // Number of the item next() returned, from 1.
  [[nodiscard]] std::size_t number() const { return number_; }
  // True when an item can be returned without reading more.
  [[nodiscard]] bool buffered() const {
    return buffer_.find(delimiter_, position_) != std::string::npos;
  }

 private:
  Source source_;
  char delimiter_;
  std::string buffer_;
  std::size_t position_ = 0;
  std::size_t number_ = 0;
  bool ended_ = false;
};

}  // namespace lignum::cli
