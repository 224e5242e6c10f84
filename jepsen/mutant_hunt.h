#pragma once

// Whether simulated runs notice every bug of raft/mutant_list.h.

#include <cstdint>
#include <vector>

namespace lignum::jepsen {

// Each bug on purpose, until one of the seeds, in their order, shows it, for so many seconds at
// most; then the same seeds without any bug, which must be clean. Prints a table. 0 where every bug
// was shown and the control is clean, else an exit code of Verdict.
[[nodiscard]] int hunt_mutants(const std::vector<std::uint64_t>& seeds, unsigned jobs,
                               double seconds_each);

}  // namespace lignum::jepsen
