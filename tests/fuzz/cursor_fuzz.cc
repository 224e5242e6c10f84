// Cursors: any text is taken or refused; what was taken prints as a cursor that means the same.

#include "net/tail_cursor.h"
#include "raft/check.h"
#include "raft/payload.h"
#include "tests/fuzz/fuzz.h"

namespace lignum::fuzz {

void fuzz_one(Bytes bytes) {
  const auto positions = net::parse_cursor(text_of(bytes));
  if (!positions) return;
  const auto again = net::parse_cursor(net::format_cursor(*positions));
  CHECK(again.has_value() && *again == *positions);
}

}  // namespace lignum::fuzz
