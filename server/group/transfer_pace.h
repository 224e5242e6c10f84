#pragma once

// How fast a node sends snapshots, to all followers of all its groups together: what is appended
// meanwhile needs the disk and the network, too. A leaky bucket (GCRA, ITU-T I.371 annex A) that
// lets a tenth of a second through at once. Safe from any thread.

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace lignum::server {

class TransferPace {
 public:
  static constexpr std::uint64_t kBytesPerSecond = std::uint64_t{100} << 20;

  // 0: as fast as they are asked for.
  explicit TransferPace(std::uint64_t bytes_per_second) : rate_(bytes_per_second) {}

  // Takes the bytes and says true, or takes nothing: they are asked for later. `now_us` is the
  // monotonic time.
  [[nodiscard]] bool take(std::size_t bytes, std::int64_t now_us);

 private:
  static constexpr std::int64_t kBurstUs = 100'000;

  const std::uint64_t rate_;
  // What was taken is paid for by then.
  std::atomic<std::int64_t> paid_at_us_ = 0;
};

}  // namespace lignum::server
