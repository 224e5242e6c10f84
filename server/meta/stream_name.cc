#include "server/meta/stream_name.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <string_view>

#include "raft/error.h"

namespace lignum::server {

namespace {

bool allowed(char character) {
  return (character >= 'a' && character <= 'z') || (character >= 'A' && character <= 'Z') ||
         (character >= '0' && character <= '9') || character == '.' || character == '_' ||
         character == '-';
}

}  // namespace

Result<void> check_stream_name(std::string_view name) {
  if (name.empty()) return fail(Errc::kInvalidArgument, "a stream name must not be empty");
  if (name.size() > kStreamNameBytesMax) {
    return fail(Errc::kInvalidArgument,
                fmt::format("a stream name of {} characters is too long; at most {} are allowed",
                            name.size(), kStreamNameBytesMax));
  }
  if (name == "." || name == "..") {
    return fail(Errc::kInvalidArgument, "'.' and '..' are not stream names");
  }
  const auto* const bad = std::find_if_not(name.begin(), name.end(), allowed);
  if (bad != name.end()) {
    return fail(Errc::kInvalidArgument,
                fmt::format("byte 0x{:02x} at position {} of the stream name is not allowed; use "
                            "letters, digits, '.', '_' and '-'",
                            static_cast<unsigned char>(*bad), bad - name.begin()));
  }
  return {};
}

Result<void> check_new_stream_name(std::string_view name) {
  TRY(check_stream_name(name));
  if (!name.starts_with('-')) return {};
  return fail(Errc::kInvalidArgument,
              "a stream name must not begin with '-': a command line takes it for a flag");
}

Result<void> check_shard_count(std::uint32_t shards) {
  if (shards == 0 || shards > kShardsPerStreamMax) {
    return fail(Errc::kInvalidArgument,
                fmt::format("shards = {}; a stream has 1 to {}", shards, kShardsPerStreamMax));
  }
  return {};
}

Result<void> check_retention(std::string_view field, std::int64_t value) {
  if (value < -1) {
    return fail(Errc::kInvalidArgument,
                fmt::format("{} = {}; it is 0 or more, or -1 for no limit", field, value));
  }
  return {};
}

}  // namespace lignum::server
