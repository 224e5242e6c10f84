#pragma once

// Whether the operations of a shard fit the order of its log and the clients' times: the heart of
// the linearizability check, complete and linear.
//
// The final log fixes the order of the appends; what is open is only *when* each took effect. Let
// t(k) be the moment at which the log began to end at k. Then
//
//   an append from k to k'       needs   invoked <= t(k') <= returned     (unknown: no deadline)
//   a read that saw the end k    needs   t(k) <= returned, invoked <= t(k')  with k' the next end
//   a read of records below k    needs   t(k) <= returned
//   a conditional append refused, because the end was not k,
//                                needs   invoked <= t(k)  or  t(k') <= returned
//
// and t(0) <= t(1) <= ... . But for the last line each is a bound on one t, so that taking the
// earliest moment every time is best: a linearization exists if and only if no deadline lies before
// it. The last line couples two neighbours by an "or", so the sweep carries all possible t(k),
// which are always one interval: a t(k) before the call of a refusal allows every t(k') up to its
// answer, a later t(k) every t(k') from that call on, and the two overlap. Nothing is searched.
// Equal times count as concurrent. Pure; used by one thread.

#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "jepsen/check/final_log.h"
#include "jepsen/check/history.h"
#include "jepsen/check/violation.h"

namespace lignum::jepsen {

// The bounds that reads and tails put on t, by the end of the log; filled before the sweep.
struct OrderBounds {
  explicit OrderBounds(std::size_t log_size)
      : not_before_next(log_size + 1, kAlways), not_after(log_size + 1, kNever) {}

  // Latest call of a read that saw the end k: t of the next end is not before it.
  std::vector<Moment> not_before_next;
  // Earliest answer that held records below k, or saw the end k: t(k) is not after it.
  std::vector<Moment> not_after;
};

// A refused conditional append, by its place in history.appends().
using Refusals = std::vector<std::uint32_t>;

// Adds to `found` the first breach of kOrder, or of kConditional where only the refusals do not
// fit. `refusals` are those of kMismatch that did not name the shard's next offset.
void sweep_order(const ShardHistory& history, const FinalLog& log, const OrderBounds& bounds,
                 const Refusals& refusals, Violations& found);

}  // namespace lignum::jepsen
