#pragma once

// Whether the long version of a proof is wanted (docs/testing.md).

#include <cstdlib>
#include <string_view>

namespace lignum {

[[nodiscard]] inline bool full_proof() {
  const char* wanted = std::getenv("LIGNUM_PROOF");
  return wanted != nullptr && std::string_view(wanted) == "full";
}

}  // namespace lignum
