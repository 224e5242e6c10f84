#pragma once

#include <cstdint>

#include "net/moment.h"

namespace lignum::net {

// The pauses between attempts at something that fails: doubling from `first` to `most`, each drawn
// from the upper half of its range so that clients which failed together do not return together.
//
// A value inside the core that retries; deterministic from its seed; knows no clock.
class Backoff {
 public:
  struct Options {
    Moment first = 10 * kMillisecond;
    Moment most = kSecond;
  };
  Backoff(Options options, std::uint64_t seed)
      : options_(options), next_(options.first), random_(seed) {}

  // The pause before the next attempt, in microseconds; at least half of `first`.
  [[nodiscard]] Moment next();
  // After a success: the next pause is a short one again.
  void reset() { next_ = options_.first; }

 private:
  Options options_;
  Moment next_;
  std::uint64_t random_;
};

}  // namespace lignum::net
