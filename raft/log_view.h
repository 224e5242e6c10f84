#pragma once

// The core's knowledge of its log: which index has which term, and how far it is durable. Never
// payload, never input or output.
//
//     base  <=  durable  <=  submitted to a flush  <=  accepted = last
//
// Terms are kept as runs {first index, term}: a log of millions of entries has a handful. What a
// snapshot stands for counts as durable from restore() on, before it is: nothing rests on that, as
// every promise waits for the operation that installs it (output.h). A part of Core; same thread.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <vector>

#include "raft/types.h"

namespace lignum::raft {

// Entries from `first` on, up to the next run, have `term`.
struct TermRun {
  Index first;
  Term term;
  friend bool operator==(const TermRun&, const TermRun&) = default;
};

class LogView {
 public:
  // Everything up to `last` is durable. `runs` cover (base, last] (CHECKed): rising in both, the
  // first one at base.index + 1.
  LogView(LogId base, LogId last, std::span<const TermRun> runs);

  // The entry before the first one.
  [[nodiscard]] LogId base() const { return base_; }
  [[nodiscard]] LogId last() const { return last_; }
  // Last entry handed over to a flush, and of those the last that is durable.
  [[nodiscard]] Index submitted() const { return submitted_; }
  [[nodiscard]] Index durable() const { return durable_; }
  // How often entries were taken away (truncate_after, restore): names one life of the log's end.
  [[nodiscard]] std::uint64_t truncation() const { return truncation_; }

  // Of an entry in [base, last]; none elsewhere. Logarithmic in runs().
  [[nodiscard]] std::optional<Term> term_at(Index index) const;
  [[nodiscard]] bool has(LogId id) const { return term_at(id.index) == id.term; }
  // The highest entry in [base, min(index, last)] whose term is not above `term`; base when there
  // is none, whatever its term: the term-aware hint of both sides of a rejection.
  [[nodiscard]] LogId last_not_above(Index index, Term term) const;

  // Accepts one entry after last(); its term is not below the last one's (both CHECKed).
  void append(LogId id);
  // Takes every entry above `last_kept` away; it is in [base, last) (CHECKed).
  void truncate_after(Index last_kept);
  // The log is empty behind a snapshot, which is not below base (CHECKed).
  void restore(LogId snapshot);
  // The log begins after `base`, a durable entry of it (CHECKed).
  void compact(LogId base);

  // Everything accepted so far was handed over to a flush.
  void submit() { submitted_ = last_.index; }
  // A flush ended that was handed over when the log's truncation() was `truncation` and its last
  // entry `last`. One from before a truncation says nothing about what took its entries' place
  // (ABA): it is ignored, since the flush of the truncation covers what remained of them.
  // CHECKs that such an entry was handed over.
  void on_durable(std::uint64_t truncation, LogId last);

  [[nodiscard]] std::size_t runs() const { return runs_.size(); }

 private:
  LogId base_;
  LogId last_;
  Index submitted_;
  Index durable_;
  std::uint64_t truncation_ = 0;
  // Of (base, last]; the front one may begin at or below base.
  std::deque<TermRun> runs_;
};

}  // namespace lignum::raft
