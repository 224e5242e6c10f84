#pragma once

// What of a shard's start may be missing: only what retention allowed, and it stays missing.

#include "jepsen/check/history.h"
#include "jepsen/check/violation.h"

namespace lignum::jepsen {

// Adds to `found` under kTrim: a first kept offset (of a read, a tail's gap or a replica's final
// log) above what any trim had allowed by then; a record called trimmed that was not below it; a
// linearizable read served from below a first kept offset that somebody had been told before.
void check_trims(const ShardHistory& history, Violations& found);

}  // namespace lignum::jepsen
