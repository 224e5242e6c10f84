#include "cli/whole_number.h"

#include <fmt/format.h>

#include <charconv>
#include <cstdint>
#include <string_view>
#include <system_error>

#include "raft/error.h"

namespace lignum::cli {

Result<std::uint64_t> parse_whole_number(std::string_view text, std::uint64_t most) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc::invalid_argument || end != text.data() + text.size()) {
    return fail(Errc::kInvalidArgument,
                fmt::format("'{}' is not a whole number; write digits only, like 42", text));
  }
  if (error != std::errc{} || number > most) {
    return fail(Errc::kInvalidArgument,
                fmt::format("'{}' is too large; the largest is {}", text, most));
  }
  return number;
}

}  // namespace lignum::cli
