#pragma once

// Time as the client's cores see it: a value that the shell passes in, never a clock.

#include <cstdint>

namespace lignum::net {

// Microseconds of a clock that never steps. Only differences have a meaning.
using Moment = std::int64_t;

inline constexpr Moment kMomentMax = INT64_MAX;

inline constexpr Moment kMillisecond = 1000;
inline constexpr Moment kSecond = 1000 * kMillisecond;

}  // namespace lignum::net
