#include "jepsen/explore/small_scope.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <ranges>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "jepsen/explore/cluster_state.h"

namespace lignum::jepsen {

namespace {

struct HashOfHash {
  std::size_t operator()(const StateHash& hash) const { return hash.low; }
};

// How a state was reached: for the path to a violation.
struct Step {
  std::shared_ptr<const Step> before;
  Event event;
};

struct Reached {
  ClusterState state;
  std::shared_ptr<const Step> step;
};

std::vector<std::string> path_to(const Scope& scope, const std::shared_ptr<const Step>& last) {
  std::vector<const Step*> steps;
  for (const Step* step = last.get(); step != nullptr; step = step->before.get()) {
    steps.push_back(step);
  }
  std::vector<std::string> path;
  ClusterState state(scope);
  for (const Step* step : steps | std::views::reverse) {
    path.push_back(state.describe(step->event));
    state = state.after(step->event);
  }
  return path;
}

}  // namespace

Exploration explore(const Scope& scope,
                    const std::function<void(const ExplorationProgress&)>& progress) {
  Exploration result;
  // Only asked whether it holds a state, never walked.
  std::unordered_set<StateHash, HashOfHash> seen;
  std::vector<Reached> frontier;
  frontier.push_back({.state = ClusterState(scope), .step = nullptr});
  seen.insert(frontier.front().state.hash());
  while (!frontier.empty()) {
    progress({.depth = result.depth, .states = seen.size(), .frontier = frontier.size()});
    std::vector<Reached> next;
    for (Reached& reached : frontier) {
      for (const Event& event : reached.state.events()) {
        ++result.events;
        ClusterState state = reached.state.after(event);
        if (!seen.insert(state.hash()).second) continue;
        auto step = std::make_shared<const Step>(Step{.before = reached.step, .event = event});
        if (!state.violation().empty()) {
          result.violation = state.violation();
          result.path = path_to(scope, step);
          result.states = seen.size();
          return result;
        }
        if (state.fulfilled()) ++result.fulfilled;
        next.push_back({.state = std::move(state), .step = std::move(step)});
      }
      // What follows does not need it any more.
      reached = {.state = ClusterState(Scope{.replicas = 0}), .step = nullptr};
      if (seen.size() > scope.states_max) {
        result.states = seen.size();
        return result;
      }
    }
    frontier = std::move(next);
    ++result.depth;
  }
  result.complete = true;
  result.states = seen.size();
  return result;
}

}  // namespace lignum::jepsen
