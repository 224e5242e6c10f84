#pragma once

// What a stream may be called, how many shards it may have, and how long it may keep records:
// Kafka's rules for topics, and no '-' in front of a name.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "raft/error.h"

namespace lignum::server {

inline constexpr std::size_t kStreamNameBytesMax = 249;
inline constexpr std::uint32_t kShardsPerStreamMax = 1024;
// Streams of one cluster.
inline constexpr std::size_t kStreamsMax = 50'000;

// [A-Za-z0-9._-]{1,249}, neither "." nor "..": kInvalidArgument says what is wrong, without
// repeating bytes that a terminal could take for commands.
[[nodiscard]] Result<void> check_stream_name(std::string_view name);

// Of a stream that is still to be made: also no '-' in front, which every command line takes for a
// flag. Entries and images may hold such names from before that rule; they stay valid.
[[nodiscard]] Result<void> check_new_stream_name(std::string_view name);

// 1 .. kShardsPerStreamMax.
[[nodiscard]] Result<void> check_shard_count(std::uint32_t shards);

// -1, for no limit, or from 0 on; `field` is its name for the message.
[[nodiscard]] Result<void> check_retention(std::string_view field, std::int64_t value);

}  // namespace lignum::server
