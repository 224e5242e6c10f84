#include "storage/level.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "raft/check.h"
#include "raft/error.h"

namespace lignum {

namespace {

constexpr std::uint8_t kLevelMin = 1;

using Named = std::pair<std::string_view, Level>;

// In order; a range ends where the next begins.
constexpr std::array<Named, 9> kRanges = {{{"trace", Level::kTrace},
                                           {"debug", Level::kDebug},
                                           {"info", Level::kInfo},
                                           {"notice", Level::kNotice},
                                           {"warn", Level::kWarn},
                                           {"error", Level::kError},
                                           {"critical", Level::kCritical},
                                           {"alert", Level::kAlert},
                                           {"fatal", Level::kFatal}}};

constexpr std::array<Named, 7> kAliases = {{{"informational", Level::kInfo},
                                            {"warning", Level::kWarn},
                                            {"err", Level::kError},
                                            {"crit", Level::kCritical},
                                            {"emerg", Level::kFatal},
                                            {"emergency", Level::kFatal},
                                            {"panic", Level::kFatal}}};

// By syslog severity (RFC 5424, 6.2.1), as the OpenTelemetry data model maps them.
constexpr std::array<Level, 8> kSyslog = {Level::kFatal, Level::kAlert, Level::kCritical,
                                          Level::kError, Level::kWarn,  Level::kNotice,
                                          Level::kInfo,  Level::kDebug};

bool same_ignoring_case(std::string_view left, std::string_view right) {
  return std::equal(left.begin(), left.end(), right.begin(), right.end(), [](char a, char b) {
    return std::tolower(static_cast<unsigned char>(a)) ==
           std::tolower(static_cast<unsigned char>(b));
  });
}

std::size_t range_of(Level level) {
  std::size_t found = 0;
  for (std::size_t i = 0; i < kRanges.size(); ++i) {
    if (kRanges.at(i).second <= level) {
      found = i;
    }
  }
  return found;
}

Level last_of_range(Level level) {
  const std::size_t next = range_of(level) + 1;
  return next == kRanges.size()
             ? Level::kFatal4
             : Level{static_cast<std::uint8_t>(static_cast<unsigned>(kRanges.at(next).second) - 1)};
}

// A name, or a syslog number.
std::optional<Level> filter_end(std::string_view text) {
  if (text.size() == 1 && text[0] >= '0' && text[0] <= '7') {
    return level_from_syslog(static_cast<std::uint8_t>(text[0] - '0'));
  }
  return level_from_name(text);
}

}  // namespace

std::string_view level_name(Level level) { return kRanges.at(range_of(level)).first; }

std::optional<Level> level_from_name(std::string_view name) {
  for (const auto& [range, first] : kRanges) {
    if (same_ignoring_case(name, range)) {
      return first;
    }
  }
  for (const auto& [alias, level] : kAliases) {
    if (same_ignoring_case(name, alias)) {
      return level;
    }
  }
  return std::nullopt;
}

Level level_from_syslog(std::uint8_t severity) {
  CHECK(severity < kSyslog.size());
  return kSyslog.at(severity);
}

std::optional<Level> level_from_header(std::string_view text) {
  if (text.empty() || text.size() > 2 || text[0] == '0') {
    return std::nullopt;
  }
  std::uint8_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number < kLevelMin ||
      number > static_cast<std::uint8_t>(Level::kFatal4)) {
    return std::nullopt;
  }
  return Level{number};
}

std::uint32_t level_range_mask(Level low, Level high) {
  std::uint32_t mask = 0;
  for (unsigned number = static_cast<unsigned>(low); number <= static_cast<unsigned>(high);
       ++number) {
    mask |= 1U << number;
  }
  return mask;
}

Result<std::uint32_t> parse_level_filter(std::string_view text) {
  const auto dots = text.find("..");
  const auto first = filter_end(text.substr(0, dots));
  const auto second =
      dots == std::string_view::npos ? Level::kFatal4 : filter_end(text.substr(dots + 2));
  if (!first || !second) {
    return fail(Errc::kInvalidArgument,
                "level filter '" + std::string(text) +
                    "': use a name (trace, debug, info, notice, warn, error, critical, alert, "
                    "fatal) or a syslog number 0-7 for that level and above, or a range such as "
                    "info..error");
  }
  if (dots == std::string_view::npos) {
    return level_range_mask(*first, Level::kFatal4);
  }
  const auto [low, high] = std::minmax(*first, *second);
  return level_range_mask(low, last_of_range(high));
}

}  // namespace lignum
