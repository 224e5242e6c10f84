#pragma once

// What every fuzz target shares.
//
// A target is one file, `<thing>_fuzz.cc`, that defines fuzz_one(). Built with LIGNUM_FUZZ it is
// fuzz_<thing>, a libFuzzer program; otherwise fuzz_<thing> replays files, and ctest gives it the
// committed corpus in tests/fuzz/corpus/<thing>/. Every input that ever broke something is kept
// there.

#include <concepts>
#include <cstddef>
#include <cstring>
#include <string_view>

#include "raft/payload.h"

namespace lignum::fuzz {

// Any input at all must come back; broken properties are CHECKs.
void fuzz_one(Bytes input);

// Takes an input apart. Beyond its end everything is zero or empty, so no input is wrong.
class Input {
 public:
  explicit Input(Bytes bytes) : bytes_(bytes) {}

  template <std::integral T>
  T take() {
    T value{};
    const Bytes taken = take_bytes(sizeof(T));
    if (!taken.empty()) std::memcpy(&value, taken.data(), taken.size());
    return value;
  }
  // Fewer at the end.
  Bytes take_bytes(std::size_t count) {
    const Bytes taken = bytes_.first(count < bytes_.size() ? count : bytes_.size());
    bytes_ = bytes_.subspan(taken.size());
    return taken;
  }
  [[nodiscard]] Bytes rest() const { return bytes_; }
  [[nodiscard]] bool empty() const { return bytes_.empty(); }

 private:
  Bytes bytes_;
};

[[nodiscard]] inline std::string_view text_of(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace lignum::fuzz
