#pragma once

// How much of a proof is wanted (docs/testing.md).

#include <cstdlib>
#include <string_view>

namespace lignum {

[[nodiscard]] inline bool full_proof() {
  const char* wanted = std::getenv("LIGNUM_PROOF");
  return wanted != nullptr && std::string_view(wanted) == "full";
}

// Whether this is a build with AddressSanitizer or ThreadSanitizer, in which all takes some ten
// times as long. What it looks for needs one of each kind: proofs that strike every call of many
// strike some of them there.
#if defined(__has_feature)
inline constexpr bool kSanitized =
    __has_feature(address_sanitizer) || __has_feature(thread_sanitizer);
#else
inline constexpr bool kSanitized = false;
#endif

}  // namespace lignum
