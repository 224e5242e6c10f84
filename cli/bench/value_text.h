#pragma once

// The values that benchmarks append: a number, then filler that looks like log text.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "raft/payload.h"

namespace lignum::cli {

// The value of one record, rewritten for the next. Not thread-safe.
class BenchValue {
 public:
  static constexpr std::size_t kBytesMin = 8;

  // CHECKs that `bytes` is at least kBytesMin.
  explicit BenchValue(std::size_t bytes);
  // The value that carries `number`; valid until the next call.
  [[nodiscard]] Bytes with(std::uint64_t number);
  // The number in a value; none when it is too short.
  [[nodiscard]] static std::optional<std::uint64_t> number_in(Bytes value);

 private:
  std::vector<std::byte> bytes_;
};

}  // namespace lignum::cli
