#include "cli/bench/value_text.h"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>

#include "raft/check.h"
#include "raft/payload.h"
#include "raft/random.h"

namespace lignum::cli {

BenchValue::BenchValue(std::size_t bytes) : bytes_(bytes) {
  CHECK(bytes >= kBytesMin);
  // Letters and blanks at random: about as compressible as log lines without their repetition.
  constexpr std::uint64_t kSeed = 7400;
  constexpr std::uint64_t kLetters = 26;
  constexpr std::uint64_t kBlankEvery = 6;
  Random random(kSeed);
  for (std::byte& byte : bytes_) {
    const auto letter = static_cast<unsigned char>('a' + random.below(kLetters));
    byte = std::byte{random.chance(1, kBlankEvery) ? static_cast<unsigned char>(' ') : letter};
  }
}

Bytes BenchValue::with(std::uint64_t number) {
  std::memcpy(bytes_.data(), &number, sizeof number);
  return bytes_;
}

std::optional<std::uint64_t> BenchValue::number_in(Bytes value) {
  std::uint64_t number = 0;
  if (value.size() < sizeof number) return std::nullopt;
  std::memcpy(&number, value.data(), sizeof number);
  return number;
}

}  // namespace lignum::cli
