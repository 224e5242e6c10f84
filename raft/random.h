#pragma once

// A small deterministic random source: the same seed gives the same numbers on every platform and
// in every build. Not for secrets.
//
// The generator is xoshiro256** (Blackman and Vigna, 2018), its state filled from the seed by
// splitmix64. Streams are split by name, so that drawing more from one never shifts another.

#include <array>
#include <bit>
#include <cstdint>
#include <string_view>

#include "raft/check.h"

namespace lignum {

class Random {
 public:
  explicit constexpr Random(std::uint64_t seed) {
    for (std::uint64_t& word : state_) word = splitmix(seed);
  }
  // An independent stream of `seed`.
  constexpr Random(std::uint64_t seed, std::string_view stream)
      : Random(seed ^ name_hash(stream)) {}

  // Any 64-bit number.
  constexpr std::uint64_t next() {
    const std::uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
    const std::uint64_t shifted = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= shifted;
    state_[3] = std::rotl(state_[3], 45);
    return result;
  }

  // Uniform in [0, bound), without modulo bias: draws that fall into the uneven rest are repeated.
  constexpr std::uint64_t below(std::uint64_t bound) {
    CHECK(bound > 0);
    const std::uint64_t uneven = (0 - bound) % bound;
    std::uint64_t draw = next();
    while (draw < uneven) draw = next();
    return draw % bound;
  }

  // True `numerator` times out of `denominator`.
  constexpr bool chance(std::uint64_t numerator, std::uint64_t denominator) {
    return below(denominator) < numerator;
  }

 private:
  static constexpr std::uint64_t splitmix(std::uint64_t& state) {
    state += 0x9E3779B97F4A7C15ULL;
    std::uint64_t mixed = state;
    mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9ULL;
    mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EBULL;
    return mixed ^ (mixed >> 31);
  }
  // FNV-1a.
  static constexpr std::uint64_t name_hash(std::string_view name) {
    std::uint64_t hash = 0xCBF29CE484222325ULL;
    for (const char character : name) {
      hash = (hash ^ static_cast<unsigned char>(character)) * 0x100000001B3ULL;
    }
    return hash;
  }

  std::array<std::uint64_t, 4> state_{};
};

}  // namespace lignum
