#include "jepsen/check/log_check.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "jepsen/check/describe.h"
#include "jepsen/check/final_log.h"
#include "jepsen/check/history.h"
#include "jepsen/check/order_sweep.h"
#include "jepsen/check/trim_check.h"
#include "jepsen/check/violation.h"
#include "raft/types.h"

namespace lignum::jepsen {

namespace {

class ShardCheck {
 public:
  ShardCheck(const ShardKey& key, const ShardHistory& history)
      : history_(history),
        found_(key),
        log_(read_final_log(history, found_)),
        bounds_(log_.size()) {}

  CheckReport run() {
    check_times();
    check_reads();
    check_tails();
    check_watermarks();
    check_trims(history_, found_);
    check_chains();
    const Refusals refusals = read_refusals();
    sweep_order(history_, log_, bounds_, refusals, found_);
    check_sessions();
    return {.violations = std::move(found_),
            .shards = 1,
            .operations = history_.operations(),
            .records = log_.size()};
  }

 private:
  void check_times() {
    const auto check = [this](const auto& operation) {
      if (operation.returned >= operation.invoked) return;
      found_.add(Rule::kHistory, std::nullopt, [&] {
        return "an operation ended at " + std::to_string(operation.returned) +
               ", before it began at " + std::to_string(operation.invoked);
      });
    };
    std::ranges::for_each(history_.appends(), check);
    std::ranges::for_each(history_.reads(), check);
    std::ranges::for_each(history_.trimmed(), check);
  }

  // False, and a violation, where somebody was given other records than the log holds.
  template <class Reader>
  bool agrees(const Reader& reader) {
    const std::span<const Value> values = history_.values(reader);
    const std::size_t from = reader.from.value();
    const std::size_t known = log_.size() - std::min(log_.size(), from);
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (i < known && log_.values[from + i] == values[i]) continue;
      found_.add(Rule::kRead, Offset(from + i), [&] {
        return describe(reader) + " was given " + describe(values[i]) + ", where the log " +
               (i < known ? "holds " + describe(log_.values[from + i]) : "has ended");
      });
      return false;
    }
    return true;
  }

  // Somebody saw the log end at `end`, which it must have done at some moment. False otherwise.
  template <class Observer>
  bool can_end(const Observer& observer, Offset end) {
    if (end.value() > log_.size()) {
      found_.add(Rule::kShrunk, end, [&] {
        return describe(observer) + ": committed, but the log ends at " +
               std::to_string(log_.size());
      });
      return false;
    }
    if (!log_.may_end_at(end.value())) {
      found_.add(Rule::kAtomic, end, [&] {
        return describe(observer) + ": inside of " +
               describe(history_.appends()[log_.owners[end.value()]]);
      });
      return false;
    }
    return true;
  }

  void bound_exact(Offset end, Moment invoked, Moment returned) {
    Moment& not_before = bounds_.not_before_next[end.value()];
    not_before = std::max(not_before, invoked);
    bound_below(end.value(), returned);
  }
  void bound_below(std::size_t end, Moment returned) {
    Moment& not_after = bounds_.not_after[end];
    not_after = std::min(not_after, returned);
  }

  void check_reads() {
    for (const auto& read : history_.reads()) {
      const Offset behind = read.from + read.count;
      if (!agrees(read)) continue;
      if (read.end && *read.end < behind && read.count > 0) {
        found_.add(Rule::kRead, read.end,
                   [&] { return describe(read) + " was given records beyond that end"; });
      } else if (read.end) {
        if (can_end(read, *read.end)) bound_exact(*read.end, read.invoked, read.returned);
      } else if (read.count > 0) {
        bound_below(behind.value(), read.returned);
      }
    }
  }

  void check_tails() {
    std::map<std::uint32_t, Offset> nexts;
    for (const auto& tail : history_.tails()) {
      if (tail.event == TailEvent::kStart) {
        nexts[tail.client] = tail.from;
        continue;
      }
      const auto [entry, fresh] = nexts.try_emplace(tail.client, tail.from);
      if (fresh) {
        found_.add(Rule::kHistory, tail.from,
                   [&] { return describe(tail) + " went on without a start"; });
      }
      if (entry->second != tail.from) {
        found_.add(Rule::kTail, tail.from, [&] {
          return describe(tail) + (tail.from < entry->second ? " stepped back" : " skipped") +
                 " to " + describe(tail.from) + " where " + describe(entry->second) + " was due";
        });
      }
      entry->second = tail.event == TailEvent::kGap ? tail.to : tail.from + tail.count;
      if (tail.count > 0 && agrees(tail)) bound_below(tail.from.value() + tail.count, tail.at);
    }
  }

  void check_watermarks() {
    std::map<std::uint32_t, Watermark> lasts;
    for (const Watermark& mark : history_.watermarks()) {
      const auto [entry, fresh] = lasts.try_emplace(mark.replica, mark);
      if (mark.end < entry->second.end) {
        found_.add(Rule::kShrunk, mark.end, [&] {
          return describe(mark) + ", after it had said " + describe(entry->second.end);
        });
      }
      entry->second = mark;
      if (can_end(mark, mark.end)) bound_below(mark.end.value(), mark.at);
    }
  }

  void check_chains() {
    if (history_.chains().empty()) return;
    std::vector<std::uint32_t> first(log_.size() + 1, FinalLog::kNoOwner);
    for (std::uint32_t i = 0; i < history_.chains().size(); ++i) {
      const Chain& chain = history_.chains()[i];
      if (chain.end.value() > log_.size()) {
        found_.add(Rule::kShrunk, chain.end, [&] {
          return "a chain value was given to " + std::to_string(chain.who) +
                 " for an end beyond the log's, " + std::to_string(log_.size());
        });
        continue;
      }
      std::uint32_t& known = first[chain.end.value()];
      if (known == FinalLog::kNoOwner) known = i;
      const Chain& other = history_.chains()[known];
      if (other.hash == chain.hash) continue;
      found_.add(Rule::kChain, chain.end, [&] {
        return "the chain value that " + std::to_string(chain.who) +
               " has for the records before this differs from that of " + std::to_string(other.who);
      });
    }
  }

  // Refused conditional appends: those that named the end are reads of it, the others are returned.
  Refusals read_refusals() {
    Refusals refusals;
    for (std::uint32_t i = 0; i < history_.appends().size(); ++i) {
      const Append& append = history_.appends()[i];
      if (append.outcome != Outcome::kMismatch) continue;
      if (!append.expected || append.expected == append.offset) {
        found_.add(Rule::kConditional, append.expected,
                   [&] { return describe(append) + " was refused although its offset was met"; });
      } else if (!append.offset) {
        if (append.expected->value() <= log_.size()) refusals.push_back(i);
      } else if (can_end(append, *append.offset)) {
        bound_exact(*append.offset, append.invoked, append.returned);
      }
    }
    return refusals;
  }

  // Sequences rise with offsets within a client that was promised so.
  void check_sessions() {
    std::vector<std::uint64_t> nexts;
    std::uint32_t last_owner = FinalLog::kNoOwner;
    for (std::size_t at = 0; at < log_.size(); ++at) {
      const std::uint32_t owner = log_.owners[at];
      if (owner == FinalLog::kNoOwner || owner == last_owner) continue;
      last_owner = owner;
      const Append& append = history_.appends()[owner];
      if (append.promise != Promise::kInOrder) continue;
      const std::uint32_t client = append.value.client();
      if (client >= nexts.size()) nexts.resize(client + 1, 0);
      std::uint64_t& next = nexts[client];
      if (append.value.sequence() < next) {
        found_.add(Rule::kSession, Offset(at), [&] {
          return describe(append) + " lies behind a later one of the same producer, up to " +
                 describe(Value(client, next - 1));
        });
      }
      next = std::max(next, append.value.sequence() + append.count);
    }
  }

  const ShardHistory& history_;
  Violations found_;
  FinalLog log_;
  OrderBounds bounds_;
};

}  // namespace

CheckReport check_shard(const ShardKey& key, const ShardHistory& history) {
  return ShardCheck(key, history).run();
}

CheckReport check_history(const History& history) {
  CheckReport report;
  for (const auto& [key, shard] : history.shards()) {
    const CheckReport part = check_shard(key, shard);
    report.violations.merge(part.violations);
    report.shards += part.shards;
    report.operations += part.operations;
    report.records += part.records;
  }
  return report;
}

}  // namespace lignum::jepsen
