#include "jepsen/check/describe.h"

#include <string>

#include "jepsen/check/history.h"
#include "raft/types.h"

namespace lignum::jepsen {

namespace {

std::string span_of(Moment from, Moment to) {
  return " [" + std::to_string(from) + ", " + (to == kNever ? "never" : std::to_string(to)) + "]";
}

}  // namespace

std::string describe(Value value) {
  if (value == Value::unreadable()) return "an unreadable record";
  if (value == kUnknownValue) return "an unknown record";
  return std::to_string(value.client()) + "." + std::to_string(value.sequence());
}

std::string describe(const Append& append) {
  std::string text = append.expected ? "the conditional append of " : "the append of ";
  text += describe(append.value);
  if (append.count > 1) text += " and " + std::to_string(append.count - 1) + " more";
  if (append.expected) text += " at " + describe(*append.expected);
  return text + span_of(append.invoked, append.returned);
}

std::string describe(const ShardHistory::ReadRecords& read) {
  std::string text =
      "the read of client " + std::to_string(read.client) + span_of(read.invoked, read.returned);
  if (read.end) return text + " that saw the end " + describe(*read.end);
  return text + " of " + std::to_string(read.count) + " records from " + describe(read.from);
}

std::string describe(const Tail& tail) {
  return "tail " + std::to_string(tail.client) + " (at " + std::to_string(tail.at) + ")";
}

std::string describe(const Trimmed& read) {
  return "the read of client " + std::to_string(read.client) + span_of(read.invoked, read.returned);
}

std::string describe(const Watermark& mark) {
  return "replica " + std::to_string(mark.replica) + " (at " + std::to_string(mark.at) +
         ") said the end " + describe(mark.end);
}

std::string describe(Offset offset) { return std::to_string(offset.value()); }

}  // namespace lignum::jepsen
