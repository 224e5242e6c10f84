// The name that libFuzzer calls.

#include <cstddef>
#include <cstdint>
#include <span>

#include "tests/fuzz/fuzz.h"

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  lignum::fuzz::fuzz_one(std::as_bytes(std::span(data, size)));
  return 0;
}
