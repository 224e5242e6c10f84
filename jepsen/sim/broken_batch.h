#pragma once

// Batches that the front door has to refuse, whatever else goes on.

#include <cstddef>
#include <vector>

#include "raft/random.h"

namespace lignum::jepsen {

// A record batch in which one thing is wrong; its checksum is right, unless that is it.
[[nodiscard]] std::vector<std::byte> broken_batch(Random& random);

}  // namespace lignum::jepsen
