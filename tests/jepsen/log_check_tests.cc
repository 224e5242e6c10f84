// Good histories, spoiled in one way each: the check notices every time, and by the rule that was
// broken.

#include "jepsen/check/log_check.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "jepsen/check/history.h"
#include "jepsen/check/violation.h"
#include "raft/random.h"
#include "raft/types.h"
#include "tests/jepsen/draft.h"

namespace lignum::jepsen {
namespace {

constexpr ShardKey kShard{.stream = StreamId(1), .shard = ShardNumber(0)};
// After everything that a good history holds.
constexpr Moment kLate = 1'000'000;

// False where the history has nothing to spoil in this way; another seed is tried then.
using Spoil = std::function<bool(Random&, Draft&)>;

struct Mutation {
  const char* name;
  Rule rule;
  Spoil spoil;
};

Offset end_of(const Draft& draft) {
  const DraftLog& log = draft.logs.at(0);
  return log.start + log.values.size();
}

void in_every_log(Draft& draft, const std::function<void(Values&)>& change) {
  for (auto& [replica, log] : draft.logs) change(log.values);
}

// The place in a log of the offset, where it is kept.
std::optional<std::size_t> kept(const Draft& draft, Offset offset) {
  const DraftLog& log = draft.logs.at(0);
  if (offset < log.start || offset >= log.start + log.values.size()) return std::nullopt;
  return offset - log.start;
}

template <class Item, class Wanted>
Item* pick(Random& random, std::vector<Item>& items, const Wanted& wanted) {
  std::vector<Item*> found;
  for (Item& item : items) {
    if (wanted(item)) found.push_back(&item);
  }
  return found.empty() ? nullptr : found[random.below(found.size())];
}

// An acknowledged append of at least so many records, whose place is not trimmed.
Append* pick_ok(Random& random, Draft& draft, std::uint32_t count_min = 1) {
  return pick(random, draft.appends, [&](const Append& append) {
    return append.outcome == Outcome::kOk && append.count >= count_min &&
           kept(draft, append.offset.value_or(Offset(0))) &&
           kept(draft, append.offset.value_or(Offset(0)) + append.count);
  });
}

Append* pick_outcome(Random& random, Draft& draft, Outcome outcome) {
  return pick(random, draft.appends,
              [&](const Append& append) { return append.outcome == outcome; });
}

DraftRead* pick_exact(Random& random, Draft& draft) {
  return pick(random, draft.reads, [](const DraftRead& read) { return read.read.end.has_value(); });
}

bool spoil_one_record(Random& random, Draft& draft, const std::function<void(Values&)>& change) {
  const Append* const append = pick_ok(random, draft);
  if (append == nullptr) return false;
  const std::size_t at = *kept(draft, *append->offset);
  in_every_log(draft, [&](Values& values) {
    Values tail(values.begin() + static_cast<std::ptrdiff_t>(at), values.end());
    values.resize(at, Value::unreadable());
    change(tail);
    values.insert(values.end(), tail.begin(), tail.end());
  });
  return true;
}

// ---------------------------------------------------------------- spoiled logs

const std::vector<Mutation> kLogMutations = {
    {.name = "an acknowledged record is missing in the middle",
     .rule = Rule::kLost,
     .spoil =
         [](Random& random, Draft& draft) {
           return spoil_one_record(random, draft, [](Values& tail) { tail.erase(tail.begin()); });
         }},
    {.name = "the acknowledged end is missing",
     .rule = Rule::kLost,
     .spoil =
         [](Random& random, Draft& draft) {
           return spoil_one_record(random, draft, [](Values& tail) { tail.clear(); });
         }},
    {.name = "an acknowledged record is altered everywhere",
     .rule = Rule::kPhantom,
     .spoil =
         [](Random& random, Draft& draft) {
           return spoil_one_record(random, draft,
                                   [](Values& tail) { tail.front() = Value::unreadable(); });
         }},
    {.name = "a record is there twice",
     .rule = Rule::kDuplicate,
     .spoil =
         [](Random& random, Draft& draft) {
           return spoil_one_record(random, draft,
                                   [](Values& tail) { tail.push_back(tail.front()); });
         }},
    {.name = "a record that nobody appended",
     .rule = Rule::kPhantom,
     .spoil =
         [](Random&, Draft& draft) {
           in_every_log(draft, [](Values& values) { values.emplace_back(77, 5); });
           return true;
         }},
    {.name = "two records are swapped everywhere",
     .rule = Rule::kOffset,
     .spoil =
         [](Random& random, Draft& draft) {
           const Append* const append = pick(random, draft.appends, [&](const Append& one) {
             return one.outcome == Outcome::kOk && one.count == 1 && kept(draft, *one.offset) &&
                    kept(draft, one.offset->next());
           });
           if (append == nullptr) return false;
           const std::size_t at = *kept(draft, *append->offset);
           in_every_log(draft, [&](Values& values) { std::swap(values[at], values[at + 1]); });
           return true;
         }},
    {.name = "a batch is torn by another record",
     .rule = Rule::kAtomic,
     .spoil =
         [](Random& random, Draft& draft) {
           const Append* const append = pick_ok(random, draft, 2);
           if (append == nullptr) return false;
           const std::size_t at = *kept(draft, *append->offset) + append->count - 1;
           in_every_log(draft, [&](Values& values) { std::swap(values[at], values[at + 1]); });
           return true;
         }},
    {.name = "a refused append is in the log",
     .rule = Rule::kAborted,
     .spoil =
         [](Random& random, Draft& draft) {
           const Append* const append = pick_outcome(random, draft, Outcome::kFailed);
           if (append == nullptr) return false;
           in_every_log(draft, [&](Values& values) {
             for (std::uint32_t i = 0; i < append->count; ++i) {
               values.push_back(append->value.plus(i));
             }
           });
           return true;
         }},
    {.name = "one replica holds another record",
     .rule = Rule::kAgreement,
     .spoil =
         [](Random& random, Draft& draft) {
           Values& values = draft.logs.at(1).values;
           if (values.size() < 2) return false;
           values[random.below(values.size())] = Value(77, 5);
           return true;
         }},
    {.name = "one replica has two records swapped",
     .rule = Rule::kAgreement,
     .spoil =
         [](Random& random, Draft& draft) {
           Values& values = draft.logs.at(2).values;
           if (values.size() < 2) return false;
           const std::size_t at = random.below(values.size() - 1);
           std::swap(values[at], values[at + 1]);
           return true;
         }},
    {.name = "one replica lacks the end",
     .rule = Rule::kAgreement,
     .spoil =
         [](Random&, Draft& draft) {
           Values& values = draft.logs.at(1).values;
           if (values.empty()) return false;
           values.pop_back();
           return true;
         }},
    {.name = "one replica skips an offset",
     .rule = Rule::kHole,
     .spoil =
         [](Random& random, Draft& draft) {
           DraftLog& log = draft.logs.at(1);
           if (log.values.size() < 3) return false;
           const auto cut = static_cast<std::ptrdiff_t>(1 + random.below(log.values.size() - 2));
           draft.more_logs.push_back(
               {.piece = {.replica = 1, .start = log.start + static_cast<std::uint64_t>(cut) + 1},
                .values = Values(log.values.begin() + cut + 1, log.values.end())});
           log.values.erase(log.values.begin() + cut, log.values.end());
           return true;
         }},
    {.name = "more is trimmed than was allowed",
     .rule = Rule::kTrim,
     .spoil =
         [](Random&, Draft& draft) {
           for (auto& [replica, log] : draft.logs) {
             if (log.values.empty()) return false;
             log.start = log.start.next();
             log.values.erase(log.values.begin());
           }
           return true;
         }},
    {.name = "no final log",
     .rule = Rule::kHistory,
     .spoil =
         [](Random&, Draft& draft) {
           draft.logs.clear();
           return true;
         }},
};

// ---------------------------------------------------------------- spoiled answers

const std::vector<Mutation> kAppendMutations = {
    {.name = "an ack names the next offset",
     .rule = Rule::kOffset,
     .spoil =
         [](Random& random, Draft& draft) {
           Append* const append = pick_ok(random, draft);
           if (append == nullptr) return false;
           append->offset = append->offset->next();
           return true;
         }},
    {.name = "an ack names an offset beyond the log",
     .rule = Rule::kOffset,
     .spoil =
         [](Random& random, Draft& draft) {
           Append* const append = pick_ok(random, draft);
           if (append == nullptr) return false;
           append->offset = end_of(draft) + 5;
           return true;
         }},
    {.name = "an ack of what was never stored",
     .rule = Rule::kLost,
     .spoil =
         [](Random& random, Draft& draft) {
           Append* const append = pick_outcome(random, draft, Outcome::kFailed);
           const Append* const other = pick_ok(random, draft);
           if (append == nullptr || other == nullptr) return false;
           append->outcome = Outcome::kOk;
           append->offset = other->offset;
           return true;
         }},
    {.name = "an unknown outcome was called a refusal",
     .rule = Rule::kAborted,
     .spoil =
         [](Random& random, Draft& draft) {
           Append* const append = pick_ok(random, draft);
           if (append == nullptr) return false;
           append->outcome = Outcome::kFailed;
           append->offset.reset();
           return true;
         }},
    {.name = "an append took effect before its call",
     .rule = Rule::kOrder,
     .spoil =
         [](Random& random, Draft& draft) {
           Append* const append = pick_ok(random, draft);
           if (append == nullptr || *append->offset + 200 > end_of(draft)) return false;
           append->invoked += 2'000;
           append->returned += 2'000;
           return true;
         }},
    {.name = "an append took effect after its answer",
     .rule = Rule::kOrder,
     .spoil =
         [](Random& random, Draft& draft) {
           Append* const append = pick_ok(random, draft);
           if (append == nullptr || *append->offset < Offset(200)) return false;
           append->invoked -= 2'000;
           append->returned -= 2'000;
           return true;
         }},
    {.name = "a conditional append went elsewhere",
     .rule = Rule::kConditional,
     .spoil =
         [](Random& random, Draft& draft) {
           Append* const append = pick(random, draft.appends, [](const Append& one) {
             return one.outcome == Outcome::kOk && one.expected;
           });
           if (append == nullptr) return false;
           append->expected = append->expected->next();
           return true;
         }},
    {.name = "a conditional append was refused although the end was met",
     .rule = Rule::kConditional,
     .spoil =
         [](Random& random, Draft& draft) {
           // Otherwise the last one may have taken effect later than the refusal.
           const Append* const last = pick(random, draft.appends, [&](const Append& append) {
             return append.outcome == Outcome::kOk &&
                    *append.offset + append.count == end_of(draft);
           });
           if (last == nullptr) return false;
           draft.appends.push_back({.value = Value(60, 0),
                                    .outcome = Outcome::kMismatch,
                                    .invoked = kLate,
                                    .returned = kLate + 1,
                                    .expected = end_of(draft)});
           return true;
         }},
    {.name = "a refusal named an end of long ago",
     .rule = Rule::kOrder,
     .spoil =
         [](Random& random, Draft& draft) {
           const Append* const append = pick_ok(random, draft);
           if (append == nullptr) return false;
           draft.appends.push_back({.value = Value(60, 0),
                                    .outcome = Outcome::kMismatch,
                                    .invoked = kLate,
                                    .returned = kLate + 1,
                                    .offset = append->offset,
                                    .expected = end_of(draft)});
           return true;
         }},
    {.name = "two appends of a producer changed places",
     .rule = Rule::kSession,
     .spoil =
         [](Random& random, Draft& draft) {
           Append* const one = pick_ok(random, draft);
           if (one == nullptr) return false;
           Append* const other = pick(random, draft.appends, [&](const Append& append) {
             return append.outcome == Outcome::kOk && append.count == one->count &&
                    append.value.client() == one->value.client() && append.value != one->value;
           });
           if (other == nullptr) return false;
           const Value first = one->value;
           const Value second = other->value;
           const auto rename = [&](Values& values) {
             for (Value& value : values) {
               for (std::uint32_t i = 0; i < one->count; ++i) {
                 if (value == first.plus(i)) {
                   value = second.plus(i);
                 } else if (value == second.plus(i)) {
                   value = first.plus(i);
                 }
               }
             }
           };
           in_every_log(draft, rename);
           for (DraftRead& read : draft.reads) rename(read.values);
           for (DraftTail& tail : draft.tails) rename(tail.values);
           std::swap(one->value, other->value);
           return true;
         }},
    {.name = "an answer before its call",
     .rule = Rule::kHistory,
     .spoil =
         [](Random& random, Draft& draft) {
           Append* const append = pick_ok(random, draft);
           if (append == nullptr) return false;
           append->returned = append->invoked - 1;
           return true;
         }},
};

// ---------------------------------------------------------------- spoiled views

const std::vector<Mutation> kReadMutations = {
    {.name = "a stale linearizable read",
     .rule = Rule::kOrder,
     .spoil =
         [](Random& random, Draft& draft) {
           const Append* const append = pick_ok(random, draft);
           if (append == nullptr) return false;
           draft.reads.push_back({.read = {.from = *append->offset,
                                           .end = append->offset,
                                           .invoked = kLate,
                                           .returned = kLate + 1},
                                  .values = {}});
           return true;
         }},
    {.name = "a read from the future",
     .rule = Rule::kOrder,
     .spoil =
         [](Random&, Draft& draft) {
           draft.reads.push_back({.read = {.from = end_of(draft),
                                           .end = end_of(draft),
                                           .invoked = -kLate,
                                           .returned = 1 - kLate},
                                  .values = {}});
           return true;
         }},
    {.name = "a follower served what was not there yet",
     .rule = Rule::kOrder,
     .spoil =
         [](Random& random, Draft& draft) {
           const Append* const append = pick_ok(random, draft);
           if (append == nullptr) return false;
           draft.reads.push_back(
               {.read = {.from = *append->offset, .invoked = -kLate, .returned = 1 - kLate},
                .values = {append->value}});
           return true;
         }},
    {.name = "a read was given an altered record",
     .rule = Rule::kRead,
     .spoil =
         [](Random& random, Draft& draft) {
           DraftRead* const read =
               pick(random, draft.reads, [](const DraftRead& one) { return !one.values.empty(); });
           if (read == nullptr) return false;
           read->values[random.below(read->values.size())] = Value::unreadable();
           return true;
         }},
    {.name = "a read was given a refused record",
     .rule = Rule::kRead,
     .spoil =
         [](Random& random, Draft& draft) {
           const Append* const append = pick_outcome(random, draft, Outcome::kFailed);
           if (append == nullptr) return false;
           draft.reads.push_back(
               {.read = {.from = end_of(draft), .invoked = kLate, .returned = kLate + 1},
                .values = {append->value}});
           return true;
         }},
    {.name = "a read was given records beyond its end",
     .rule = Rule::kRead,
     .spoil =
         [](Random& random, Draft& draft) {
           DraftRead* const read = pick(random, draft.reads, [](const DraftRead& one) {
             return one.values.size() > 1 && one.read.end;
           });
           if (read == nullptr) return false;
           read->read.end = read->read.from;
           return true;
         }},
    {.name = "a read saw an end beyond the log",
     .rule = Rule::kShrunk,
     .spoil =
         [](Random& random, Draft& draft) {
           DraftRead* const read = pick_exact(random, draft);
           if (read == nullptr) return false;
           read->read.end = end_of(draft).next();
           return true;
         }},
    {.name = "a read saw half a batch",
     .rule = Rule::kAtomic,
     .spoil =
         [](Random& random, Draft& draft) {
           const Append* const append = pick_ok(random, draft, 2);
           if (append == nullptr) return false;
           draft.reads.push_back({.read = {.from = *append->offset,
                                           .end = append->offset->next(),
                                           .invoked = append->invoked,
                                           .returned = append->returned},
                                  .values = {append->value}});
           return true;
         }},
    {.name = "a read was served what others were told is trimmed",
     .rule = Rule::kTrim,
     .spoil =
         [](Random& random, Draft& draft) {
           const Trimmed* const told =
               pick(random, draft.trimmed, [](const Trimmed&) { return true; });
           if (told == nullptr) return false;
           const Append* const append = pick(random, draft.appends, [&](const Append& one) {
             return one.outcome == Outcome::kOk && *one.offset < told->first_kept;
           });
           if (append == nullptr) return false;
           draft.reads.push_back({.read = {.from = *append->offset,
                                           .end = end_of(draft),
                                           .invoked = kLate,
                                           .returned = kLate + 1},
                                  .values = {append->value}});
           return true;
         }},
    {.name = "a read was told of more trimming than was allowed",
     .rule = Rule::kTrim,
     .spoil =
         [](Random& random, Draft& draft) {
           Trimmed* const told = pick(random, draft.trimmed, [](const Trimmed&) { return true; });
           if (told == nullptr) return false;
           told->first_kept = end_of(draft).next();
           return true;
         }},
};

// The delivery of a tail that is followed by another of the same tail.
std::vector<DraftTail>::iterator pick_delivery(Random& random, Draft& draft) {
  DraftTail* const tail = pick(random, draft.tails, [&](const DraftTail& one) {
    return !one.values.empty() &&
           std::any_of(std::next(draft.tails.begin(), &one - draft.tails.data() + 1),
                       draft.tails.end(), [&](const DraftTail& later) {
                         return later.tail.client == one.tail.client && !later.values.empty();
                       });
  });
  return tail == nullptr ? draft.tails.end()
                         : std::next(draft.tails.begin(), tail - draft.tails.data());
}

const std::vector<Mutation> kTailMutations = {
    {.name = "a tail skipped records",
     .rule = Rule::kTail,
     .spoil =
         [](Random& random, Draft& draft) {
           const auto tail = pick_delivery(random, draft);
           if (tail == draft.tails.end()) return false;
           draft.tails.erase(tail);
           return true;
         }},
    {.name = "a tail repeated records",
     .rule = Rule::kTail,
     .spoil =
         [](Random& random, Draft& draft) {
           const auto tail = pick_delivery(random, draft);
           if (tail == draft.tails.end()) return false;
           const DraftTail& again = *tail;
           draft.tails.insert(tail, again);
           return true;
         }},
    {.name = "a tail delivered an altered record",
     .rule = Rule::kRead,
     .spoil =
         [](Random& random, Draft& draft) {
           const auto tail = pick_delivery(random, draft);
           if (tail == draft.tails.end()) return false;
           tail->values.front() = Value(77, 5);
           return true;
         }},
    {.name = "a tail delivered what was not there yet",
     .rule = Rule::kOrder,
     .spoil =
         [](Random& random, Draft& draft) {
           const auto tail = pick_delivery(random, draft);
           if (tail == draft.tails.end()) return false;
           tail->tail.at = -kLate;
           return true;
         }},
    {.name = "a tail that was never started",
     .rule = Rule::kHistory,
     .spoil =
         [](Random&, Draft& draft) {
           draft.tails.push_back({.tail = {.client = 40, .at = kLate}, .values = {}});
           return true;
         }},
    {.name = "a tail's gap goes too far",
     .rule = Rule::kTrim,
     .spoil =
         [](Random&, Draft& draft) {
           draft.tails.push_back(
               {.tail = {.client = 40, .event = TailEvent::kStart, .at = kLate}, .values = {}});
           draft.tails.push_back({.tail = {.client = 40,
                                           .event = TailEvent::kGap,
                                           .to = draft.logs.at(0).start.next(),
                                           .at = kLate},
                                  .values = {}});
           return true;
         }},
    {.name = "a replica's committed end went back",
     .rule = Rule::kShrunk,
     .spoil =
         [](Random& random, Draft& draft) {
           const Watermark* const mark = pick(
               random, draft.watermarks, [](const Watermark& one) { return one.end > Offset(0); });
           if (mark == nullptr) return false;
           draft.watermarks.push_back({.replica = mark->replica, .end = Offset(0), .at = kLate});
           return true;
         }},
    {.name = "a replica's committed end is beyond the log",
     .rule = Rule::kShrunk,
     .spoil =
         [](Random&, Draft& draft) {
           draft.watermarks.push_back({.replica = 1, .end = end_of(draft).next(), .at = kLate});
           return true;
         }},
    {.name = "a replica committed what was not there yet",
     .rule = Rule::kOrder,
     .spoil =
         [](Random&, Draft& draft) {
           draft.watermarks.push_back({.replica = 9, .end = end_of(draft), .at = -kLate});
           return true;
         }},
    {.name = "a replica has another chain value",
     .rule = Rule::kChain,
     .spoil =
         [](Random& random, Draft& draft) {
           const Chain* const chain = pick(random, draft.chains, [](const Chain&) { return true; });
           if (chain == nullptr) return false;
           draft.chains.push_back({.who = 7, .end = chain->end, .hash = {.low = 1, .high = 2}});
           return true;
         }},
};

// ----------------------------------------------------------------

class EveryMutation : public testing::TestWithParam<Mutation> {};

TEST_P(EveryMutation, IsNoticedByItsRule) {
  constexpr int kWanted = 25;
  constexpr std::uint64_t kSeedsMax = 1'000;
  int spoiled = 0;
  for (std::uint64_t seed = 0; seed < kSeedsMax && spoiled < kWanted; ++seed) {
    Random random(seed, "mutation");
    Draft draft = good_history(random, {.operations = 600});
    if (!GetParam().spoil(random, draft)) continue;
    ++spoiled;
    const CheckReport report = check_shard(kShard, draft.build());
    std::string kept;
    for (const Violation& violation : report.violations.kept()) kept += violation.describe() + "\n";
    ASSERT_GT(report.violations.count(GetParam().rule), 0U)
        << GetParam().name << ", seed " << seed << ": not noticed as " << rule_name(GetParam().rule)
        << "\n"
        << kept;
  }
  EXPECT_EQ(spoiled, kWanted) << GetParam().name;
}

std::string test_name(const testing::TestParamInfo<Mutation>& info) {
  std::string name = info.param.name;
  for (char& letter : name) {
    if (std::isalnum(static_cast<unsigned char>(letter)) == 0) letter = '_';
  }
  return name;
}

INSTANTIATE_TEST_SUITE_P(Logs, EveryMutation, testing::ValuesIn(kLogMutations), test_name);
INSTANTIATE_TEST_SUITE_P(Appends, EveryMutation, testing::ValuesIn(kAppendMutations), test_name);
INSTANTIATE_TEST_SUITE_P(Reads, EveryMutation, testing::ValuesIn(kReadMutations), test_name);
INSTANTIATE_TEST_SUITE_P(Tails, EveryMutation, testing::ValuesIn(kTailMutations), test_name);

// ---------------------------------------------------------------- the report

TEST(LogCheck, SaysWhichOperationsClash) {
  ShardHistory history;
  history.add(Append{.value = Value(3, 7),
                     .outcome = Outcome::kOk,
                     .invoked = 100,
                     .returned = 180,
                     .offset = Offset(0)});
  history.add(
      Read{.client = 9, .from = Offset(0), .end = Offset(0), .invoked = 190, .returned = 220}, {});
  history.add_log({.replica = 1, .start = Offset(0)}, std::vector{Value(3, 7)});
  const CheckReport report = check_shard(kShard, history);
  ASSERT_EQ(report.violations.kept().size(), 1U);
  EXPECT_EQ(report.violations.kept().front().describe(),
            "order: shard 1/0 at 0: the append of 3.7 [100, 180] at 0 ended before the read of "
            "client 9 [190, 220] that saw the end 0 began, but has to come after it in the order "
            "of the log");
}

TEST(LogCheck, CountsWhatItDoesNotKeep) {
  ShardHistory history;
  Values log;
  for (std::uint64_t i = 0; i < 1'000; ++i) log.emplace_back(1, i);
  history.add(Append{.value = Value(2, 0), .count = 1'000});
  history.add_log({.replica = 1, .start = Offset(0)}, log);
  const CheckReport report = check_shard(kShard, history);
  EXPECT_EQ(report.violations.count(Rule::kPhantom), 1'000U);
  EXPECT_EQ(report.violations.kept().size(), Violations::kKeptMax);
}

TEST(LogCheck, JudgesShardsApart) {
  History history;
  for (std::uint32_t shard = 0; shard < 3; ++shard) {
    ShardHistory& part = history.shard({.stream = StreamId(1), .shard = ShardNumber(shard)});
    part.add(Append{.value = Value(1, shard),
                    .outcome = Outcome::kOk,
                    .invoked = 1,
                    .returned = 2,
                    .offset = Offset(0)});
    // The second shard lost its record.
    part.add_log({.replica = 1, .start = Offset(0)},
                 shard == 1 ? Values() : Values{Value(1, shard)});
  }
  const CheckReport report = check_history(history);
  EXPECT_EQ(report.shards, 3U);
  EXPECT_EQ(report.operations, 3U);
  EXPECT_EQ(report.records, 2U);
  ASSERT_EQ(report.violations.total(), 1U);
  EXPECT_EQ(report.violations.kept().front().shard.shard, ShardNumber(1));
  EXPECT_EQ(report.violations.kept().front().rule, Rule::kLost);
}

// An absurd end costs a violation, no memory.
TEST(LogCheck, RefusesALogFarLongerThanWhatWasAppended) {
  ShardHistory history;
  history.add_log({.replica = 1, .start = Offset(2'000'000'000)}, std::vector{Value(3, 7)});
  EXPECT_EQ(check_shard(kShard, history).violations.count(Rule::kPhantom), 1U);
}

}  // namespace
}  // namespace lignum::jepsen
