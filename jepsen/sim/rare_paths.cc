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

constexpr std::array kYounger = {Buggify::kStorageSmallStateFile, Buggify::kStorageSmallChunk};

std::uint32_t draw_rare_rate(Random& random) {
  const std::uint32_t drawn = 200'000U >> random.below(9);
  return random.chance(1, 4) ? drawn : 0;
}

}  // namespace

RareRates draw_rare_rates(Random& random, std::uint64_t seed) {
  RareRates rates{};
  if (random.chance(1, 4)) return rates;
  for (std::size_t i = 0; i < rates.size(); ++i) {
    const BuggifyPoint& point = kBuggifyPoints.at(i);
    if (std::ranges::find(kYounger, point.point) == kYounger.end()) {
      rates.at(i) = draw_rare_rate(random);
    } else {
      Random own(seed, point.name);
      rates.at(i) = draw_rare_rate(own);
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
