#include "raft/write_tracker.h"

#include <optional>
#include <utility>

#include "raft/check.h"
#include "raft/entry.h"
#include "raft/output.h"
#include "raft/types.h"

namespace lignum::raft {

void WriteTracker::save(const HardState& hard_state) {
  CHECK(hard_state.term >= hard_state_.term);
  if (!gathering_) gathering_.emplace();
  // An entry of an earlier term, gathered before, may be flushed under the newer hard state: the
  // host writes the hard state first.
  gathering_->hard_state = hard_state;
  hard_state_ = hard_state;
}

void WriteTracker::append(Entry entry) {
  CHECK(entry.header.term == hard_state_.term);
  if (!gathering_) gathering_.emplace();
  gathering_->append.push_back(std::move(entry));
}

std::optional<PersistOp> WriteTracker::take(LogId last) {
  if (!gathering_) return std::nullopt;
  PersistOp op = *std::move(gathering_);
  gathering_.reset();
  op.token = {
      .sequence = ++last_sequence_, .truncation = 0, .last = last, .hard_state = hard_state_};
  outstanding_.push_back(op.token);
  return op;
}

void WriteTracker::complete(const WriteToken& token) {
  CHECK(!outstanding_.empty());
  CHECK(outstanding_.front() == token);
  outstanding_.pop_front();
  durable_hard_state_ = token.hard_state;
}

}  // namespace lignum::raft
