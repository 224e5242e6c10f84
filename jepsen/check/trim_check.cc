#include "jepsen/check/trim_check.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "jepsen/check/describe.h"
#include "jepsen/check/history.h"
#include "jepsen/check/violation.h"
#include "raft/types.h"

namespace lignum::jepsen {

namespace {

// The highest offset that had been put forward, by moment.
class Highest {
 public:
  explicit Highest(std::vector<Trim> trims) : trims_(std::move(trims)) {
    std::ranges::sort(trims_, {}, &Trim::at);
    for (std::size_t i = 1; i < trims_.size(); ++i) {
      trims_[i].start = std::max(trims_[i].start, trims_[i - 1].start);
    }
  }
  // At or before `moment`.
  [[nodiscard]] Offset by(Moment moment) const {
    const auto after = std::ranges::upper_bound(trims_, moment, {}, &Trim::at);
    return after == trims_.begin() ? Offset(0) : std::prev(after)->start;
  }
  // Strictly before `moment`.
  [[nodiscard]] Offset before(Moment moment) const {
    const auto after = std::ranges::lower_bound(trims_, moment, {}, &Trim::at);
    return after == trims_.begin() ? Offset(0) : std::prev(after)->start;
  }

 private:
  std::vector<Trim> trims_;
};

void check_starts(const ShardHistory& history, const Highest& allowed, Violations& found) {
  std::map<std::uint32_t, Offset> starts;
  for (const auto& piece : history.logs()) starts.try_emplace(piece.replica, piece.start);
  for (const auto& entry : starts) {
    if (entry.second <= allowed.by(kNever)) continue;
    found.add(Rule::kTrim, entry.second, [&] {
      return "the final log of replica " + std::to_string(entry.first) +
             " begins here, but only what lies before " + describe(allowed.by(kNever)) +
             " was ever allowed to go";
    });
  }
}

}  // namespace

void check_trims(const ShardHistory& history, Violations& found) {
  const Highest allowed(history.trims());
  check_starts(history, allowed, found);
  std::vector<Trim> told;
  const auto tell = [&](const auto& observer, Offset from, Offset kept, Moment at) {
    told.push_back({.start = kept, .at = at});
    if (kept > allowed.by(at) || kept <= from) {
      found.add(Rule::kTrim, from, [&] {
        return describe(observer) + " was told that " + describe(from) + " is trimmed and " +
               describe(kept) + " the first kept, when the records before " +
               describe(allowed.by(at)) + " were allowed to go";
      });
    }
  };
  for (const Trimmed& read : history.trimmed()) {
    tell(read, read.from, read.first_kept, read.returned);
  }
  for (const auto& tail : history.tails()) {
    if (tail.event == TailEvent::kGap) tell(tail, tail.from, tail.to, tail.at);
  }
  if (told.empty()) return;
  const Highest gone(std::move(told));
  for (const auto& read : history.reads()) {
    if (!read.end || read.count == 0 || read.from >= gone.before(read.invoked)) continue;
    found.add(Rule::kTrim, read.from, [&] {
      return describe(read) + " was given records that others had been told are trimmed: before " +
             describe(gone.before(read.invoked));
    });
  }
}

}  // namespace lignum::jepsen
