#include "jepsen/check/order_sweep.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "jepsen/check/describe.h"
#include "jepsen/check/final_log.h"
#include "jepsen/check/history.h"
#include "jepsen/check/violation.h"
#include "raft/types.h"

namespace lignum::jepsen {

namespace {

struct Interval {
  Moment first = kAlways;
  Moment last = kAlways;
};

// A refused conditional append: not t(expected) < invoked and returned < t(next) at once.
struct Refusal {
  std::size_t expected = 0;
  Moment invoked = 0;
  Moment returned = 0;
  std::uint32_t append = 0;
};

// A step of the log from one end to the next, with the bounds on t(to).
struct Step {
  std::size_t from = 0;
  std::size_t to = 0;
  Moment not_before = kAlways;
  Moment not_after = kNever;
};

struct Breach {
  Step step;
  // Where the latest of the bounds "not before" was met.
  Step raised;
  Moment earliest = kAlways;
  // The last refusal that was weighed before the breach.
  std::optional<std::uint32_t> refusal;
};

class Sweep {
 public:
  // `refusals` by what they expected, then by call.
  Sweep(const ShardHistory& history, const FinalLog& log, const OrderBounds& bounds,
        std::span<const Refusal> refusals)
      : history_(history), log_(log), bounds_(bounds), refusals_(refusals) {}

  // The first step for which no moment is left, if there is one.
  std::optional<Breach> run() {
    Step step;
    Step raised;
    while (step.to < log_.size()) {
      step = step_from(step.to);
      const Moment earliest = std::max(now_.first, step.not_before);
      if (step.not_before == earliest) raised = step;
      if (!advance(step)) {
        return Breach{.step = step, .raised = raised, .earliest = earliest, .refusal = refusal_};
      }
    }
    // The log stays as it is for ever: the refusals had to come before it was so.
    const std::span<const Refusal> here = refusals_at(log_.size());
    if (!here.empty() && now_.last < here.back().invoked) {
      return Breach{.step = step, .raised = raised, .refusal = here.back().append};
    }
    return std::nullopt;
  }

  [[nodiscard]] Step step_from(std::size_t end) const {
    Step step{.from = end, .to = end + 1, .not_before = bounds_.not_before_next[end]};
    if (const std::uint32_t owner = log_.owners[end]; owner != FinalLog::kNoOwner) {
      const Append& append = history_.appends()[owner];
      while (!log_.may_end_at(step.to)) ++step.to;
      step.not_before = std::max(step.not_before, append.invoked);
      if (append.outcome == Outcome::kOk) step.not_after = append.returned;
    }
    // Records inside a batch appear together with its last one.
    for (std::size_t k = end + 1; k <= step.to; ++k) {
      step.not_after = std::min(step.not_after, bounds_.not_after[k]);
    }
    return step;
  }

 private:
  std::span<const Refusal> refusals_at(std::size_t end) {
    while (next_ < refusals_.size() && refusals_[next_].expected < end) ++next_;
    const std::size_t begin = next_;
    while (next_ < refusals_.size() && refusals_[next_].expected == end) ++next_;
    return refusals_.subspan(begin, next_ - begin);
  }

  // From the possible t(from) to the possible t(to); false where there is none.
  bool advance(const Step& step) {
    const std::span<const Refusal> here = refusals_at(step.from);
    if (!here.empty()) refusal_ = here.front().append;
    Moment last = step.not_after;
    // Even the latest t(from) lies before these calls: so t(to) lies before their answers.
    for (const Refusal& refusal : here) {
      if (refusal.invoked > now_.last) last = std::min(last, refusal.returned);
    }
    now_ = {.first = std::max(now_.first, step.not_before), .last = last};
    return now_.first <= now_.last;
  }

  const ShardHistory& history_;
  const FinalLog& log_;
  const OrderBounds& bounds_;
  std::span<const Refusal> refusals_;
  std::size_t next_ = 0;
  // The possible t of the present end. Nobody is early for the empty log.
  Interval now_;
  std::optional<std::uint32_t> refusal_;
};

// ---------------------------------------------------------------- names for the two that clash

// A read, tail or refusal that saw the end `end` (kExact), or records below it.
template <class Matches>
std::string find_observer(const ShardHistory& history, const Matches& matches) {
  for (const auto& read : history.reads()) {
    const Offset end = read.end.value_or(read.from + read.count);
    if (matches(end, read.end.has_value(),
                Interval{.first = read.invoked, .last = read.returned})) {
      return describe(read);
    }
  }
  for (const auto& tail : history.tails()) {
    if (matches(tail.from + tail.count, false, Interval{.first = tail.at, .last = tail.at}))
      return describe(tail);
  }
  for (const auto& append : history.appends()) {
    if (append.outcome == Outcome::kMismatch && append.offset &&
        matches(*append.offset, true, Interval{.first = append.invoked, .last = append.returned})) {
      return describe(append) + ", refused because the end was " + describe(*append.offset);
    }
  }
  return "an operation";
}

std::string append_at(const ShardHistory& history, const FinalLog& log, std::size_t offset) {
  return describe(history.appends()[log.owners[offset]]) + " at " + std::to_string(offset);
}

// Whoever began at `moment` and so keeps t(step.to) from being earlier.
std::string who_began(const ShardHistory& history, const FinalLog& log, const Step& step,
                      Moment moment) {
  if (const std::uint32_t owner = log.owners[step.from];
      owner != FinalLog::kNoOwner && history.appends()[owner].invoked == moment) {
    return append_at(history, log, step.from);
  }
  return find_observer(history, [&](Offset end, bool exact, Interval call) {
    return exact && end.value() == step.from && call.first == moment;
  });
}

// Whoever ended at `moment` and so keeps t(step.to) from being later.
std::string who_ended(const ShardHistory& history, const FinalLog& log, const Step& step) {
  if (const std::uint32_t owner = log.owners[step.from];
      owner != FinalLog::kNoOwner && history.appends()[owner].outcome == Outcome::kOk &&
      history.appends()[owner].returned == step.not_after) {
    return append_at(history, log, step.from);
  }
  return find_observer(history, [&](Offset end, bool, Interval call) {
    return end.value() > step.from && end.value() <= step.to && call.last == step.not_after;
  });
}

std::vector<Refusal> sorted(const ShardHistory& history, const Refusals& refusals) {
  std::vector<Refusal> result;
  for (const std::uint32_t number : refusals) {
    const Append& append = history.appends()[number];
    result.push_back({.expected = append.expected.value_or(Offset(0)).value(),
                      .invoked = append.invoked,
                      .returned = append.returned,
                      .append = number});
  }
  std::ranges::sort(result, {}, [](const Refusal& refusal) {
    return std::pair(refusal.expected, refusal.invoked);
  });
  return result;
}

}  // namespace

void sweep_order(const ShardHistory& history, const FinalLog& log, const OrderBounds& bounds,
                 const Refusals& refusals, Violations& found) {
  const std::vector<Refusal> by_end = sorted(history, refusals);
  const auto breach = Sweep(history, log, bounds, by_end).run();
  if (!breach) return;
  if (const auto plain = by_end.empty() ? breach : Sweep(history, log, bounds, {}).run()) {
    found.add(Rule::kOrder, Offset(plain->step.from), [&] {
      return who_ended(history, log, plain->step) + " ended before " +
             who_began(history, log, plain->raised, plain->earliest) +
             " began, but has to come after it in the order of the log";
    });
    return;
  }
  found.add(Rule::kConditional, Offset(breach->step.from), [&] {
    return describe(history.appends()[breach->refusal.value_or(0)]) +
           " was refused, although the log ended there during the whole call";
  });
}

}  // namespace lignum::jepsen
