#include "raft/log_view.h"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <iterator>
#include <optional>
#include <span>

#include "raft/check.h"
#include "raft/mutant.h"
#include "raft/types.h"

namespace lignum::raft {

LogView::LogView(LogId base, LogId last, std::span<const TermRun> runs)
    : base_(base), last_(base), submitted_(base.index), durable_(base.index) {
  CHECK(last.index >= base.index);
  for (const TermRun& run : runs) {
    if (runs_.empty()) {
      CHECK(run.first == base.index.next());
      CHECK(run.term >= base.term);
    } else {
      CHECK(run.first > runs_.back().first);
      CHECK(run.term > runs_.back().term);
    }
    runs_.push_back(run);
  }
  if (runs_.empty()) {
    CHECK(last == base);
  } else {
    CHECK(last.index >= runs_.back().first);
    CHECK(last.term == runs_.back().term);
  }
  last_ = last;
  submitted_ = last.index;
  durable_ = last.index;
}

std::optional<Term> LogView::term_at(Index index) const {
  if (index == base_.index) return base_.term;
  if (index < base_.index || index > last_.index) return std::nullopt;
  return std::prev(std::ranges::upper_bound(runs_, index, std::less<>(), &TermRun::first))->term;
}

LogId LogView::last_not_above(Index index, Term term) const {
  const Index top = std::min(index, last_.index);
  // Runs rise in both.
  const auto above = std::ranges::partition_point(
      runs_, [&](const TermRun& run) { return run.first <= top && run.term <= term; });
  if (above == runs_.begin()) return base_;
  // The run before it, up to its end or `top`.
  const Index end = above == runs_.end() ? top : std::min(top, Index(above->first.value() - 1));
  if (end <= base_.index) return base_;
  return {.term = std::prev(above)->term, .index = end};
}

void LogView::append(LogId id) {
  CHECK(id.index == last_.index.next());
  CHECK(id.term >= last_.term);
  if (runs_.empty() || runs_.back().term != id.term) {
    runs_.push_back({.first = id.index, .term = id.term});
  }
  last_ = id;
}

void LogView::truncate_after(Index last_kept) {
  CHECK(last_kept >= base_.index);
  CHECK(last_kept < last_.index);
  while (!runs_.empty() && runs_.back().first > last_kept) runs_.pop_back();
  last_ = {.term = runs_.empty() ? base_.term : runs_.back().term, .index = last_kept};
  submitted_ = std::min(submitted_, last_kept);
  durable_ = std::min(durable_, last_kept);
  ++truncation_;
}

void LogView::restore(LogId snapshot) {
  CHECK(snapshot.index >= base_.index);
  base_ = snapshot;
  last_ = snapshot;
  submitted_ = snapshot.index;
  durable_ = snapshot.index;
  runs_.clear();
  ++truncation_;
}

void LogView::compact(LogId base) {
  CHECK(base.index <= durable_);
  CHECK(has(base));
  base_ = base;
  // A run ends where the next one, or the log, does.
  while (runs_.size() > 1 && runs_[1].first <= base.index.next()) runs_.pop_front();
}

void LogView::on_durable(std::uint64_t truncation, LogId last) {
  CHECK(truncation <= truncation_);
  if (mutant(Mutant::kStaleFlushCounts)) {
    durable_ = std::max(durable_, std::min(last.index, submitted_));
    return;
  }
  if (truncation != truncation_ || last.index <= durable_) return;
  CHECK(last.index <= submitted_);
  CHECK(has(last));
  durable_ = last.index;
}

}  // namespace lignum::raft
