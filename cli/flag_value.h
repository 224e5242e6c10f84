#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "raft/error.h"

namespace lignum::cli {

// The same value; an error of it begins with the name of the flag.
template <class T>
[[nodiscard]] Result<T> flag_value(std::string_view flag, Result<T> value) {
  if (value) return value;
  return fail(value.error().code(), std::string(flag) + ": " + value.error().message());
}

}  // namespace lignum::cli
