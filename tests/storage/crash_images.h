#pragma once

// The crash images that every crash test of a small file tries.

#include <cstdint>
#include <functional>
#include <memory>

#include "jepsen/sim/sim_disk.h"

namespace lignum {

// Calls `check` with the disks that a power cut of `disk` may leave: nothing kept, all kept, data
// or names alone, and random mixtures with a torn sector.
inline void for_each_crash_image(
    const jepsen::SimDisk& disk,
    const std::function<void(std::unique_ptr<jepsen::SimDisk> after)>& check) {
  using jepsen::Survival;
  for (const Survival data : {Survival::kNone, Survival::kAll}) {
    for (const Survival names : {Survival::kNone, Survival::kAll}) {
      check(disk.crash(1, {.data = data, .names = names}));
    }
  }
  constexpr std::uint64_t kMixtures = 24;
  for (std::uint64_t seed = 1; seed <= kMixtures; ++seed) {
    check(disk.crash(seed, {.tear_last_sector = seed % 2 == 0}));
  }
}

}  // namespace lignum
