#include "cli/record_input.h"

#include <fmt/format.h>

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <boost/system/error_code.hpp>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "cli/quantity_text.h"
#include "net/client.h"
#include "raft/error.h"
#include "raft/types.h"
#include "storage/level.h"

namespace lignum::cli {

namespace {

namespace json = boost::json;

Result<Level> level_of(const json::value& value) {
  if (const auto* text = value.if_string()) {
    if (const auto level = level_from_name(*text)) return *level;
  } else if (value.is_int64() && value.as_int64() >= 1 && value.as_int64() <= 24) {
    return static_cast<Level>(value.as_int64());
  }
  return fail(Errc::kInvalidArgument,
              fmt::format("{} is not a level; use a name such as warn or a number 1..24",
                          json::serialize(value)));
}

Result<TimeMs> time_of(const json::value& value) {
  constexpr double kMsPerSecond = 1000;
  // Numbers above this are milliseconds: as seconds they would lie beyond the year 5000.
  constexpr double kSecondsMax = 1e11;
  if (const auto* text = value.if_string()) {
    TRY_ASSIGN(time, parse_calendar_time(*text));
    return time / 1000;
  }
  if (value.is_number()) {
    const double number = value.to_number<double>();
    if (std::isfinite(number) && std::fabs(number) < 9e15) {
      return std::llround(std::fabs(number) < kSecondsMax ? number * kMsPerSecond : number);
    }
  }
  return fail(Errc::kInvalidArgument,
              fmt::format("{} is not a time; use RFC 3339 or seconds since the epoch",
                          json::serialize(value)));
}

std::string text_of(const json::value& value) {
  if (const auto* text = value.if_string()) return {text->data(), text->size()};
  return json::serialize(value);
}

// The bytes of the string at the front of `json`, with its quotes.
std::string_view leading_string(std::string_view json) {
  std::size_t end = 1;
  while (json[end] != '"') end += json[end] == '\\' ? 2 : 1;
  return json.substr(0, end + 1);
}

// A name that an object of `text`, which is JSON, has more than once. Boost.JSON keeps the last of
// such members and forgets the others.
std::optional<std::string> repeated_name(std::string_view text) {
  // Of the objects that are open, the innermost last.
  std::vector<std::set<std::string>> names;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '{') names.emplace_back();
    if (text[at] == '}') names.pop_back();
    if (text[at] != '"') continue;
    const std::string_view quoted = leading_string(text.substr(at));
    at += quoted.size() - 1;
    const std::size_t next = text.find_first_not_of(" \t\r\n", at + 1);
    // A string with a colon behind it is a name.
    if (next == std::string_view::npos || text[next] != ':') continue;
    std::string name = text_of(json::parse(json::string_view(quoted.data(), quoted.size())));
    if (!names.back().insert(name).second) return name;
  }
  return std::nullopt;
}

Result<Record> parse_json(std::string_view item, const InputOptions& options, Record record) {
  boost::system::error_code error;
  const json::value parsed = json::parse(json::string_view(item.data(), item.size()), error);
  const json::object* object = error ? nullptr : parsed.if_object();
  if (object == nullptr) {
    return fail(Errc::kInvalidArgument,
                error ? "not JSON: " + error.message() : std::string("not a JSON object"));
  }
  if (const auto name = repeated_name(item)) {
    return fail(Errc::kInvalidArgument,
                fmt::format("an object has the member '{}' more than once; which one counts is not "
                            "defined, so name each differently or leave one out",
                            *name));
  }
  // "msg" is only taken for the message where there is none.
  const std::string_view message_name =
      object->contains(options.message_field) ? std::string_view(options.message_field) : "msg";
  bool message = false;
  for (const auto& [name, value] : *object) {
    const std::string_view member(name.data(), name.size());
    if (options.key_field && member == *options.key_field) {
      record.key = to_bytes(text_of(value));
    }
    if (member == message_name) {
      record.value = to_bytes(text_of(value));
      message = true;
    } else if (member == options.level_field) {
      TRY_ASSIGN(level, level_of(value));
      record.level = level;
    } else if (member == options.time_field) {
      TRY_ASSIGN(time, time_of(value));
      record.time = time;
    } else if (member == kLevelHeader) {
      // The name is reserved for the level itself.
      record.fields.push_back({.name = "level_", .value = text_of(value)});
    } else {
      record.fields.push_back({.name = std::string(member), .value = text_of(value)});
    }
  }
  if (!message) record.value = to_bytes(item);
  return record;
}

Result<std::string_view> strip_priority(std::string_view item, Record& record) {
  const std::size_t end = item.find('>');
  unsigned priority = 0;
  constexpr unsigned kPriorityMax = 191;  // RFC 5424, 6.2.1
  if (item.starts_with('<') && end != std::string_view::npos) {
    const auto [rest, error] = std::from_chars(item.data() + 1, item.data() + end, priority);
    if (error == std::errc{} && rest == item.data() + end && priority <= kPriorityMax) {
      record.level = level_from_syslog(static_cast<std::uint8_t>(priority % 8));
      record.fields.push_back({.name = "facility", .value = std::to_string(priority / 8)});
      return item.substr(end + 1);
    }
  }
  return fail(Errc::kInvalidArgument, "no syslog priority <0>..<191> at its beginning");
}

}  // namespace

Result<Record> parse_record(std::string_view item, const InputOptions& options) {
  Record record;
  record.level = options.level;
  record.fields = options.fields;
  if (options.key) record.key = to_bytes(*options.key);
  if (options.format == InputFormat::kJson) return parse_json(item, options, std::move(record));
  if (options.syslog) {
    TRY_ASSIGN(rest, strip_priority(item, record));
    item = rest;
  }
  record.value = to_bytes(item);
  return record;
}

Result<std::optional<std::string_view>> ItemReader::next() {
  for (;;) {
    const std::size_t end = buffer_.find(delimiter_, position_);
    if (end != std::string::npos) {
      const std::string_view item = std::string_view(buffer_).substr(position_, end - position_);
      position_ = end + 1;
      ++number_;
      return item;
    }
    const std::size_t unread = buffer_.size() - position_;
    if (ended_) {
      if (unread == 0) return std::optional<std::string_view>();
      const std::string_view item = std::string_view(buffer_).substr(position_);
      position_ = buffer_.size();
      ++number_;
      return item;
    }
    if (unread > kItemBytesMax) {
      return fail(Errc::kTooLarge, fmt::format("it is longer than {} bytes", kItemBytesMax));
    }
    buffer_.erase(0, position_);
    position_ = 0;
    constexpr std::size_t kReadBytes = std::size_t{64} << 10;
    const std::size_t filled = buffer_.size();
    buffer_.resize(filled + kReadBytes);
    auto got = source_(buffer_.data() + filled, kReadBytes);
    buffer_.resize(filled + (got ? *got : 0));
    if (!got) return std::unexpected(got.error());
    ended_ = *got == 0;
  }
}

}  // namespace lignum::cli
