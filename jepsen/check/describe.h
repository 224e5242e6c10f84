#pragma once

// The operations of a history in a reader's words, for the sentences of violations.

#include <string>

#include "jepsen/check/history.h"
#include "raft/types.h"

namespace lignum::jepsen {

// "3.7": client and sequence; "an unreadable record" and "an unknown record" for the others.
[[nodiscard]] std::string describe(Value value);
// "the append of 3.7 and 1 more [100, 180]".
[[nodiscard]] std::string describe(const Append& append);
// "the read of client 9 [190, 220] that saw the end 41", or "... of records 38 to 41".
[[nodiscard]] std::string describe(const ShardHistory::ReadRecords& read);
// "tail 5 (at 230)".
[[nodiscard]] std::string describe(const Tail& tail);
// "the read of client 9 [190, 220]".
[[nodiscard]] std::string describe(const Trimmed& read);
// "replica 2 (at 230) said the end 41".
[[nodiscard]] std::string describe(const Watermark& mark);
// "41".
[[nodiscard]] std::string describe(Offset offset);

// Stands in a reconstructed log where nobody saw the record.
inline constexpr Value kUnknownValue(kHistoryClientsMax - 1, Value::kSequenceMax - 1);

}  // namespace lignum::jepsen
