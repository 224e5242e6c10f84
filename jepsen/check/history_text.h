#pragma once

// A history as text, one operation a line, so that a run can be kept and judged again.
//
//   lignum-history 1
//   append 1/0 3.7 2 100 180 ok 41 - in-order    value, records, call, answer, outcome, offset,
//                                                expected offset, promise
//   read 1/0 9 190 220 38 43 3.5+1 4.0 3.7+1     client, call, answer, from, end, records
//   trimmed 1/0 9 190 220 3 30                   client, call, answer, from, first kept
//   tail 1/0 5 230 records 41 3.7+1              client, moment, event (start, records, gap), from,
//                                                then the records, or where a gap ends
//   trim 1/0 always 30                           moment, start
//   watermark 1/0 2 240 43                       replica, moment, end
//   chain 1/0 2 43 00112233445566778899aabbccddeeff     who, end, high and low half of the value
//   log 1/0 2 30 5.0+7 3.5+1 4.0 3.7+1           replica, start, records
//
// The second word is stream/shard. A record is client.sequence, and "+N" says that the next N of
// that client follow it; "?" is a record that could not be read. "-" stands for what is not known,
// "never" and "always" for kNever and kAlways. Shards may be mixed; within one, lines have the
// order that history.h asks for. Empty lines and those that begin with "#" are comments.
// Not for several threads at once.

#include <cstddef>
#include <istream>
#include <ostream>

#include "jepsen/check/history.h"
#include "raft/error.h"

namespace lignum::jepsen {

inline constexpr std::size_t kHistoryLineBytesMax = std::size_t{16} << 20;
// A longer log is written in several lines.
inline constexpr std::size_t kHistoryLogLineRecordsMax = 4096;

// Failures are the stream's to tell.
void write_history(std::ostream& out, const History& history);

// kInvalidArgument with the number of the line that cannot be understood.
[[nodiscard]] Result<History> read_history(std::istream& in);

}  // namespace lignum::jepsen
