#include "raft/write_tracker.h"

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "raft/check.h"
#include "raft/entry.h"
#include "raft/hard_state.h"
#include "raft/messages.h"
#include "raft/output.h"
#include "raft/types.h"

namespace lignum::raft {

PersistOp& WriteTracker::gathering() {
  return gathering_ ? *gathering_ : gathering_.emplace(std::exchange(spare_, {}));
}

std::optional<Index> WriteTracker::gathered_last() const {
  if (!gathering_) return std::nullopt;
  if (!gathering_->append.empty()) return gathering_->append.back().header.index;
  if (gathering_->restore) return gathering_->restore->id.index;
  return gathering_->truncate_after;
}

void WriteTracker::save(const HardState& hard_state) {
  CHECK(hard_state.term >= hard_state_.term);
  CHECK(hard_state.term > hard_state_.term || !hard_state_.vote ||
        hard_state.vote == hard_state_.vote);
  CHECK(hard_state.recovery >= hard_state_.recovery);
  // Entries of an earlier term that were gathered before may be flushed under the newer hard
  // state: the host writes that first.
  gathering().hard_state = hard_state;
  hard_state_ = hard_state;
}

void WriteTracker::append(Entry entry) {
  CHECK(entry.header.term <= hard_state_.term);
  if (const std::optional<Index> last = gathered_last()) {
    CHECK(entry.header.index == last->next());
  }
  gathering().append.push_back(std::move(entry));
}

void WriteTracker::truncate_after(Index last_kept) {
  PersistOp& op = gathering();
  if (!op.append.empty()) {
    // What the operation would be appended to, handed over long since.
    const Index before(op.append.front().header.index.value() - 1);
    if (last_kept >= before) {
      CHECK(last_kept - before < op.append.size());
      op.append.resize(last_kept - before);
      return;
    }
    op.append.clear();
  }
  // A snapshot is never cut.
  CHECK(!op.restore);
  CHECK(!op.truncate_after || last_kept < *op.truncate_after);
  op.truncate_after = last_kept;
}

void WriteTracker::restore(const Snapshot& snapshot) {
  PersistOp& op = gathering();
  op.restore = snapshot;
  op.truncate_after.reset();
  op.append.clear();
}

void WriteTracker::send_after(Message message) {
  gathering().send_after_persist.push_back(std::move(message));
}

std::optional<PersistOp> WriteTracker::take(LogId last, std::uint64_t truncation) {
  if (!gathering_) return std::nullopt;
  CHECK(gathered_last().value_or(last.index) == last.index);
  PersistOp op = *std::move(gathering_);
  gathering_.reset();
  op.token = {.sequence = ++last_sequence_,
              .truncation = truncation,
              .last = last,
              .hard_state = hard_state_};
  outstanding_.push_back(op.token);
  return op;
}

void WriteTracker::reuse(PersistOp spent) {
  spent.append.clear();
  spent.send_after_persist.clear();
  spare_.append = std::move(spent.append);
  spare_.send_after_persist = std::move(spent.send_after_persist);
}

void WriteTracker::complete(const WriteToken& token) {
  CHECK(!outstanding_.empty());
  CHECK(outstanding_.front() == token);
  outstanding_.pop_front();
  durable_hard_state_ = token.hard_state;
}

}  // namespace lignum::raft
