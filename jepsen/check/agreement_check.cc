#include "jepsen/check/agreement_check.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "jepsen/check/describe.h"
#include "jepsen/check/history.h"
#include "jepsen/check/log_check.h"
#include "jepsen/check/violation.h"
#include "raft/types.h"

namespace lignum::jepsen {

namespace {

class AgreementCheck {
 public:
  AgreementCheck(const ShardKey& key, const ShardHistory& history)
      : history_(history), found_(key) {
    for (const Append& append : history.appends()) {
      std::uint64_t& next = appended_[append.value.client()];
      next = std::max(next, append.value.sequence() + append.count);
    }
  }

  CheckReport run() {
    for (const Append& append : history_.appends()) {
      if (append.outcome != Outcome::kOk || !append.offset) continue;
      for (std::uint32_t i = 0; i < append.count; ++i) {
        see(*append.offset + i, append.value.plus(i), append);
      }
    }
    for (const auto& read : history_.reads()) see_all(read.from, read, read);
    for (const auto& tail : history_.tails()) see_all(tail.from, tail, tail);
    for (const auto& log : history_.logs()) {
      see_all(log.start, log, "replica " + std::to_string(log.replica));
    }
    return {.violations = std::move(found_),
            .shards = 1,
            .operations = history_.operations(),
            .records = seen_.size()};
  }

 private:
  static std::string name(const std::string& text) { return text; }
  template <class Who>
  static std::string name(const Who& who) {
    return describe(who);
  }

  template <class Who>
  void see_all(Offset from, const ShardHistory::Slice& slice, const Who& who) {
    const std::span<const Value> values = history_.values(slice);
    for (std::size_t i = 0; i < values.size(); ++i) see(from + i, values[i], who);
  }

  template <class Who>
  void see(Offset at, Value value, const Who& who) {
    const auto known = appended_.find(value.client());
    if (known == appended_.end() || value.sequence() >= known->second) {
      return found_.add(Rule::kPhantom, at, [&] {
        return name(who) + " has " + describe(value) + ", which nobody appended";
      });
    }
    const auto [place, new_value] = places_.try_emplace(value, at);
    if (!new_value && place->second != at) {
      found_.add(Rule::kDuplicate, at, [&] {
        return name(who) + " has " + describe(value) + ", which lies at " +
               describe(place->second) + ", too";
      });
    }
    const auto [first, fresh] = seen_.try_emplace(at, value);
    if (fresh || first->second == value) return;
    found_.add(Rule::kRead, at, [&] {
      return name(who) + " has " + describe(value) + ", where another one saw " +
             describe(first->second);
    });
  }

  const ShardHistory& history_;
  Violations found_;
  // Of each client: behind its last sequence number.
  std::map<std::uint32_t, std::uint64_t> appended_;
  std::map<Offset, Value> seen_;
  std::map<Value, Offset> places_;
};

}  // namespace

CheckReport check_agreement(const ShardKey& key, const ShardHistory& history) {
  return AgreementCheck(key, history).run();
}

}  // namespace lignum::jepsen
