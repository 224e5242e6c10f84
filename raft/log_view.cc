#include "raft/log_view.h"

#include <algorithm>
#include <iterator>
#include <optional>

#include "raft/check.h"
#include "raft/types.h"

namespace lignum::raft {

std::optional<Term> LogView::term_at(Index index) const {
  if (index == boot_.index) return boot_.term;
  if (index < boot_.index || index > last_.index) return std::nullopt;
  const auto after = std::upper_bound(runs_.begin(), runs_.end(), index,
                                      [](Index at, const Run& run) { return at < run.first; });
  CHECK(after != runs_.begin());
  return std::prev(after)->term;
}

void LogView::append(LogId id) {
  CHECK(id.index == last_.index.next());
  CHECK(id.term >= last_.term);
  if (runs_.empty() || runs_.back().term != id.term) {
    runs_.push_back({.first = id.index, .term = id.term});
  }
  last_ = id;
}

void LogView::set_durable(Index index) {
  CHECK(index >= durable_);
  CHECK(index <= submitted_);
  durable_ = index;
}

}  // namespace lignum::raft
