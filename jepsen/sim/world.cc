#include "jepsen/sim/world.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "jepsen/sim/event_queue.h"
#include "jepsen/sim/trace.h"
#include "raft/check.h"
#include "raft/random.h"

namespace lignum::jepsen {

std::string_view verdict_name(Verdict verdict) {
  switch (verdict) {
    case Verdict::kClean:
      return "clean";
    case Verdict::kSafety:
      return "safety";
    case Verdict::kLiveness:
      return "liveness";
    case Verdict::kCrash:
      return "crash";
  }
  return "?";
}

void World::violate(Verdict verdict, std::string what) {
  tell(TraceKind::kPhase, 0, static_cast<std::uint64_t>(verdict), 0,
       [&what] { return "VIOLATION: " + what; });
  if (!breach_) breach_ = {.verdict = verdict, .at = now(), .what = std::move(what)};
}

Moment draw_between(Random& random, Moment least, Moment most) {
  CHECK(least <= most);
  return least + static_cast<Moment>(random.below(static_cast<std::uint64_t>(most - least) + 1));
}

bool draw_chance(Random& random, std::uint32_t per_million) {
  return per_million > 0 && random.chance(per_million, 1'000'000);
}

}  // namespace lignum::jepsen
