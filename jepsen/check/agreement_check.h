#pragma once

// The judge of a shard that was lost for good, as its group has halted: whether everybody saw the
// same records while it lived. Whether all that was acknowledged is there cannot be asked any more;
// that no offset ever meant two records, and no read returned bytes that nobody appended, can.
//
// Pure, linear in the records that were seen.

#include "jepsen/check/history.h"
#include "jepsen/check/log_check.h"
#include "raft/types.h"

namespace lignum::jepsen {

// Rules: kRead (another record than somebody else saw there), kPhantom, kDuplicate (a record at two
// offsets).
[[nodiscard]] CheckReport check_agreement(const ShardKey& key, const ShardHistory& history);

}  // namespace lignum::jepsen
