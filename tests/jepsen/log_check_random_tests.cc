// The check and a brute-force search are asked about the same random small histories, and have to
// agree about every one. LIGNUM_PROOF=full asks about a million.

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdio>
#include <ctime>
#include <string>
#include <vector>

#include "jepsen/check/history.h"
#include "jepsen/check/log_check.h"
#include "jepsen/check/violation.h"
#include "raft/random.h"
#include "raft/types.h"
#include "tests/jepsen/draft.h"
#include "tests/storage/proof.h"

namespace lignum::jepsen {
namespace {

constexpr ShardKey kShard{.stream = StreamId(1), .shard = ShardNumber(0)};

std::uint64_t wanted(std::uint64_t quick, std::uint64_t full) {
  return full_proof() ? full : kSanitized ? quick / 10 : quick;
}

std::string sentences(const CheckReport& report) {
  std::string text;
  for (const Violation& violation : report.violations.kept()) text += violation.describe() + "\n";
  return text;
}

TEST(LogCheck, AgreesWithABruteForceSearchOnRandomHistories) {
  const std::uint64_t seeds = wanted(20'000, 1'000'000);
  std::uint64_t violations = 0;
  Violations all;
  for (std::uint64_t seed = 0; seed < seeds; ++seed) {
    Random random(seed, "small");
    const Draft draft = small_history(random, false);
    const CheckReport report = check_shard(kShard, draft.build());
    all.merge(report.violations);
    ASSERT_EQ(report.clean(), has_linearization(draft)) << "seed " << seed << "\n"
                                                        << sentences(report);
    violations += report.clean() ? 0 : 1;
  }
  std::printf("seeds 0 to %llu: 0 mismatches, %llu histories (%.1f %%) without a linearization\n",
              static_cast<unsigned long long>(seeds - 1),
              static_cast<unsigned long long>(violations),
              100.0 * static_cast<double>(violations) / static_cast<double>(seeds));
  // Each rule that a search knows of has decided some of them.
  for (const Rule rule : {Rule::kAgreement, Rule::kPhantom, Rule::kDuplicate, Rule::kAborted,
                          Rule::kLost, Rule::kOffset, Rule::kAtomic, Rule::kConditional,
                          Rule::kRead, Rule::kOrder, Rule::kSession, Rule::kShrunk}) {
    EXPECT_GT(all.count(rule), 0U) << rule_name(rule);
  }
  EXPECT_GT(violations, seeds / 20);
  EXPECT_LT(violations, seeds / 2);
}

// The one kind of operation that needs more than the earliest moment.
TEST(LogCheck, AgreesWithABruteForceSearchOnRefusedConditionalAppends) {
  const std::uint64_t seeds = wanted(20'000, 1'000'000);
  std::uint64_t violations = 0;
  for (std::uint64_t seed = 0; seed < seeds; ++seed) {
    Random random(seed, "refused");
    const Draft draft = refused_history(random);
    const CheckReport report = check_shard(kShard, draft.build());
    ASSERT_EQ(report.clean(), has_linearization(draft)) << "seed " << seed << "\n"
                                                        << sentences(report);
    violations += report.clean() ? 0 : 1;
  }
  std::printf("seeds 0 to %llu: 0 mismatches, %llu histories without a linearization\n",
              static_cast<unsigned long long>(seeds - 1),
              static_cast<unsigned long long>(violations));
  EXPECT_GT(violations, seeds / 10);
  EXPECT_LT(violations, seeds * 9 / 10);
}

// Where the start of the log is trimmed and nobody read it, the check knows less than a search that
// tries every record there: it may overlook, but must not accuse.
TEST(LogCheck, NeverAccusesATrimmedLogThatASearchAcquits) {
  const std::uint64_t seeds = wanted(20'000, 200'000);
  std::uint64_t overlooked = 0;
  std::uint64_t violations = 0;
  for (std::uint64_t seed = 0; seed < seeds; ++seed) {
    Random random(seed, "trimmed");
    Draft draft = small_history(random, true);
    // What a search does not know of: trims themselves.
    draft.trims = {{.start = Offset(1000)}};
    draft.trimmed.clear();
    std::erase_if(draft.tails,
                  [](const DraftTail& tail) { return tail.tail.event == TailEvent::kGap; });
    const CheckReport report = check_shard(kShard, draft.build());
    const bool possible = has_linearization(draft);
    const bool accused = report.violations.total() > report.violations.count(Rule::kTail);
    ASSERT_FALSE(accused && possible) << "seed " << seed << "\n" << sentences(report);
    violations += possible ? 0 : 1;
    overlooked += !possible && !accused ? 1 : 0;
  }
  std::printf("seeds 0 to %llu: none accused wrongly, %llu of %llu breaches overlooked\n",
              static_cast<unsigned long long>(seeds - 1),
              static_cast<unsigned long long>(overlooked),
              static_cast<unsigned long long>(violations));
  EXPECT_LT(overlooked * 10, violations);
}

TEST(LogCheck, FindsNothingInLongGoodHistories) {
  for (std::uint64_t seed = 0; seed < wanted(50, 2'000); ++seed) {
    Random random(seed, "good");
    const Draft draft = good_history(random, {.operations = 2'000});
    const CheckReport report = check_shard(kShard, draft.build());
    ASSERT_TRUE(report.clean()) << "seed " << seed << "\n" << sentences(report);
    ASSERT_GT(report.records, 500U);
  }
}

TEST(LogCheck, IsLinear) {
  const std::uint64_t operations = wanted(200'000, 10'000'000);
  Random random(1, "speed");
  const ShardHistory history =
      good_history(random, {.operations = operations, .producers = 100, .trims = false}).build();
  const std::clock_t begin = std::clock();
  const CheckReport report = check_shard(kShard, history);
  const double seconds = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
  EXPECT_TRUE(report.clean());
  std::printf("%llu operations, %llu records: %.3f s of one core, %.1f M operations/s\n",
              static_cast<unsigned long long>(report.operations),
              static_cast<unsigned long long>(report.records), seconds,
              static_cast<double>(report.operations) / seconds / 1e6);
}

}  // namespace
}  // namespace lignum::jepsen
