#pragma once

// The stamps of a group's entries: strictly rising microseconds, as near to the wall clock as that
// allows (rule F1 of the contract; docs/design/0001-clock-steps.md).
//
// append time = max(now, last stamp + 1 us), where "last" includes entries still in flight and,
// after a restart, the last entry of the log. So order by append time is order by index, whatever
// the wall clock does. A wall clock that steps against the monotonic one by more than kStepMaxUs
// is noticed, for the operator's log: with one voter there is nobody to hand leadership to.
// Owned by a replica, called from its lane; holds no clock itself.

#include <cstdint>
#include <optional>

#include "raft/types.h"
#include "server/group/ports.h"

namespace lignum::server {

class AppendClock {
 public:
  static constexpr std::int64_t kStepMaxUs = 500'000;

  // Every later stamp is above `last`.
  explicit AppendClock(TimeUs last) : last_(last) {}

  // The stamp of the next entry.
  [[nodiscard]] TimeUs stamp(const Now& now);
  // A stamp that is also at least `target`: closes time up to it.
  [[nodiscard]] TimeUs stamp_at_least(const Now& now, TimeUs target);

  // The log has an entry with this stamp, whoever led when it was given: later ones are above it.
  void inherit(TimeUs stamp);

  // How far the wall clock moved against the monotonic one since the last call, where that is more
  // than kStepMaxUs; none otherwise.
  [[nodiscard]] std::optional<std::int64_t> observe(const Now& now);

  [[nodiscard]] TimeUs last() const { return last_; }

 private:
  TimeUs last_ = 0;
  std::optional<Now> seen_;
};

}  // namespace lignum::server
