#pragma once

// The two clocks of a simulated node: they run fast or slow, and the wall clock jumps.

#include <cstdint>

#include "jepsen/sim/world.h"
#include "server/group/ports.h"

namespace lignum::jepsen {

class SimClock {
 public:
  // 2023-11-14, for what must be a date.
  static constexpr std::int64_t kEpochUs = 1'700'000'000'000'000;

  [[nodiscard]] server::Now read(Moment now) const {
    return {.wall_us = kEpochUs + wall_offset_ + monotonic(now), .monotonic_us = monotonic(now)};
  }
  // How long it takes at this rate until the monotonic clock shows `due`; 0 where it has passed.
  [[nodiscard]] Moment delay_until(std::int64_t due, Moment now) const {
    const std::int64_t left = due - monotonic(now);
    if (left <= 0) return 0;
    return left * kMillion / (kMillion + drift_ppm_) + 1;
  }
  // From now on it runs this much too fast. Parts per million, above -1,000,000.
  void set_drift(std::int64_t ppm, Moment now) {
    base_ = monotonic(now);
    since_ = now;
    drift_ppm_ = ppm;
  }
  void jump_wall(std::int64_t by_us) { wall_offset_ += by_us; }
  // A new boot of the machine: monotonic time may begin anywhere; the wall clock goes on.
  void reboot(std::int64_t monotonic_us, Moment now) {
    wall_offset_ += monotonic(now) - monotonic_us;
    base_ = monotonic_us;
    since_ = now;
  }

 private:
  static constexpr std::int64_t kMillion = 1'000'000;
  [[nodiscard]] std::int64_t monotonic(Moment now) const {
    const std::int64_t passed = now - since_;
    return base_ + passed + passed * drift_ppm_ / kMillion;
  }

  std::int64_t base_ = 1'000'000;
  Moment since_ = 0;
  std::int64_t drift_ppm_ = 0;
  std::int64_t wall_offset_ = 0;
};

}  // namespace lignum::jepsen
