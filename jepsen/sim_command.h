#pragma once

// The command line of `jepsen`.

namespace lignum::jepsen {

// Exit codes, besides those of Verdict (jepsen/sim/world.h): 0 clean, 2 wrong usage; main() adds 7,
// the report could not be written.
[[nodiscard]] int run_jepsen(int argc, char** argv);

}  // namespace lignum::jepsen
