#include "jepsen/explore/explore_command.h"

#include <cstdio>
#include <string>

#include <fmt/format.h>
#include "jepsen/explore/small_scope.h"

namespace lignum::jepsen {

namespace {

constexpr int kBroken = 3;
constexpr int kIncomplete = 4;

}  // namespace

int explore_command(const Scope& scope) {
  const Exploration found = explore(scope, [](const ExplorationProgress& progress) {
    fmt::print(stderr, "depth {}: {} states, {} of them new\n", progress.depth, progress.states,
               progress.frontier);
  });
  if (!found.violation.empty()) {
    fmt::print("broken: {}\n", found.violation);
    for (const std::string& event : found.path) fmt::print("  {}\n", event);
    return kBroken;
  }
  fmt::print("{}: {} states, {} events, depth {}; all appends committed in {} states\n",
             found.complete ? "complete, nothing broken" : "given up", found.states, found.events,
             found.depth, found.fulfilled);
  return found.complete ? 0 : kIncomplete;
}

}  // namespace lignum::jepsen
