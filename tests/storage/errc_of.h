#pragma once

// The code of an error, for comparing in tests.

#include <optional>

#include "raft/error.h"

namespace lignum {

// None for a value: a result that should have failed does not match any code.
template <class T>
[[nodiscard]] std::optional<Errc> errc_of(const Result<T>& result) {
  return result ? std::nullopt : std::optional(result.error().code());
}

}  // namespace lignum
