#include "cli/bench/histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace lignum::cli {

std::size_t Histogram::part_of(std::uint64_t value) {
  const auto width = static_cast<unsigned>(std::bit_width(value));
  if (width <= kPartBits) return value;
  // The top kPartBits + 1 bits: a leading one and the part's number.
  const unsigned shift = width - kPartBits - 1;
  return (std::size_t{shift} << kPartBits) + (value >> shift);
}

std::int64_t Histogram::end_of(std::size_t part) {
  if (part < (std::size_t{1} << kPartBits)) return static_cast<std::int64_t>(part);
  const std::size_t shift = (part >> kPartBits) - 1;
  const std::uint64_t top = (part & ((std::size_t{1} << kPartBits) - 1)) + (1U << kPartBits);
  return static_cast<std::int64_t>(((top + 1) << shift) - 1);
}

void Histogram::record(std::int64_t value, std::uint64_t count) {
  const std::int64_t bounded = std::clamp<std::int64_t>(value, 0, kValueMax);
  parts_[part_of(static_cast<std::uint64_t>(bounded))] += count;
  count_ += count;
  max_ = std::max(max_, bounded);
}

void Histogram::merge(const Histogram& other) {
  for (std::size_t part = 0; part < kParts; ++part) parts_[part] += other.parts_[part];
  count_ += other.count_;
  max_ = std::max(max_, other.max_);
}

std::int64_t Histogram::quantile(double fraction) const {
  if (count_ == 0) return 0;
  const double wanted = std::ceil(std::clamp(fraction, 0.0, 1.0) * static_cast<double>(count_));
  const auto rank = std::max<std::uint64_t>(1, static_cast<std::uint64_t>(wanted));
  std::uint64_t seen = 0;
  for (std::size_t part = 0; part < kParts; ++part) {
    seen += parts_[part];
    if (seen >= rank) return std::min(end_of(part), max_);
  }
  return max_;
}

}  // namespace lignum::cli
