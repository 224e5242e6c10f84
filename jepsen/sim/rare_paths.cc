#include "jepsen/sim/rare_paths.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "jepsen/sim/trace.h"
#include "jepsen/sim/world.h"
#include "raft/buggify.h"
#include "raft/check.h"
#include "raft/random.h"

namespace lignum::jepsen {

namespace {

// Their rates come from streams of their own: what an older seed draws stays what it was.
constexpr std::array kYounger = {Buggify::kStorageSmallStateFile, Buggify::kStorageSmallChunk};
// The same, and asked for so seldom in a run that they have to say yes more often.
constexpr std::array kSeldom = {Buggify::kRaftSnapshotAnyway, Buggify::kServerFreshImage};

std::uint32_t draw_rare_rate(Random& random) {
  const std::uint32_t drawn = 200'000U >> random.below(9);
  return random.chance(1, 4) ? drawn : 0;
}

std::uint32_t draw_seldom_rate(Random& random) {
  const std::uint32_t drawn = 800'000U >> random.below(4);
  return random.chance(1, 2) ? drawn : 0;
}

bool is_in(const auto& points, Buggify point) {
  return std::ranges::find(points, point) != points.end();
}

}  // namespace

RareRates draw_rare_rates(Random& random, std::uint64_t seed) {
  RareRates rates{};
  if (random.chance(1, 4)) return rates;
  for (std::size_t i = 0; i < rates.size(); ++i) {
    const BuggifyPoint& point = kBuggifyPoints.at(i);
    Random own(seed, point.name);
    if (is_in(kSeldom, point.point)) {
      rates.at(i) = draw_seldom_rate(own);
    } else {
      rates.at(i) = draw_rare_rate(is_in(kYounger, point.point) ? own : random);
    }
  }
  return rates;
}

RarePaths::RarePaths(World& world, const RareRates& rates) : world_(world), rates_(rates) {
  for (const BuggifyPoint& point : kBuggifyPoints) streams_.push_back(world.stream(point.name));
  CHECK(buggify_decider == nullptr);
  buggify_decider = this;
}

RarePaths::~RarePaths() { buggify_decider = nullptr; }

bool RarePaths::decide(Buggify point) {
  const auto at = static_cast<std::size_t>(std::to_underlying(point));
  if (ended_ || rates_.at(at) == 0 || !draw_chance(streams_[at], rates_.at(at))) return false;
  ++counts_.at(at);
  world_.tell(TraceKind::kRare, 0, at, counts_.at(at),
              [at] { return std::string(kBuggifyPoints.at(at).name); });
  return true;
}

std::map<std::string_view, std::uint64_t> RarePaths::fired() const {
  std::map<std::string_view, std::uint64_t> fired;
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    if (counts_.at(i) > 0) fired[kBuggifyPoints.at(i).name] = counts_.at(i);
  }
  return fired;
}

}  // namespace lignum::jepsen
