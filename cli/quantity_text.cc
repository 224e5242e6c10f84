#include "cli/quantity_text.h"

#include <fmt/format.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <ctime>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "raft/error.h"
#include "raft/types.h"

namespace lignum::cli {

namespace {

constexpr std::int64_t kUsPerSecond = 1'000'000;
// Seconds since 1970: years have four digits.
constexpr double kYear10000 = 253'402'300'800;

struct Number {
  double value = 0;
  std::string_view rest;
};

std::optional<Number> leading_number(std::string_view text) {
  double value = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
  if (error != std::errc{} || value < 0 || !std::isfinite(value)) return std::nullopt;
  return Number{.value = value, .rest = text.substr(static_cast<std::size_t>(end - text.data()))};
}

template <std::size_t kCount>
using Units = std::array<std::pair<std::string_view, double>, kCount>;

constexpr Units<11> kSizeUnits = {{{"", 1},
                                   {"B", 1},
                                   {"KiB", 1024.0},
                                   {"MiB", 1048576.0},
                                   {"GiB", 1073741824.0},
                                   {"TiB", 1099511627776.0},
                                   {"kB", 1e3},
                                   {"KB", 1e3},
                                   {"MB", 1e6},
                                   {"GB", 1e9},
                                   {"TB", 1e12}}};
// Longest names first: "ms" before "m".
constexpr Units<8> kTimeUnits = {{{"us", 1},
                                  {"ms", 1e3},
                                  {"ns", 1e-3},
                                  {"s", 1e6},
                                  {"m", 60e6},
                                  {"h", 3600e6},
                                  {"d", 86400e6},
                                  {"w", 604800e6}}};

// What stands behind date and time: nothing, Z, or an offset such as +05:30.
struct ZoneText {
  Zone zone = Zone::kLocal;
  // East of Greenwich; with kUtc.
  std::int64_t offset_seconds = 0;
};

std::optional<ZoneText> parse_zone(std::string_view text) {
  if (text.empty()) return ZoneText{};
  if (text == "Z") return ZoneText{.zone = Zone::kUtc};
  constexpr std::string_view kShape = "+00:00";
  if (text.size() != kShape.size() || (text[0] != '+' && text[0] != '-') || text[3] != ':') {
    return std::nullopt;
  }
  const auto digits = [text](std::size_t at) -> std::optional<std::int64_t> {
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(text.data() + at, text.data() + at + 2, number);
    if (error != std::errc{} || end != text.data() + at + 2 || number < 0) return std::nullopt;
    return number;
  };
  const auto hours = digits(1);
  const auto minutes = digits(4);
  if (!hours || !minutes || *hours > 23 || *minutes > 59) return std::nullopt;
  const std::int64_t seconds = (*hours * 60 + *minutes) * 60;
  return ZoneText{.zone = Zone::kUtc, .offset_seconds = text[0] == '-' ? -seconds : seconds};
}

// strptime takes the 31st of every month and the 61st second of every minute; what then counts
// days makes another date of it.
bool exists(const std::tm& broken) {
  const std::chrono::year_month_day day(
      std::chrono::year(broken.tm_year + 1900),
      std::chrono::month(static_cast<unsigned>(broken.tm_mon + 1)),
      std::chrono::day(static_cast<unsigned>(broken.tm_mday)));
  return day.ok() && broken.tm_sec <= 60;
}

// The time, where the text has this shape: `format` as strptime takes it, then a fraction and a
// zone. kInvalidArgument for one that the calendar does not have.
std::optional<Result<TimeUs>> calendar_time(const std::string& text, const char* format) {
  std::tm broken{};
  broken.tm_isdst = -1;
  const char* rest = ::strptime(text.c_str(), format, &broken);
  if (rest == nullptr) return std::nullopt;
  const char* const end = text.data() + text.size();
  double fraction = 0;
  if (*rest == '.') {
    const auto parsed = std::from_chars(rest, end, fraction, std::chars_format::fixed);
    if (parsed.ec != std::errc{}) return std::nullopt;
    rest = parsed.ptr;
  }
  const auto zone = parse_zone({rest, static_cast<std::size_t>(end - rest)});
  if (!zone) return std::nullopt;
  if (!exists(broken)) {
    return fail(Errc::kInvalidArgument, fmt::format("'{}' is not in the calendar", text));
  }
  const std::time_t seconds =
      zone->zone == Zone::kUtc ? ::timegm(&broken) - zone->offset_seconds : std::mktime(&broken);
  return TimeUs{seconds} * kUsPerSecond +
         static_cast<TimeUs>(std::llround(fraction * kUsPerSecond));
}

std::optional<Result<TimeUs>> calendar_time(const std::string& text) {
  for (const char* format :
       {"%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M", "%Y-%m-%d"}) {
    if (const auto time = calendar_time(text, format)) return time;
  }
  return std::nullopt;
}

TimeUs midnight(TimeUs now, int days_ago) {
  const std::time_t seconds = now / kUsPerSecond;
  std::tm broken{};
  ::localtime_r(&seconds, &broken);
  broken.tm_hour = broken.tm_min = broken.tm_sec = 0;
  broken.tm_mday -= days_ago;
  broken.tm_isdst = -1;
  return TimeUs{std::mktime(&broken)} * kUsPerSecond;
}

std::tm broken_down(std::time_t seconds, Zone zone) {
  std::tm broken{};
  if (zone == Zone::kUtc) {
    ::gmtime_r(&seconds, &broken);
  } else {
    ::localtime_r(&seconds, &broken);
  }
  return broken;
}

std::time_t whole_seconds(TimeUs time) {
  return time >= 0 ? time / kUsPerSecond : (time - kUsPerSecond + 1) / kUsPerSecond;
}

}  // namespace

Result<std::uint64_t> parse_size(std::string_view text) {
  if (const auto number = leading_number(text)) {
    for (const auto& [unit, factor] : kSizeUnits) {
      if (number->rest != unit) continue;
      const double bytes = number->value * factor;
      if (bytes > 9e18) break;
      return static_cast<std::uint64_t>(bytes);
    }
  }
  return fail(Errc::kInvalidArgument,
              fmt::format("'{}' is not a size; write it like 4096, 64KiB or 1MB", text));
}

Result<std::chrono::microseconds> parse_duration(std::string_view text) {
  const auto refuse = [text] {
    return fail(Errc::kInvalidArgument,
                fmt::format("'{}' is not a duration; write it like 300ms, 5m, 2h30m or 7d", text));
  };
  double total = 0;
  std::string_view rest = text;
  if (rest.empty()) return refuse();
  while (!rest.empty()) {
    const auto number = leading_number(rest);
    if (!number) return refuse();
    bool known = false;
    for (const auto& [unit, factor] : kTimeUnits) {
      if (!number->rest.starts_with(unit)) continue;
      total += number->value * factor;
      rest = number->rest.substr(unit.size());
      known = true;
      break;
    }
    if (!known) return refuse();
  }
  if (total > 9e18) return refuse();
  return std::chrono::microseconds(std::llround(total));
}

Result<std::chrono::milliseconds> parse_wait(std::string_view text) {
  // What waits adds it to a clock, some in nanoseconds.
  constexpr std::chrono::days kWaitMax{36500};
  TRY_ASSIGN(duration, parse_duration(text));
  if (duration.count() == 0) {
    return fail(Errc::kInvalidArgument,
                fmt::format("'{}' would not wait at all; write how long, like 500ms or 10s", text));
  }
  if (duration > kWaitMax) {
    return fail(Errc::kInvalidArgument,
                fmt::format("'{}' is too long; the longest is {}d", text, kWaitMax.count()));
  }
  return std::chrono::ceil<std::chrono::milliseconds>(duration);
}

Result<TimeUs> parse_calendar_time(std::string_view text) {
  if (auto time = calendar_time(std::string(text))) return *std::move(time);
  return fail(Errc::kInvalidArgument,
              fmt::format("'{}' is not a time; write it like 2026-11-23T10:00:00Z", text));
}

Result<TimeUs> parse_time(std::string_view text, TimeUs now) {
  if (text == "now") return now;
  if (text == "today") return midnight(now, 0);
  if (text == "yesterday") return midnight(now, 1);
  if (text.starts_with('@')) {
    const auto seconds = leading_number(text.substr(1));
    if (seconds && seconds->rest.empty() && seconds->value < kYear10000) {
      return static_cast<TimeUs>(std::llround(seconds->value * kUsPerSecond));
    }
  }
  if (auto time = calendar_time(std::string(text))) return *std::move(time);
  // Longer ago than there are times is from the beginning.
  if (const auto ago = parse_duration(text)) return std::max<TimeUs>(0, now - ago->count());
  return fail(Errc::kInvalidArgument,
              fmt::format("'{}' is not a time; write it like 5m (ago), yesterday, "
                          "2026-11-23T10:00:00Z, '2026-11-23 10:00' or @1700000000",
                          text));
}

std::string rfc3339(TimeUs time, Zone zone) {
  const std::time_t seconds = whole_seconds(time);
  const std::tm broken = broken_down(seconds, zone);
  std::string text = fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}", broken.tm_year + 1900,
                                 broken.tm_mon + 1, broken.tm_mday, broken.tm_hour, broken.tm_min,
                                 broken.tm_sec, time - TimeUs{seconds} * kUsPerSecond);
  if (zone == Zone::kUtc) return text + "Z";
  const long offset = broken.tm_gmtoff / 60;
  return text + fmt::format("{}{:02}:{:02}", offset < 0 ? '-' : '+', std::labs(offset) / 60,
                            std::labs(offset) % 60);
}

std::string short_time(TimeUs time, Zone zone) {
  constexpr std::array<std::string_view, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const std::time_t seconds = whole_seconds(time);
  const std::tm broken = broken_down(seconds, zone);
  return fmt::format("{} {:02} {:02}:{:02}:{:02}.{:03}",
                     kMonths.at(static_cast<std::size_t>(broken.tm_mon)), broken.tm_mday,
                     broken.tm_hour, broken.tm_min, broken.tm_sec,
                     (time - TimeUs{seconds} * kUsPerSecond) / 1000);
}

std::string human_bytes(std::uint64_t bytes) {
  if (bytes < 1024) return fmt::format("{} B", bytes);
  auto value = static_cast<double>(bytes);
  std::string_view unit;
  for (const std::string_view next : {"KiB", "MiB", "GiB", "TiB"}) {
    if (value < 1024) break;
    value /= 1024;
    unit = next;
  }
  return fmt::format("{:.1f} {}", value, unit);
}

std::string human_duration(std::chrono::milliseconds duration) {
  std::int64_t left = duration.count();
  if (left < 0) return "for ever";
  if (left == 0) return "0s";
  std::string text;
  int parts = 0;
  constexpr std::array<std::pair<std::int64_t, std::string_view>, 5> kUnits = {
      {{86'400'000, "d"}, {3'600'000, "h"}, {60'000, "m"}, {1000, "s"}, {1, "ms"}}};
  for (const auto& [length, unit] : kUnits) {
    const std::int64_t count = left / length;
    if (count == 0 || parts == 2) continue;
    text += fmt::format("{}{}", count, unit);
    left -= count * length;
    ++parts;
  }
  return text;
}

}  // namespace lignum::cli
