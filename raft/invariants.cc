#include "raft/invariants.h"

#include "raft/check.h"
#include "raft/core.h"
#include "raft/output.h"

namespace lignum::raft {

void check_invariants(const Core& core) {
  CHECK(core.durable() <= core.last().index);
  // A group of one commits nothing that its own disk does not hold.
  CHECK(core.commit() <= core.durable());
  CHECK(core.term() >= core.last().term);
  if (core.role() == Role::kLeader) {
    const auto start = core.leadership_start();
    CHECK(start && *start <= core.last().index);
    CHECK(core.last().term == core.term());
  }
}

}  // namespace lignum::raft
