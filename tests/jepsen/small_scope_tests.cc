// Every order of events of a small cluster. LIGNUM_PROOF=full takes the scope that the
// documentation names: two appends, a crash and a lost message; `jepsen explore` takes any.

#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>
#include <string_view>

#include "jepsen/explore/small_scope.h"

namespace lignum::jepsen {
namespace {

bool full_proof() {
  const char* proof = std::getenv("LIGNUM_PROOF");
  return proof != nullptr && std::string_view(proof) == "full";
}

Exploration run(const Scope& scope) {
  Exploration found = explore(scope, [](const ExplorationProgress&) {});
  std::cout << found.states << " states, " << found.events << " events\n";
  return found;
}

void expect_clean(const Exploration& found) {
  EXPECT_TRUE(found.complete);
  EXPECT_EQ(found.violation, "");
  // The scope reaches what it is about.
  EXPECT_GT(found.fulfilled, 0U);
}

TEST(SmallScope, OneLeaderOneAppend) {
  const Exploration found =
      run({.replicas = 3, .elections = 1, .appends = 1, .crashes = 0, .drops = 0});
  expect_clean(found);
  EXPECT_GT(found.states, 1000U);
}

TEST(SmallScope, TwoReplicasTwoElectionsACrashAndALostMessage) {
  expect_clean(run({.replicas = 2, .elections = 2, .appends = 1, .crashes = 1, .drops = 1}));
}

TEST(SmallScope, ThreeReplicasTwoAppendsACrashAndALostMessage) {
  if (!full_proof()) GTEST_SKIP() << "minutes: LIGNUM_PROOF=full";
  expect_clean(run({.replicas = 3, .elections = 1, .appends = 2, .crashes = 1, .drops = 1}));
}

}  // namespace
}  // namespace lignum::jepsen
