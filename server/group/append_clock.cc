#include "server/group/append_clock.h"

#include <algorithm>
#include <cstdint>
#include <optional>

#include "raft/types.h"
#include "server/group/ports.h"

namespace lignum::server {

TimeUs AppendClock::stamp(const Now& now) {
  last_ = std::max(now.wall_us, last_ + 1);
  return last_;
}

TimeUs AppendClock::stamp_at_least(const Now& now, TimeUs target) {
  last_ = std::max({now.wall_us, target, last_ + 1});
  return last_;
}

void AppendClock::inherit(TimeUs stamp) { last_ = std::max(last_, stamp); }

std::optional<std::int64_t> AppendClock::observe(const Now& now) {
  const std::optional<Now> before = seen_;
  seen_ = now;
  if (!before) return std::nullopt;
  const std::int64_t step =
      (now.wall_us - before->wall_us) - (now.monotonic_us - before->monotonic_us);
  if (step <= kStepMaxUs && step >= -kStepMaxUs) return std::nullopt;
  return step;
}

}  // namespace lignum::server
