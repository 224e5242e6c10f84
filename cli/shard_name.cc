#include "cli/shard_name.h"

#include <fmt/format.h>

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

#include "raft/error.h"
#include "raft/types.h"

namespace lignum::cli {

Result<ShardName> parse_shard_name(std::string_view text) {
  const std::size_t slash = text.find('/');
  ShardName name{.stream = std::string(text.substr(0, slash)), .shard = std::nullopt};
  if (slash == std::string_view::npos) return name;
  const std::string_view digits = text.substr(slash + 1);
  std::uint32_t number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (error != std::errc{} || end != digits.data() + digits.size()) {
    return fail(Errc::kInvalidArgument,
                fmt::format("'{}' names no shard; write STREAM/0, STREAM/1 ...", text));
  }
  name.shard = ShardNumber(number);
  return name;
}

}  // namespace lignum::cli
