#pragma once

// Decides for the places of raft/buggify.h in a simulated run.
//
// While it stands it is the decider of its thread. Each point has a stream of chance of its own and
// a rate that the plan drew, most of them 0; what fires goes into the trace. Owned by a Run.

#include <array>
#include <cstdint>
#include <map>
#include <string_view>
#include <vector>

#include "jepsen/sim/world.h"
#include "raft/buggify.h"
#include "raft/random.h"

namespace lignum::jepsen {

// How often each point fires of a million times that it is asked.
using RareRates = std::array<std::uint32_t, kBuggifyPoints.size()>;

// A quarter of the points, each at a rate of its own; none in a part of all runs. `random` is that
// of the plan; points younger than the plans have a stream by name, so that no older seed changes.
[[nodiscard]] RareRates draw_rare_rates(Random& random, std::uint64_t seed);

class RarePaths final : public BuggifyDecider {
 public:
  RarePaths(World& world, const RareRates& rates);
  ~RarePaths() override;
  RarePaths(const RarePaths&) = delete;
  RarePaths& operator=(const RarePaths&) = delete;

  [[nodiscard]] bool decide(Buggify point) override;
  // No more of it.
  void end() { ended_ = true; }
  // By name, of those that fired.
  [[nodiscard]] std::map<std::string_view, std::uint64_t> fired() const;

 private:
  World& world_;
  const RareRates rates_;
  std::vector<Random> streams_;
  std::array<std::uint64_t, kBuggifyPoints.size()> counts_{};
  bool ended_ = false;
};

}  // namespace lignum::jepsen
