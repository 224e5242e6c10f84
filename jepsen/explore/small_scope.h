#pragma once

// Every order of events of a small cluster, breadth first.
//
// Random runs find what is likely; this finds everything, in a scope that is small enough: some
// replicas, and at most so many elections, appends, crashes, lost and doubled messages. In each
// state every event that can happen is tried: the oldest message of a link arrives, a flush
// completes, a replica campaigns, crashes (any prefix of its flushes under way has reached the
// disk) or is given an entry. States that were seen before are told by a 128-bit hash of what
// decides their future, and are not tried again.
//
// Checked in every state, against the disks: one leader in a term; committed entries lie on the
// disks of a majority, agree everywhere and are in every later leader's log; votes, terms and acks
// are durable before they leave. The core's own invariants are CHECKed besides.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace lignum::jepsen {

struct Scope {
  std::uint32_t replicas = 3;
  std::uint32_t elections = 2;
  std::uint32_t appends = 2;
  std::uint32_t crashes = 1;
  std::uint32_t drops = 1;
  std::uint32_t duplicates = 0;
  // States kept at most: beyond it the exploration is given up as incomplete.
  std::uint64_t states_max = 100'000'000;
};

struct Exploration {
  bool complete = false;
  std::uint64_t states = 0;
  std::uint64_t events = 0;
  std::uint64_t depth = 0;
  // States in which all appends were committed: the scope reaches what it is about.
  std::uint64_t fulfilled = 0;
  // The first broken rule, empty when none was; and the events that lead to it.
  std::string violation;
  std::vector<std::string> path;
};

struct ExplorationProgress {
  std::uint64_t depth = 0;
  std::uint64_t states = 0;
  std::uint64_t frontier = 0;
};

// Runs to the end, or to the first violation. `progress` is called once for each depth.
[[nodiscard]] Exploration explore(const Scope& scope,
                                  const std::function<void(const ExplorationProgress&)>& progress);

}  // namespace lignum::jepsen
