#pragma once

// What all actors of one simulated run share: time, chance, the story, the verdict.
//
// Owned by a Run; one thread. Actors (nodes, clients, network, faults) hold a reference and live
// only as long as it. Chance comes in named streams of one seed, so that drawing more from one
// never shifts another.

#include <cstdint>
#include <cstdio>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "jepsen/sim/event_queue.h"
#include "jepsen/sim/trace.h"
#include "raft/random.h"

namespace lignum::jepsen {

// How a run ends. The numbers are exit codes of `jepsen sim` (docs/testing.md); a crash of the
// simulator's process itself is noticed by its parent.
enum class Verdict : std::uint8_t {
  kClean = 0,
  kSafety = 3,    // a promise was broken
  kLiveness = 4,  // everything was healed, and something did not come right in time
  kCrash = 5,     // a CHECK or a signal
};

[[nodiscard]] std::string_view verdict_name(Verdict verdict);

struct Breach {
  Verdict verdict = Verdict::kSafety;
  Moment at = 0;
  std::string what;
};

class World {
 public:
  // `story` gets the trace; null: nobody reads.
  World(std::uint64_t seed, std::FILE* story) : trace(story), seed_(seed) {}

  EventQueue queue;
  Trace trace;
  // By kind: how often the simulator did something bad.
  std::map<std::string_view, std::uint64_t> faults;

  [[nodiscard]] Moment now() const { return queue.now(); }
  [[nodiscard]] std::uint64_t seed() const { return seed_; }
  // An independent stream of chance. Equal names give equal streams.
  [[nodiscard]] Random stream(std::string_view name) const { return Random(seed_, name); }

  // The run is over. Only the first breach counts: what follows may follow from it.
  void violate(Verdict verdict, std::string what);
  [[nodiscard]] const std::optional<Breach>& breach() const { return breach_; }

  void note(TraceKind kind, std::uint32_t who, std::uint64_t a = 0, std::uint64_t b = 0) {
    trace.note({.kind = kind, .at = now(), .who = who, .a = a, .b = b});
  }
  template <class Text>
  void tell(TraceKind kind, std::uint32_t who, std::uint64_t a, std::uint64_t b, Text text) {
    const Trace::Event event{.kind = kind, .at = now(), .who = who, .a = a, .b = b};
    if (trace.read()) {
      trace.note(event, text);
    } else {
      trace.note(event);
    }
  }

 private:
  const std::uint64_t seed_;
  std::optional<Breach> breach_;
};

// Uniform in [least, most], which must not be empty.
[[nodiscard]] Moment draw_between(Random& random, Moment least, Moment most);
// True `per_million` times out of a million.
[[nodiscard]] bool draw_chance(Random& random, std::uint32_t per_million);

}  // namespace lignum::jepsen
