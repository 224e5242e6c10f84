// The recorded steps of the oracle: one state, one message, the state and the answer after it.

#include <gtest/gtest.h>

#include <string>

#include "tests/conformance/golden.h"
#include "tests/conformance/oracle.h"
#include "tests/conformance/score.h"
#include "tests/conformance/step_vector.h"

namespace lignum::conformance {
namespace {

TEST(OracleSteps, EachMessageMeetsEachState) {
  const auto directory = oracle_directory();
  if (!directory) {
    GTEST_SKIP() << kOracleAbsent;
  }
  const auto steps = read_golden_steps(*directory / "golden_steps.jsonl");
  ASSERT_TRUE(steps.has_value()) << steps.error().message();
  EXPECT_EQ(steps->size(), 1257U);
  Score score("4 step vectors");
  int line = 0;
  for (const GoldenStep& step : *steps) {
    ++line;
    const StepOutcome outcome = run_step(step);
    if (!outcome.skipped.empty()) {
      score.skipped(outcome.skipped);
    } else if (outcome.difference.empty()) {
      score.equal();
    } else {
      score.unexpected("line " + std::to_string(line) + " (" + step.test + ", " +
                       step.message.type + ")" + outcome.difference);
    }
  }
  score.judge();
}

}  // namespace
}  // namespace lignum::conformance
