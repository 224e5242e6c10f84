#include "net/tail_cursor.h"

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

#include "raft/error.h"
#include "raft/types.h"

namespace lignum::net {

namespace {

constexpr std::string_view kVersion = "v1:";
// Positions of one cursor; more is not something that a tail has written.
constexpr std::size_t kPositionsMax = 65536;

// The piece up to `end`, removed from `text` together with it.
std::string_view cut(std::string_view& text, char end) {
  const std::size_t at = text.find(end);
  const std::string_view piece = text.substr(0, at);
  text.remove_prefix(at == std::string_view::npos ? text.size() : at + 1);
  return piece;
}

template <class Number>
std::optional<Number> number(std::string_view text) {
  Number value = 0;
  const auto [stopped, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || stopped != text.data() + text.size()) {
    return std::nullopt;
  }
  return value;
}

Error malformed(std::string_view piece) {
  return {Errc::kInvalidArgument,
          "the cursor is damaged at '" + std::string(piece.substr(0, 64)) + "'"};
}

}  // namespace

std::string format_cursor(const TailPositions& positions) {
  std::string text(kVersion);
  std::optional<StreamId> stream;
  for (const auto& [key, offset] : positions) {
    if (stream != key.stream) {
      text += (stream ? ";" : "") + std::to_string(key.stream.value()) + ":";
      stream = key.stream;
    } else {
      text += ",";
    }
    text += std::to_string(key.shard.value()) + "=" + std::to_string(offset.value());
  }
  return text;
}

Result<TailPositions> parse_cursor(std::string_view text) {
  if (!text.starts_with(kVersion)) {
    return fail(Errc::kUnsupported, "the cursor does not start with 'v1:'");
  }
  text.remove_prefix(kVersion.size());
  TailPositions positions;
  while (!text.empty()) {
    std::string_view stream_text = cut(text, ';');
    const std::string_view whole = stream_text;
    const auto stream = number<std::uint64_t>(cut(stream_text, ':'));
    if (!stream || stream_text.empty()) {
      return std::unexpected(malformed(whole));
    }
    while (!stream_text.empty()) {
      std::string_view place = cut(stream_text, ',');
      const std::string_view piece = place;
      const auto shard = number<std::uint32_t>(cut(place, '='));
      const auto offset = number<std::uint64_t>(place);
      if (!shard || !offset || positions.size() >= kPositionsMax ||
          !positions
               .emplace(ShardKey{.stream = StreamId(*stream), .shard = ShardNumber(*shard)},
                        Offset(*offset))
               .second) {
        return std::unexpected(malformed(piece));
      }
    }
  }
  if (positions.empty()) {
    return fail(Errc::kInvalidArgument, "the cursor names no stream");
  }
  return positions;
}

}  // namespace lignum::net
