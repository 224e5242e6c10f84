#include "server/group/transfer_pace.h"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace lignum::server {

bool TransferPace::take(std::size_t bytes, std::int64_t now_us) {
  if (rate_ == 0) return true;
  const auto cost = static_cast<std::int64_t>(bytes * std::uint64_t{1'000'000} / rate_);
  std::int64_t paid_at = paid_at_us_.load(std::memory_order_relaxed);
  do {
    if (paid_at > now_us + kBurstUs) return false;
  } while (!paid_at_us_.compare_exchange_weak(paid_at, std::max(paid_at, now_us) + cost,
                                              std::memory_order_relaxed));
  return true;
}

}  // namespace lignum::server
