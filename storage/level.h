#pragma once

// Severity of a record, as OpenTelemetry numbers it (logs data model, SeverityNumber 1..24).
//
// On disk and on the wire a level is the record header "level" with the decimal number as text;
// that header name is reserved. Names and syslog numbers are for people.

#include <cstdint>
#include <optional>
#include <string_view>

#include "raft/error.h"

namespace lignum {

enum class Level : std::uint8_t {
  kTrace = 1,
  kDebug = 5,
  kInfo = 9,
  kNotice = 10,
  kWarn = 13,
  kError = 17,
  kCritical = 18,
  kAlert = 19,
  kFatal = 21,
  kFatal4 = 24,  // the highest
};  // any number 1..24 is a valid Level

inline constexpr std::string_view kLevelHeader = "level";

// Short name of the range a level lies in: trace debug info notice warn error critical alert fatal.
[[nodiscard]] std::string_view level_name(Level level);
// A name (any case, with the common aliases: warning, err, crit, emerg, panic), or none.
[[nodiscard]] std::optional<Level> level_from_name(std::string_view name);
// Syslog severity 0..7 (0 = emerg) to a level.
[[nodiscard]] Level level_from_syslog(std::uint8_t severity);
// Decimal text "1".."24", as the record header holds it.
[[nodiscard]] std::optional<Level> level_from_header(std::string_view text);

// Bit n is severity number n; bit 0 stands for "no level".
[[nodiscard]] constexpr std::uint32_t level_bit(std::optional<Level> level) {
  return level ? 1U << static_cast<unsigned>(*level) : 1U;
}
// All levels from `low` to `high`, both included.
[[nodiscard]] std::uint32_t level_range_mask(Level low, Level high);
// "warn" (warn and above), "3" (syslog, and above), "info..error" (a range): kInvalidArgument with
// the accepted forms otherwise. Records without a level match only the absence of a filter.
[[nodiscard]] Result<std::uint32_t> parse_level_filter(std::string_view text);

}  // namespace lignum
