#pragma once

// What a check found: which promise was broken, where, and by which operations.
//
// Plain values without thread or IO. A run that went wrong often breaks one promise ten thousand
// times: the first few of each rule are kept in full, the others counted.

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "raft/types.h"

namespace lignum::jepsen {

// The promises of a shard (docs/testing.md says who makes them).
enum class Rule : std::uint8_t {
  kHistory,      // the history contradicts itself: the harness is wrong, not the log
  kAgreement,    // the replicas' final logs differ, in a record or in their end
  kHole,         // a replica's final log skips offsets
  kPhantom,      // the log holds a record that nobody appended
  kDuplicate,    // a record is in the log twice
  kAborted,      // a record whose append was refused is in the log
  kLost,         // an acknowledged record is not in the log
  kOffset,       // an acknowledged record lies at another offset than its ack said
  kAtomic,       // a batch is in the log, or was seen, in part
  kConditional,  // a conditional append went elsewhere, or was refused for a reason that was not
  kRead,         // a reader was given other records than the log holds
  kOrder,        // no order of the operations fits both the log and the times of the clients
  kSession,      // the appends of a producer lie in another order than it sent them
  kTail,         // a tail skipped, repeated or stepped back
  kShrunk,       // a committed end was seen that is beyond the log, or a replica's own went back
  kTrim,         // more was trimmed than retention allowed, or what was trimmed came back
  kChain,        // two chain values for the same prefix: somebody holds other bytes
};
inline constexpr std::size_t kRules = 17;

// Stable lower-case name, such as "lost".
[[nodiscard]] std::string_view rule_name(Rule rule);

struct Violation {
  Rule rule = Rule::kHistory;
  ShardKey shard;
  // Where in the shard, if the rule is about one place.
  std::optional<Offset> offset{};
  // One sentence that names the operations, for a person.
  std::string sentence;
  // "lost: shard 1/0 at 41: append of 3.7 [100, 180] was acknowledged at 41, where the log ...".
  [[nodiscard]] std::string describe() const;
};

// The violations of one shard, or of a whole run after merge().
class Violations {
 public:
  // Of each rule so many are kept in full.
  static constexpr std::size_t kKeptMax = 20;

  Violations() = default;
  explicit Violations(ShardKey shard) : shard_(shard) {}

  // `sentence` is a function that makes it: called only where the violation is kept.
  template <class Sentence>
  void add(Rule rule, std::optional<Offset> offset, const Sentence& sentence) {
    if (counts_.at(std::to_underlying(rule))++ < kKeptMax) {
      kept_.push_back({.rule = rule, .shard = shard_, .offset = offset, .sentence = sentence()});
    }
  }
  // Counts what the other counts; keeps what it kept, as far as there is room.
  void merge(const Violations& other);

  [[nodiscard]] bool empty() const { return total() == 0; }
  [[nodiscard]] std::uint64_t total() const;
  [[nodiscard]] std::uint64_t count(Rule rule) const {
    return counts_.at(std::to_underlying(rule));
  }
  // In the order of add().
  [[nodiscard]] const std::vector<Violation>& kept() const { return kept_; }

 private:
  ShardKey shard_{};
  std::array<std::uint64_t, kRules> counts_{};
  std::vector<Violation> kept_;
};

}  // namespace lignum::jepsen
