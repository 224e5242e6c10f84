#include "tests/jepsen/draft.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <utility>
#include <vector>

#include "jepsen/check/history.h"
#include "raft/random.h"
#include "raft/types.h"

namespace lignum::jepsen {

ShardHistory Draft::build() const {
  ShardHistory history;
  for (const Append& append : appends) history.add(append);
  for (const DraftRead& read : reads) history.add(read.read, read.values);
  for (const Trimmed& read : trimmed) history.add(read);
  for (const DraftTail& tail : tails) history.add(tail.tail, tail.values);
  for (const Trim& trim : trims) history.add(trim);
  for (const Watermark& mark : watermarks) history.add(mark);
  for (const Chain& chain : chains) history.add(chain);
  for (const auto& [replica, log] : logs) {
    history.add_log({.replica = replica, .start = log.start}, log.values);
  }
  for (const DraftPiece& more : more_logs) history.add_log(more.piece, more.values);
  return history;
}

namespace {

// Plays operations one after another on a log, ten moments apart, and writes down what their
// callers would have seen.
class Player {
 public:
  Player(Random& random, const DraftOptions& options)
      : random_(random), options_(options), sequences_(options.producers, 0) {}

  Draft play() {
    for (std::uint32_t tail = 0; tail < options_.tails; ++tail) {
      nexts_.push_back(Offset(0));
      draft_.tails.push_back({.tail = {.client = tail, .event = TailEvent::kStart}, .values = {}});
    }
    while (played_ < options_.operations) {
      ++played_;
      now_ += 10;
      step();
    }
    finish();
    return std::move(draft_);
  }

 private:
  void step() {
    const std::uint64_t draw = random_.below(100);
    if (draw < options_.conditional) return append(true);
    if (draw < 60) return append(false);
    if (draw < 80) return read();
    if (draw < 95 && options_.tails > 0) return deliver();
    if (draw < 97 && options_.trims) return trim();
    watermark();
  }

  [[nodiscard]] Moment early() { return now_ - static_cast<Moment>(random_.below(spread())); }
  [[nodiscard]] Moment late() { return now_ + static_cast<Moment>(random_.below(spread())); }
  [[nodiscard]] std::uint64_t spread() const { return options_.spread + 1; }
  [[nodiscard]] Offset end() const { return Offset(log_.size()); }

  void append(bool conditional) {
    const auto producer = static_cast<std::uint32_t>(random_.below(options_.producers));
    const auto count = static_cast<std::uint32_t>(1 + random_.below(options_.batch_max));
    Append append{.value = Value(producer, sequences_[producer]),
                  .count = count,
                  .promise = Promise::kInOrder,
                  .invoked = early(),
                  .returned = late()};
    sequences_[producer] += count;
    if (conditional) append.expected = end();
    const std::uint64_t fate = random_.below(100);
    if (conditional && fate < 30 && !log_.empty()) {
      append.outcome = Outcome::kMismatch;
      append.expected = Offset(random_.below(log_.size()));
      if (fate < 15) append.offset = end();
    } else if (fate < 70) {
      append.outcome = Outcome::kOk;
      append.offset = end();
      store(append);
    } else if (fate < 80) {
      append.outcome = Outcome::kFailed;
    } else {
      if (fate < 90) append.returned = kNever;
      if (fate % 2 == 0) store(append);
    }
    draft_.appends.push_back(append);
  }

  void store(const Append& append) {
    for (std::uint32_t i = 0; i < append.count; ++i) log_.push_back(append.value.plus(i));
    ends_.push_back(end());
    hashes_.push_back({.low = random_.next(), .high = random_.next()});
    if (random_.chance(1, 2)) chain(100);
  }

  void chain(std::uint32_t who) {
    if (!ends_.empty()) {
      draft_.chains.push_back({.who = who, .end = ends_.back(), .hash = hashes_.back()});
    }
  }

  [[nodiscard]] Values slice(Offset from, std::uint64_t count) const {
    const auto begin = log_.begin() + static_cast<std::ptrdiff_t>(from.value());
    return {begin, begin + static_cast<std::ptrdiff_t>(count)};
  }

  void read() {
    Read read{.client = 50,
              .from = Offset(random_.below(log_.size() + 1)),
              .invoked = early(),
              .returned = late()};
    if (random_.chance(3, 4)) read.end = end();
    if (read.from < kept_) {
      draft_.trimmed.push_back({.client = 50,
                                .from = read.from,
                                .first_kept = kept_,
                                .invoked = read.invoked,
                                .returned = read.returned});
      return;
    }
    Values values = slice(read.from, random_.below(end() - read.from + 1));
    if (values.size() > 5) values.resize(5, Value::unreadable());
    draft_.reads.push_back({read, std::move(values)});
  }

  void deliver() {
    const auto client = static_cast<std::uint32_t>(random_.below(nexts_.size()));
    Offset& next = nexts_[client];
    if (next < kept_) {
      draft_.tails.push_back(
          {.tail =
               {.client = client, .event = TailEvent::kGap, .from = next, .to = kept_, .at = now_},
           .values = {}});
      next = kept_;
      return;
    }
    const std::uint64_t count = std::min<std::uint64_t>(random_.below(6), end() - next);
    draft_.tails.push_back(
        {.tail = {.client = client, .from = next, .at = late()}, .values = slice(next, count)});
    next = next + count;
  }

  void trim() {
    const Offset start(random_.below(log_.size() + 1));
    if (start <= kept_) return;
    draft_.trims.push_back({.start = start, .at = now_ - 5});
    kept_ = start;
  }

  void watermark() {
    const auto replica = static_cast<std::uint32_t>(random_.below(options_.replicas));
    draft_.watermarks.push_back({.replica = replica, .end = end(), .at = now_});
    chain(replica);
  }

  void finish() {
    for (std::uint32_t replica = 0; replica < options_.replicas; ++replica) {
      draft_.logs[replica] = {.start = kept_, .values = slice(kept_, end() - kept_)};
      chain(replica);
    }
  }

  Random& random_;
  const DraftOptions& options_;
  Draft draft_;
  Values log_;
  Offset kept_;
  std::vector<Offset> ends_;
  std::vector<Hash128> hashes_;
  std::vector<std::uint64_t> sequences_;
  std::vector<Offset> nexts_;
  std::uint64_t played_ = 0;
  Moment now_ = 0;
};

// ---------------------------------------------------------------- small changes

Offset nudged(Random& random, Offset offset) {
  return random.chance(1, 2) || offset == Offset(0) ? offset.next() : Offset(offset.value() - 1);
}

Moment nudged(Random& random, Moment moment) {
  return moment == kNever ? moment : moment + static_cast<Moment>(random.below(61)) - 30;
}

template <class Operation>
void nudge_times(Random& random, Operation& operation) {
  operation.invoked = nudged(random, operation.invoked);
  operation.returned = nudged(random, operation.returned);
  if (operation.invoked > operation.returned) std::swap(operation.invoked, operation.returned);
}

void change_append(Random& random, Append& append) {
  switch (random.below(4)) {
    case 0:
      if (append.offset) append.offset = nudged(random, *append.offset);
      break;
    case 1:
      if (append.expected) append.expected = nudged(random, *append.expected);
      break;
    case 2:
      append.outcome = random.chance(1, 2) ? Outcome::kUnknown : Outcome::kFailed;
      append.offset.reset();
      break;
    default:
      nudge_times(random, append);
  }
}

void change_values(Random& random, Values& values) {
  if (values.empty()) return;
  const std::size_t at = random.below(values.size());
  switch (random.below(4)) {
    case 0:
      std::swap(values[at], values[random.below(values.size())]);
      break;
    case 1:
      values.erase(values.begin() + static_cast<std::ptrdiff_t>(at));
      break;
    case 2:
      values.insert(values.begin() + static_cast<std::ptrdiff_t>(at),
                    values[random.below(values.size())]);
      break;
    default:
      values[at] = Value(static_cast<std::uint32_t>(random.below(3)), random.below(4));
  }
}

void change_logs(Random& random, Draft& draft) {
  Values changed = draft.logs[0].values;
  change_values(random, changed);
  draft.logs[0].values = changed;
  if (random.chance(3, 4)) draft.logs[1].values = std::move(changed);
}

void change(Random& random, Draft& draft) {
  const std::uint64_t draw = random.below(100);
  if (draw < 50 && !draft.appends.empty()) {
    return change_append(random, draft.appends[random.below(draft.appends.size())]);
  }
  if (draw < 85 && !draft.reads.empty()) {
    DraftRead& read = draft.reads[random.below(draft.reads.size())];
    if (draw < 60 && read.read.end) read.read.end = nudged(random, *read.read.end);
    if (draw >= 60 && draw < 75) nudge_times(random, read.read);
    if (draw >= 75) change_values(random, read.values);
    return;
  }
  if (draw >= 85 && draw < 92) change_logs(random, draft);
}

// ---------------------------------------------------------------- every order

// One operation with its span; one of the pointers is set.
struct Item {
  Moment invoked = 0;
  Moment returned = 0;
  bool optional = false;
  const Append* append = nullptr;
  const DraftRead* read = nullptr;
};

class Search {
 public:
  explicit Search(const Draft& draft) : draft_(draft) {
    for (const Append& append : draft.appends) {
      if (append.outcome == Outcome::kFailed) continue;
      const bool unknown = append.outcome == Outcome::kUnknown;
      items_.push_back({.invoked = append.invoked,
                        .returned = unknown ? kNever : append.returned,
                        .optional = unknown,
                        .append = &append});
    }
    for (const DraftRead& read : draft.reads) {
      items_.push_back(
          {.invoked = read.read.invoked, .returned = read.read.returned, .read = &read});
    }
    for (const DraftTail& tail : draft.tails) {
      deliveries_.push_back({.read = {.from = tail.tail.from}, .values = tail.values});
    }
    for (std::size_t i = 0; i < deliveries_.size(); ++i) {
      items_.push_back(
          {.invoked = kAlways, .returned = draft.tails[i].tail.at, .read = &deliveries_[i]});
    }
  }

  bool run() {
    for (const auto& [replica, log] : draft_.logs) {
      if (log.values != draft_.logs.begin()->second.values) return false;
    }
    return extend(0);
  }

 private:
  // `done`: the operations that have taken effect, as bits.
  bool extend(std::uint64_t done) {
    if (complete(done)) return true;
    for (std::size_t i = 0; i < items_.size(); ++i) {
      if ((done >> i & 1) != 0 || !may_be_next(done, items_[i])) continue;
      const std::size_t before = log_.size();
      if (take(items_[i]) && fits() && extend(done | std::uint64_t{1} << i)) return true;
      log_.resize(before, Value::unreadable());
    }
    return false;
  }

  // Nothing that is still to come had ended before this began.
  [[nodiscard]] bool may_be_next(std::uint64_t done, const Item& item) const {
    for (std::size_t i = 0; i < items_.size(); ++i) {
      if ((done >> i & 1) == 0 && items_[i].returned < item.invoked) return false;
    }
    return true;
  }

  // Does the operation; false where its caller saw something else.
  bool take(const Item& item) {
    if (item.read != nullptr) return saw(*item.read);
    const Append& append = *item.append;
    const Offset end(log_.size());
    if (append.outcome == Outcome::kMismatch) {
      return append.expected != end && (!append.offset || append.offset == end);
    }
    if (append.expected && append.expected != end) return false;
    if (append.outcome == Outcome::kOk && append.offset != end) return false;
    for (const Value value : log_) {
      if (append.promise == Promise::kInOrder && value.client() == append.value.client() &&
          value > append.value) {
        return false;
      }
    }
    for (std::uint32_t i = 0; i < append.count; ++i) log_.push_back(append.value.plus(i));
    return true;
  }

  [[nodiscard]] bool saw(const DraftRead& read) const {
    const std::size_t from = read.read.from.value();
    if (read.read.end && read.read.end->value() != log_.size()) return false;
    if (read.values.empty()) return true;
    if (from + read.values.size() > log_.size()) return false;
    return std::ranges::equal(read.values, std::span(log_).subspan(from, read.values.size()));
  }

  // So far the log is a prefix of the final one (as far as that is kept).
  [[nodiscard]] bool fits() const {
    const DraftLog& last = draft_.logs.begin()->second;
    const std::size_t start = last.start.value();
    if (log_.size() > start + last.values.size()) return false;
    for (std::size_t at = start; at < log_.size(); ++at) {
      if (log_[at] != last.values[at - start]) return false;
    }
    return true;
  }

  [[nodiscard]] bool complete(std::uint64_t done) const {
    const DraftLog& last = draft_.logs.begin()->second;
    for (std::size_t i = 0; i < items_.size(); ++i) {
      if ((done >> i & 1) == 0 && !items_[i].optional) return false;
    }
    return log_.size() == last.start.value() + last.values.size();
  }

  const Draft& draft_;
  std::vector<Item> items_;
  std::vector<DraftRead> deliveries_;
  Values log_;
};

}  // namespace

Draft good_history(Random& random, const DraftOptions& options) {
  return Player(random, options).play();
}

Draft small_history(Random& random, bool trims) {
  Draft draft = good_history(random, {.operations = 2 + random.below(8),
                                      .batch_max = random.chance(1, 3) ? 2U : 1U,
                                      .replicas = 2,
                                      .producers = 3,
                                      .tails = random.chance(1, 4) ? 1U : 0U,
                                      .conditional = random.chance(1, 3) ? 50U : 10U,
                                      .spread = 5 + random.below(60),
                                      .trims = trims});
  draft.chains.clear();
  draft.watermarks.clear();
  if (random.chance(1, 2)) {
    for (std::uint64_t changes = 1 + random.below(2); changes > 0; --changes) change(random, draft);
  }
  return draft;
}

Draft refused_history(Random& random) {
  Draft draft;
  const auto at_random = [&random](Append append, std::uint64_t length_max) {
    append.invoked = static_cast<Moment>(random.below(40));
    append.returned = append.invoked + static_cast<Moment>(random.below(length_max));
    return append;
  };
  const std::uint64_t appends = 1 + random.below(4);
  Values log;
  for (std::uint64_t i = 0; i < appends; ++i) {
    const Value value(1, i);
    log.push_back(value);
    Append append = at_random({.value = value}, 60);
    if (random.chance(1, 2)) {
      append.outcome = Outcome::kOk;
      append.offset = Offset(i);
    }
    draft.appends.push_back(append);
  }
  for (std::uint64_t i = 0, refused = 1 + random.below(5); i < refused; ++i) {
    draft.appends.push_back(at_random({.value = Value(2, i),
                                       .outcome = Outcome::kMismatch,
                                       .expected = Offset(random.below(appends + 1))},
                                      20));
  }
  if (random.chance(1, 3)) {
    const Append span = at_random({}, 30);
    draft.reads.push_back({.read = {.from = Offset(0),
                                    .end = Offset(random.below(appends + 1)),
                                    .invoked = span.invoked,
                                    .returned = span.returned},
                           .values = {}});
  }
  draft.logs = {{0, {.start = Offset(0), .values = log}}};
  return draft;
}

bool has_linearization(const Draft& draft) { return Search(draft).run(); }

}  // namespace lignum::jepsen
