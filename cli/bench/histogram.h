#pragma once

// A log-linear histogram of non-negative integers, such as latencies in nanoseconds.
//
// Every power of two is cut into 64 equal parts, so a value is known to within 1.6 %; smaller
// ones than 128 are exact, the largest is kept exactly. Fixed memory (about 20 KiB), no allocation
// per value. Not thread-safe: one thread records, or each its own and merge().

#include <array>
#include <cstddef>
#include <cstdint>

namespace lignum::cli {

class Histogram {
 public:
  // `count` values of `value`; negative ones count as 0, those above kValueMax as kValueMax.
  void record(std::int64_t value, std::uint64_t count = 1);
  void merge(const Histogram& other);

  [[nodiscard]] std::uint64_t count() const { return count_; }
  [[nodiscard]] std::int64_t max() const { return max_; }
  // The smallest recorded value below which, or at which, lie `fraction` (0..1) of all, rounded up
  // to the end of its part, never above max(). 0 when empty.
  [[nodiscard]] std::int64_t quantile(double fraction) const;

  // About 73 minutes in nanoseconds.
  static constexpr unsigned kBitsMax = 42;
  static constexpr std::int64_t kValueMax = (std::int64_t{1} << kBitsMax) - 1;

 private:
  static constexpr unsigned kPartBits = 6;
  // Two linear ranges of 64 (exact values), then 64 parts for each further power of two.
  static constexpr std::size_t kParts = (kBitsMax - kPartBits + 1) << kPartBits;

  static std::size_t part_of(std::uint64_t value);
  static std::int64_t end_of(std::size_t part);

  std::array<std::uint64_t, kParts> parts_{};
  std::uint64_t count_ = 0;
  std::int64_t max_ = 0;
};

}  // namespace lignum::cli
