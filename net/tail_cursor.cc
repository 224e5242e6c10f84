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

// `piece` lies in `text`.
std::unexpected<Error> malformed(std::string_view text, std::string_view piece,
                                 std::string_view wanted) {
  constexpr std::size_t kShownMax = 64;
  return fail(Errc::kInvalidArgument, "the cursor is damaged at byte " +
                                          std::to_string(piece.data() - text.data()) + ": '" +
                                          std::string(piece.substr(0, kShownMax)) + "' is not " +
                                          std::string(wanted));
}

// "v2:" and so on.
bool names_a_version(std::string_view text) {
  const std::string_view name = cut(text, ':');
  return name.starts_with('v') && number<std::uint32_t>(name.substr(1)).has_value();
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

Result<TailPositions> parse_cursor(const std::string_view text) {
  if (!text.starts_with(kVersion)) {
    if (names_a_version(text)) {
      return fail(Errc::kUnsupported, "the cursor begins with '" +
                                          std::string(text.substr(0, text.find(':'))) +
                                          ":'; this build knows v1");
    }
    return malformed(text, text, "the beginning of a cursor, 'v1:'");
  }
  if (text.ends_with(',') || text.ends_with(';')) {
    return malformed(text, text.substr(text.size() - 1), "the end of a cursor");
  }
  std::string_view rest = text.substr(kVersion.size());
  TailPositions positions;
  while (!rest.empty()) {
    std::string_view stream_text = cut(rest, ';');
    const std::string_view whole = stream_text;
    const auto stream = number<std::uint64_t>(cut(stream_text, ':'));
    if (!stream || stream_text.empty()) {
      return malformed(text, whole, "STREAM-ID:SHARD=OFFSET");
    }
    while (!stream_text.empty()) {
      std::string_view place = cut(stream_text, ',');
      const std::string_view piece = place;
      const auto shard = number<std::uint32_t>(cut(place, '='));
      const auto offset = number<std::uint64_t>(place);
      if (!shard || !offset) {
        return malformed(text, piece, "SHARD=OFFSET");
      }
      const ShardKey key{.stream = StreamId(*stream), .shard = ShardNumber(*shard)};
      if (positions.size() >= kPositionsMax || !positions.emplace(key, Offset(*offset)).second) {
        return malformed(text, piece,
                         "a shard that comes once, among at most " + std::to_string(kPositionsMax));
      }
    }
  }
  if (positions.empty()) {
    return fail(Errc::kInvalidArgument, "the cursor names no stream");
  }
  return positions;
}

}  // namespace lignum::net
