#include "jepsen/explore/explore_command.h"

#include <chrono>
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
  const auto started = std::chrono::steady_clock::now();
  const Exploration found = explore(scope, [](const ExplorationProgress& progress) {
    fmt::print(stderr, "depth {}: {} states, {} of them new\n", progress.depth, progress.states,
               progress.frontier);
  });
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - started;
  if (!found.violation.empty()) {
    fmt::print("broken: {}\n", found.violation);
    for (const std::string& event : found.path) fmt::print("  {}\n", event);
    return kBroken;
  }
  fmt::print("{}: {} states, {} events, depth {}, {:.1f} s; all appends committed in {} states\n",
             found.complete ? "complete, nothing broken" : "given up", found.states, found.events,
             found.depth, took.count(), found.fulfilled);
  return found.complete ? 0 : kIncomplete;
}

}  // namespace lignum::jepsen
