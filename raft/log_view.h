#pragma once

// The core's knowledge of its log: which index has which term, and how far it is durable. Never
// payload, never input or output.
//
//     accepted  >=  submitted to a flush  >=  durable
//
// Terms are kept as runs {first index, term}: a log of millions of entries has a handful. A part
// of Core; same thread.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>

#include "raft/types.h"

namespace lignum::raft {

class LogView {
 public:
  // Everything up to `last` is durable; terms below it are not known one by one.
  explicit LogView(LogId last)
      : boot_(last), last_(last), submitted_(last.index), durable_(last.index) {}

  [[nodiscard]] LogId last() const { return last_; }
  // Last entry handed over to a flush.
  [[nodiscard]] Index submitted() const { return submitted_; }
  [[nodiscard]] Index durable() const { return durable_; }
  // Term of an entry accepted since boot, or of the last entry at boot; none for others.
  [[nodiscard]] std::optional<Term> term_at(Index index) const;

  // Accepts one entry after last(); its term is not below the last one's.
  void append(LogId id);
  // Everything accepted so far was handed over to a flush.
  void submit() { submitted_ = last_.index; }
  // Everything up to `index` is durable. `index` never shrinks and is not above submitted().
  void set_durable(Index index);

  [[nodiscard]] std::size_t runs() const { return runs_.size(); }

 private:
  struct Run {
    Index first;
    Term term;
  };
  LogId boot_;
  LogId last_;
  Index submitted_;
  Index durable_;
  std::deque<Run> runs_;
};

}  // namespace lignum::raft
