#pragma once

// Sizes, durations and points in time as people write them. Pure: `now` is a value.

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "raft/error.h"
#include "raft/types.h"

namespace lignum::cli {

// "4096", "64KiB", "1MiB", "2GiB" (binary) or "1kB", "5MB" (decimal).
[[nodiscard]] Result<std::uint64_t> parse_size(std::string_view text);
// Go style: "300ms", "1.5s", "5m", "2h30m", "7d", "2w". A bare number is refused: it has no unit.
[[nodiscard]] Result<std::chrono::microseconds> parse_duration(std::string_view text);

// A duration that something waits for: kInvalidArgument for none at all and above 36500d.
[[nodiscard]] Result<std::chrono::milliseconds> parse_wait(std::string_view text);

// Only the first two of the forms below: what means the same whenever it is read.
[[nodiscard]] Result<TimeUs> parse_calendar_time(std::string_view text);
// A moment:
//   2026-11-23T10:00:00Z   RFC 3339, with Z or an offset; fractions are taken
//   2026-11-23 10:00[:00]  local time; a bare date is its midnight
//   @1700000000[.5]        seconds since the epoch
//   5m, 2h, 7d             that long ago, but not before 1970
//   now, today, yesterday
// Days and times that the calendar does not have (2026-02-30) are refused.
[[nodiscard]] Result<TimeUs> parse_time(std::string_view text, TimeUs now);

enum class Zone : std::uint8_t { kLocal, kUtc };

// "2026-11-23T10:00:00.123456Z" or, local, with the offset.
[[nodiscard]] std::string rfc3339(TimeUs time, Zone zone);
// "Nov 23 10:00:00.123".
[[nodiscard]] std::string short_time(TimeUs time, Zone zone);
// "1.5 GiB".
[[nodiscard]] std::string human_bytes(std::uint64_t bytes);
// "7d", "2h30m", "350ms".
[[nodiscard]] std::string human_duration(std::chrono::milliseconds duration);

}  // namespace lignum::cli
