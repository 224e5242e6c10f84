#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <limits>
#include <numeric>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include "raft/error.h"
#include "server/options.h"

namespace lignum::server {

namespace {

struct Unit {
  std::string_view name;
  std::uint64_t factor;
};

constexpr std::array kSizeUnits = {Unit{.name = "EiB", .factor = std::uint64_t{1} << 60},
                                   Unit{.name = "PiB", .factor = std::uint64_t{1} << 50},
                                   Unit{.name = "TiB", .factor = std::uint64_t{1} << 40},
                                   Unit{.name = "GiB", .factor = std::uint64_t{1} << 30},
                                   Unit{.name = "MiB", .factor = std::uint64_t{1} << 20},
                                   Unit{.name = "KiB", .factor = std::uint64_t{1} << 10},
                                   Unit{.name = "EB", .factor = 1'000'000'000'000'000'000},
                                   Unit{.name = "PB", .factor = 1'000'000'000'000'000},
                                   Unit{.name = "TB", .factor = 1'000'000'000'000},
                                   Unit{.name = "GB", .factor = 1'000'000'000},
                                   Unit{.name = "MB", .factor = 1'000'000},
                                   Unit{.name = "kB", .factor = 1'000},
                                   Unit{.name = "B", .factor = 1},
                                   Unit{.name = "", .factor = 1}};

constexpr std::array kDurationUnits = {
    Unit{.name = "d", .factor = 86'400'000}, Unit{.name = "h", .factor = 3'600'000},
    Unit{.name = "m", .factor = 60'000}, Unit{.name = "s", .factor = 1'000},
    Unit{.name = "ms", .factor = 1}};

// Of all numbers here: formats and protocol keep them with a sign.
constexpr std::uint64_t kNumberMax = std::numeric_limits<std::int64_t>::max();

enum class NumberTrouble : std::uint8_t { kNotOne, kTooLarge };

// Digits, then one of the units and nothing else.
std::expected<std::uint64_t, NumberTrouble> parse_number(std::string_view text,
                                                         std::span<const Unit> units) {
  std::uint64_t number = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc::invalid_argument) return std::unexpected(NumberTrouble::kNotOne);
  std::string_view unit = text.substr(static_cast<std::size_t>(rest - text.data()));
  while (unit.starts_with(' ')) unit.remove_prefix(1);
  const auto known = std::ranges::find(units, unit, &Unit::name);
  if (known == units.end()) return std::unexpected(NumberTrouble::kNotOne);
  if (error != std::errc{} || number > kNumberMax / known->factor) {
    return std::unexpected(NumberTrouble::kTooLarge);
  }
  return number * known->factor;
}

// The largest unit that divides the value.
std::string print_number(std::uint64_t value, std::span<const Unit> units) {
  for (const Unit& unit : units) {
    if (value >= unit.factor && value % unit.factor == 0) {
      return fmt::format("{}{}", value / unit.factor, unit.name);
    }
  }
  return fmt::format("{}{}", value, units.back().name);
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t change = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, change});
    }
  }
  return row.back();
}

}  // namespace

Result<std::uint64_t> parse_size(std::string_view text) {
  const auto bytes = parse_number(text, kSizeUnits);
  if (bytes) return *bytes;
  if (bytes.error() == NumberTrouble::kTooLarge) {
    return fail(
        Errc::kInvalidArgument,
        fmt::format("'{}' is too large: at most {} bytes, one less than 8EiB", text, kNumberMax));
  }
  return fail(Errc::kInvalidArgument,
              fmt::format("'{}' is not a size: write digits and a unit, such as 64MiB, 1GB or "
                          "4096",
                          text));
}

Result<std::chrono::milliseconds> parse_duration(std::string_view text) {
  const auto number = parse_number(text, kDurationUnits);
  if (number) return std::chrono::milliseconds(static_cast<std::int64_t>(*number));
  if (number.error() == NumberTrouble::kTooLarge) {
    const Unit& day = kDurationUnits.front();
    return fail(Errc::kInvalidArgument, fmt::format("'{}' is too large: at most {}{}", text,
                                                    kNumberMax / day.factor, day.name));
  }
  return fail(Errc::kInvalidArgument,
              fmt::format("'{}' is not a duration: write digits and a unit, such as 7d, 12h, 30m, "
                          "10s or 250ms",
                          text));
}

std::string print_size(std::uint64_t bytes) {
  static constexpr std::array kBinary = {kSizeUnits[0],
                                         kSizeUnits[1],
                                         kSizeUnits[2],
                                         kSizeUnits[3],
                                         kSizeUnits[4],
                                         kSizeUnits[5],
                                         Unit{.name = "", .factor = 1}};
  return print_number(bytes, kBinary);
}

std::string print_duration(std::chrono::milliseconds duration) {
  return print_number(static_cast<std::uint64_t>(duration.count()), kDurationUnits);
}

std::optional<std::string> nearest_name(std::string_view name, std::span<const std::string> known) {
  std::optional<std::string> best;
  // Further away than a third of its letters a name is another word.
  std::size_t best_distance = std::max<std::size_t>(2, name.size() / 3) + 1;
  for (const std::string& candidate : known) {
    const std::size_t distance = edit_distance(name, candidate);
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best;
}

Result<HostPort> parse_host_port(std::string_view text) {
  const auto wrong = [text] {
    return fail(Errc::kInvalidArgument,
                fmt::format("'{}' is not an address: write HOST:PORT, such as 127.0.0.1:7400, "
                            "[::1]:7400 or localhost:7400",
                            text));
  };
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return wrong();
  std::string_view host = text.substr(0, colon);
  const std::string_view port_text = text.substr(colon + 1);
  if (host.starts_with('[') && host.ends_with(']')) {
    host = host.substr(1, host.size() - 2);
  } else if (host.contains(':')) {
    return wrong();
  }
  std::uint16_t port = 0;
  const auto [rest, error] =
      std::from_chars(port_text.data(), port_text.data() + port_text.size(), port);
  if (error != std::errc{} || rest != port_text.data() + port_text.size() || host.empty()) {
    return wrong();
  }
  return HostPort{.host = std::string(host), .port = port};
}

bool is_loopback(std::string_view host) {
  if (host == "localhost" || host == "::1") return true;
  // 127.0.0.0/8, and nothing like 127.evil.example.
  return host.starts_with("127.") &&
         std::ranges::all_of(host, [](char c) { return c == '.' || (c >= '0' && c <= '9'); });
}

}  // namespace lignum::server
