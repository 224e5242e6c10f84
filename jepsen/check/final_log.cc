#include "jepsen/check/final_log.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "jepsen/check/describe.h"
#include "jepsen/check/history.h"
#include "jepsen/check/violation.h"
#include "raft/types.h"

namespace lignum::jepsen {

namespace {

std::string replica_name(std::uint32_t replica) { return "replica " + std::to_string(replica); }

// ---------------------------------------------------------------- the replicas' logs

class Merge {
 public:
  Merge(const ShardHistory& history, FinalLog& log, Violations& found)
      : history_(history), log_(log), found_(found) {}

  void run() {
    std::uint64_t appended = 0;
    for (const Append& append : history_.appends()) appended += append.count;
    // Far more than that is nonsense that would only cost memory.
    const std::uint64_t end_max = 4 * appended + 4096;
    for (const auto& piece : history_.logs()) {
      if (piece.start.value() + piece.count <= end_max) {
        take(piece);
        continue;
      }
      found_.add(Rule::kPhantom, piece.start, [&] {
        return "the final log of " + replica_name(piece.replica) + " reaches beyond " +
               std::to_string(end_max) + ", but only " + std::to_string(appended) +
               " records were ever appended";
      });
    }
    if (replicas_.empty()) {
      found_.add(Rule::kHistory, std::nullopt,
                 [] { return "no replica's final log is part of the history"; });
    }
    for (const auto& entry : replicas_) {
      const std::uint64_t end = entry.second.end;
      if (end == log_.size()) continue;
      found_.add(Rule::kAgreement, Offset(end), [&] {
        return "the final log of " + replica_name(entry.first) + " ends at " + std::to_string(end) +
               ", that of " + replica_name(longest_) + " at " + std::to_string(log_.size());
      });
    }
  }

 private:
  struct State {
    std::uint64_t end = 0;
    bool differs = false;
  };

  void take(const ShardHistory::LogRecords& piece) {
    const std::uint64_t start = piece.start.value();
    const auto [entry, first] = replicas_.try_emplace(piece.replica, State{.end = start});
    State& state = entry->second;
    if (state.end != start) {
      found_.add(Rule::kHole, Offset(state.end), [&] {
        return "the final log of " + replica_name(piece.replica) + " goes on at " +
               std::to_string(start) + " where it had come to " + std::to_string(state.end);
      });
    }
    state.end = start + piece.count;
    if (log_.values.size() < state.end || longest_ == kNobody) {
      log_.values.resize(std::max<std::size_t>(log_.values.size(), state.end), kUnknownValue);
      longest_ = piece.replica;
    }
    std::uint64_t at = start;
    for (const Value value : history_.values(piece)) {
      Value& known = log_.values[at];
      if (known == kUnknownValue) known = value;
      if (known != value && !std::exchange(state.differs, true)) {
        found_.add(Rule::kAgreement, Offset(at), [&] {
          return replica_name(piece.replica) + " holds " + describe(value) +
                 " where another replica holds " + describe(known);
        });
      }
      ++at;
    }
  }

  static constexpr std::uint32_t kNobody = FinalLog::kNoOwner;
  const ShardHistory& history_;
  FinalLog& log_;
  Violations& found_;
  std::map<std::uint32_t, State> replicas_;
  std::uint32_t longest_ = kNobody;
};

// ---------------------------------------------------------------- whose records they are

class Claims {
 public:
  Claims(const ShardHistory& history, FinalLog& log, Violations& found)
      : history_(history), log_(log), found_(found) {}

  void run() {
    log_.owners.assign(log_.size(), FinalLog::kNoOwner);
    claim_acknowledged();
    fill_from_reads();
    list_unclaimed();
    for (const std::uint32_t append : unsettled_) settle(append);
    if (claimed_ < unclaimed_.size()) judge_unclaimed();
  }

 private:
  struct Place {
    Value value;
    std::uint32_t offset;
    friend auto operator<=>(const Place&, const Place&) = default;
  };

  [[nodiscard]] const Append& append(std::uint32_t index) const {
    return history_.appends()[index];
  }

  // True where the batch of `append` lies, or may have lain, whole at `base`.
  [[nodiscard]] bool lies_at(const Append& append, std::uint64_t base) const {
    if (base + append.count > log_.size()) return false;
    for (std::uint32_t i = 0; i < append.count; ++i) {
      const Value known = log_.values[base + i];
      if (known != append.value.plus(i) && known != kUnknownValue) return false;
    }
    return true;
  }

  void own(std::uint32_t index, std::uint64_t base) {
    const Append& batch = append(index);
    for (std::uint32_t i = 0; i < batch.count; ++i) {
      std::uint32_t& owner = log_.owners[base + i];
      if (owner != FinalLog::kNoOwner) {
        found_.add(Rule::kHistory, Offset(base + i), [&] {
          return describe(batch) + " and " + describe(append(owner)) + " both got this offset";
        });
      }
      log_.values[base + i] = batch.value.plus(i);
      owner = index;
    }
    if (batch.expected && base != batch.expected->value()) {
      found_.add(Rule::kConditional, Offset(base),
                 [&] { return describe(batch) + " went to another offset"; });
    }
  }

  void claim_acknowledged() {
    for (std::uint32_t i = 0; i < history_.appends().size(); ++i) {
      const Append& batch = append(i);
      if (batch.outcome == Outcome::kOk && batch.offset && lies_at(batch, batch.offset->value())) {
        own(i, batch.offset->value());
      } else {
        unsettled_.push_back(i);
      }
    }
  }

  // What was trimmed is known from those who read it in time.
  void fill_from_reads() {
    const auto fill = [this](Offset from, std::span<const Value> values) {
      std::uint64_t at = from.value();
      for (const Value value : values) {
        if (at < log_.size() && log_.values[at] == kUnknownValue && value != Value::unreadable()) {
          log_.values[at] = value;
        }
        ++at;
      }
    };
    if (std::ranges::find(log_.values, kUnknownValue) == log_.values.end()) return;
    for (const auto& read : history_.reads()) fill(read.from, history_.values(read));
    for (const auto& tail : history_.tails()) fill(tail.from, history_.values(tail));
  }

  void list_unclaimed() {
    for (std::uint32_t at = 0; at < log_.size(); ++at) {
      if (log_.owners[at] == FinalLog::kNoOwner && log_.values[at] != kUnknownValue) {
        unclaimed_.push_back({log_.values[at], at});
      }
    }
    std::ranges::sort(unclaimed_);
  }

  // The places of unclaimed records that belong to the batch, by offset.
  [[nodiscard]] std::vector<Place> places_of(const Append& batch) const {
    const auto begin = std::ranges::lower_bound(unclaimed_, batch.value, {}, &Place::value);
    const auto end =
        std::ranges::lower_bound(unclaimed_, batch.value.plus(batch.count), {}, &Place::value);
    std::vector<Place> places(begin, end);
    std::erase_if(places, [this](const Place& place) {
      return log_.owners[place.offset] != FinalLog::kNoOwner;
    });
    std::ranges::sort(places, {}, &Place::offset);
    return places;
  }

  void settle(std::uint32_t index) {
    const Append& batch = append(index);
    const std::vector<Place> places = places_of(batch);
    if (batch.outcome == Outcome::kOk && !batch.offset) {
      found_.add(Rule::kHistory, std::nullopt,
                 [&] { return describe(batch) + " was acknowledged without an offset"; });
    }
    if (places.empty()) {
      if (batch.outcome == Outcome::kOk) report_lost(batch);
      return;
    }
    claimed_ += take(index, places);
    const Offset first(places.front().offset);
    if (batch.outcome == Outcome::kOk && places.size() < batch.count) {
      report_lost(batch);
    } else if (batch.outcome == Outcome::kOk && batch.offset) {
      found_.add(Rule::kOffset, first, [&] {
        return describe(batch) + " was acknowledged at " + describe(*batch.offset) +
               ", but lies here";
      });
    }
    if (batch.outcome == Outcome::kFailed || batch.outcome == Outcome::kMismatch) {
      found_.add(Rule::kAborted, first,
                 [&] { return describe(batch) + " was refused, but is in the log"; });
    }
  }

  // Makes the append the owner of its records; returns how many of `places` that settled. A second
  // copy stays unclaimed.
  std::size_t take(std::uint32_t index, const std::vector<Place>& places) {
    const Append& batch = append(index);
    for (const Place& place : places) {
      const std::uint64_t ahead = place.value.sequence() - batch.value.sequence();
      if (place.offset >= ahead && lies_at(batch, place.offset - ahead)) {
        own(index, place.offset - ahead);
        return static_cast<std::size_t>(std::ranges::count_if(
            places, [&](const Place& other) { return log_.owners[other.offset] == index; }));
      }
    }
    found_.add(Rule::kAtomic, Offset(places.front().offset), [&] {
      return describe(batch) + " is in the log in part: " + std::to_string(places.size()) + " of " +
             std::to_string(batch.count) + " records, not one after another";
    });
    for (const Place& place : places) log_.owners[place.offset] = index;
    return places.size();
  }

  void report_lost(const Append& batch) {
    const auto at = batch.offset.value_or(Offset(0)).value();
    found_.add(Rule::kLost, batch.offset, [&] {
      return describe(batch) + " was acknowledged here, where the final log " +
             (at < log_.size() ? "holds " + describe(log_.values[at])
                               : "has nothing: it ends at " + std::to_string(log_.size()));
    });
  }

  // What is left was appended by nobody, or is a second copy.
  void judge_unclaimed() {
    std::vector<std::pair<Value, std::uint32_t>> batches;
    batches.reserve(history_.appends().size());
    for (std::uint32_t i = 0; i < history_.appends().size(); ++i) {
      batches.emplace_back(append(i).value, i);
    }
    std::ranges::sort(batches);
    for (const Place& place : unclaimed_) {
      if (log_.owners[place.offset] != FinalLog::kNoOwner) continue;
      const auto after = std::ranges::upper_bound(batches, place.value, {},
                                                  &std::pair<Value, std::uint32_t>::first);
      const std::uint32_t before =
          after == batches.begin() ? FinalLog::kNoOwner : std::prev(after)->second;
      const bool known = before != FinalLog::kNoOwner &&
                         place.value < append(before).value.plus(append(before).count);
      found_.add(known ? Rule::kDuplicate : Rule::kPhantom, Offset(place.offset), [&] {
        return known ? "the log holds " + describe(place.value) + " once more, of " +
                           describe(append(before))
                     : "the log holds " + describe(place.value) + ", which nobody appended";
      });
    }
  }

  const ShardHistory& history_;
  FinalLog& log_;
  Violations& found_;
  // Appends that no ack placed, by number.
  std::vector<std::uint32_t> unsettled_;
  // Known records that no ack placed, by value.
  std::vector<Place> unclaimed_;
  std::size_t claimed_ = 0;
};

}  // namespace

FinalLog read_final_log(const ShardHistory& history, Violations& found) {
  FinalLog log;
  Merge(history, log, found).run();
  Claims(history, log, found).run();
  return log;
}

}  // namespace lignum::jepsen
