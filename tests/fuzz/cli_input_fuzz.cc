// What people and programs feed logctl: times, durations, sizes, and records as lines,
// NUL-separated items or JSON. The first byte of the input chooses which.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "cli/quantity_text.h"
#include "cli/record_input.h"
#include "raft/check.h"
#include "raft/error.h"
#include "raft/payload.h"
#include "raft/types.h"
#include "tests/fuzz/fuzz.h"

namespace lignum::fuzz {

namespace {

constexpr TimeUs kNow = 1'764'000'000'000'000;

void parse_quantities(std::string_view text) {
  static_cast<void>(cli::parse_size(text));
  static_cast<void>(cli::parse_duration(text));
  // What is printed is read back as the same moment.
  const auto time = cli::parse_time(text, kNow);
  if (!time) return;
  const auto again = cli::parse_time(cli::rfc3339(*time, cli::Zone::kUtc), kNow);
  CHECK(again.has_value() && *again == *time);
}

void parse_records(Bytes bytes, const cli::InputOptions& options) {
  std::size_t items = 0;
  cli::ItemReader reader(
      [&bytes](char* buffer, std::size_t room) -> Result<std::size_t> {
        const std::size_t n = std::min<std::size_t>({room, bytes.size(), 7});
        if (n > 0) std::memcpy(buffer, bytes.data(), n);
        bytes = bytes.subspan(n);
        return n;
      },
      options.format);
  while (true) {
    const auto item = reader.next();
    if (!item || !*item) return;
    CHECK(reader.number() == ++items);
    static_cast<void>(cli::parse_record(**item, options));
  }
}

}  // namespace

void fuzz_one(Bytes bytes) {
  Input input(bytes);
  const auto kind = input.take<std::uint8_t>() % 8;
  if (kind < 2) return parse_quantities(text_of(input.rest()));
  parse_records(input.rest(),
                {.format = static_cast<cli::InputFormat>(kind % 3), .syslog = kind >= 5});
}

}  // namespace lignum::fuzz
