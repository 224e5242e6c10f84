#include "net/backoff.h"

#include <algorithm>
#include <cstdint>

#include "net/moment.h"

namespace lignum::net {

namespace {

// SplitMix64 (Steele, Lea, Flood 2014): one word of state, good enough to spread retries.
std::uint64_t draw(std::uint64_t& state) {
  state += 0x9E3779B97F4A7C15ULL;
  std::uint64_t z = state;
  z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9ULL;
  z = (z ^ (z >> 27U)) * 0x94D049BB133111EBULL;
  return z ^ (z >> 31U);
}

}  // namespace

Moment Backoff::next() {
  const Moment range = std::max<Moment>(next_, 2);
  const Moment half = range / 2;
  next_ = std::min(options_.most, range * 2);
  return half + static_cast<Moment>(draw(random_) % static_cast<std::uint64_t>(half));
}

}  // namespace lignum::net
