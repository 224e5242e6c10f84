#pragma once

// `jepsen explore`: every order of events of a small cluster (small_scope.h), told to a terminal.

#include "jepsen/explore/small_scope.h"

namespace lignum::jepsen {

// Prints a line for each depth to stderr, the outcome to stdout. 0: complete, and nothing broken;
// 3: a promise was broken (with the events that led there); 4: given up, too many states.
[[nodiscard]] int explore_command(const Scope& scope);

}  // namespace lignum::jepsen
